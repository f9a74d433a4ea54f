"""The command `carrousel stream`."""

from __future__ import annotations
