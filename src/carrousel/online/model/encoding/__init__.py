"""From rows and targets to arrays, and from outputs to predictions."""

from __future__ import annotations
