"""The examples of docs/own_cells.md and docs/cells.md run."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["own_cells.md", "cells.md"])
def test_examples_run(page):
    found = doctest.testfile(str(DOCS / page), module_relative=False)
    assert found.attempted > 20
    assert found.failed == 0


def test_the_page_shows_the_cells_of_the_gallery():
    """Its code creates cells that are equal to those that the tests check."""
    from tools.pages.cells import code

    from carrousel import nn

    torch = import_module("torch")
    for exhibit in import_module("benchmarks.cells.gallery").GALLERY.values():
        shown = eval(code(exhibit), {"nn": nn, "torch": torch})
        assert shown.recurrence_name == exhibit.cell.recurrence_name
        if not exhibit.arguments:
            assert shown == exhibit.cell
