"""Recurrent Cascade-Correlation (Fahlman 1991)."""

from __future__ import annotations
