"""Options of commands, described as fields of dataclasses, and their help."""

from __future__ import annotations
