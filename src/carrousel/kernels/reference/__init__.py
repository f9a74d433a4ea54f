"""Reference kernels: NumPy in float64, written to be read."""

from __future__ import annotations
