"""From rows of text to inputs and targets: schema, types, missing values."""

from __future__ import annotations
