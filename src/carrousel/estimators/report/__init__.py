"""Reports on estimators: predictions next to the truth, measures, and an HTML page."""

from __future__ import annotations
