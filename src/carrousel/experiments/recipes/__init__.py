"""Rows under other settings: recipes and variations."""

from __future__ import annotations
