"""Wrappers of the compiled kernels."""

from __future__ import annotations
