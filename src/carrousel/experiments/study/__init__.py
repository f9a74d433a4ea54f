"""Studies: one experiment under several settings, compared in tables and survival curves."""

from __future__ import annotations
