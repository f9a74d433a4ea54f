"""User-defined cells from equations: parsing, differentiation, compilation."""

from __future__ import annotations
