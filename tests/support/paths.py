"""Folders of the project, for tests that read its files or start processes."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
"""The folder that Python processes started by tests need on their path."""
ROOT = TESTS.parent
