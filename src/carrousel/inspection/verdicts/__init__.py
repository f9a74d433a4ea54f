"""Verdicts: one rule for each fault, with its threshold, evidence and remedy."""

from __future__ import annotations
