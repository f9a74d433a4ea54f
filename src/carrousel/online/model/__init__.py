"""The model that learns a stream, and its checkpoints."""

from __future__ import annotations
