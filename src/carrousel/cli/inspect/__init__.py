"""The command `carrousel inspect`."""

from __future__ import annotations
