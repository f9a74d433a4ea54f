"""Predict, score and learn a stream row by row, with checkpoints."""

from __future__ import annotations
