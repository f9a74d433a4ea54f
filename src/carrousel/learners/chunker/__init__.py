"""The Neural Sequence Chunker (Schmidhuber 1992)."""

from __future__ import annotations
