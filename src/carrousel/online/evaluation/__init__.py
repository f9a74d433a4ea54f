"""Evaluation on streams: predict, score and learn row by row, with checkpoints."""

from __future__ import annotations
