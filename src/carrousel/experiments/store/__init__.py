"""Stores of trials in SQLite, and the fingerprints of settings."""

from __future__ import annotations
