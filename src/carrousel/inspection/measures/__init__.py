"""Measures of a recorded call; each takes a recording and returns plain NumPy values."""

from __future__ import annotations
