"""Pictures, pages and saved forms of a report."""

from __future__ import annotations
