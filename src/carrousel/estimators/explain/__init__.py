"""Explanations of predictions: which channels, lags and steps they depend on."""

from __future__ import annotations
