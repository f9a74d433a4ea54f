"""One experiment under several settings."""

from __future__ import annotations
