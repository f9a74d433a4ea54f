"""Random weight guessing."""

from __future__ import annotations
