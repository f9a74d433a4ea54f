"""Export to ONNX."""

from __future__ import annotations
