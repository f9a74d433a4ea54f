"""What an inspection has measured, as plain NumPy values; nothing here needs torch."""

from __future__ import annotations
