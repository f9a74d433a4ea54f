"""The model that learns a stream row by row, and its files."""

from __future__ import annotations
