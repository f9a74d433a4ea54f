"""Where predictions are written."""

from __future__ import annotations
