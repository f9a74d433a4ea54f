"""Predictions while a series arrives: live steps, calibrated probabilities, early decisions."""

from __future__ import annotations
