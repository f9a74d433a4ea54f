"""Raw rows to inputs and targets: the schema, conversion of values, bad and missing values."""

from __future__ import annotations
