"""Rows under other settings: recipes (named sets of changes) and variations (any changes)."""

from __future__ import annotations
