"""Recurrent layers as differentiable torch operations."""

from __future__ import annotations
