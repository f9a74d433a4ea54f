"""Every row of the paper's tables."""

from __future__ import annotations
