"""Experiments that the paper does not have."""

from __future__ import annotations
