"""Experiments that are not in the paper."""

from __future__ import annotations
