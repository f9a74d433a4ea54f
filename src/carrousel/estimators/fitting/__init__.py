"""Fitting of estimators: distinct examples, held-out parts, members, progress."""

from __future__ import annotations
