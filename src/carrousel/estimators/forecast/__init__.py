"""Forecasts: simple forecasts, inputs of the net relative to them, and corrected quantiles."""

from __future__ import annotations
