"""Runs trials in lanes, on workers or clusters."""

from __future__ import annotations
