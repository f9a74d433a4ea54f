"""Tables and pages that show a store."""

from __future__ import annotations
