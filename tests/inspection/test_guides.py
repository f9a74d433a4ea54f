"""The examples of docs/error_flow.md and docs/inspection.md run."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("page", "least"), [("error_flow.md", 30), ("inspection.md", 25)])
def test_examples_run(page, least):
    found = doctest.testfile(str(DOCS / page), module_relative=False)
    assert found.attempted > least
    assert found.failed == 0
