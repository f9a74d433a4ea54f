"""Statistics and verdicts."""

from __future__ import annotations
