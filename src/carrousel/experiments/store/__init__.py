"""Stores of trials, in SQLite."""

from __future__ import annotations
