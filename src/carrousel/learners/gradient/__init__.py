"""Gradient descent by any gradient algorithm."""

from __future__ import annotations
