"""Cells written as equations: parsing, differentiation, compilation."""

from __future__ import annotations
