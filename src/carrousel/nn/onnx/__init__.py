"""Export to ONNX: single steps by a writer, whole models through torch's exporter."""

from __future__ import annotations
