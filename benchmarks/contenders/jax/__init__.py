"""Contenders written in JAX."""

from __future__ import annotations
