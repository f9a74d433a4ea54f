"""Nets of estimators: features, module, objectives, and the loop that trains them."""

from __future__ import annotations
