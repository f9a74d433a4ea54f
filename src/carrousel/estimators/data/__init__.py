"""Data of estimators: what users pass, read into one ragged container with gaps and times."""

from __future__ import annotations
