"""Kinds of columns: numbers or labels, from the first value that says so."""

from __future__ import annotations

import pytest

from carrousel.errors import DataError
from carrousel.online.clean.schema import Schema
from carrousel.online.sources.types import Batch, Position


def batch(*values: str) -> Batch:
    columns = [list(values), ["1"] * len(values)]
    return Batch(range(2, 2 + len(values)), ("x", "y"), columns, (), Position(), "rows.csv")


def test_words_for_missing_values_do_not_make_a_label():
    for word in ("NA", "n/a", "#N/A", "null", "-", "?"):
        assert Schema.of(batch(word, "", "2.5"), target="y").numbers == ("x",), word
        assert "x" in Schema.of(batch(word, "red"), target="y").categories, word
        assert "x" in Schema.of(batch(word, word), target="y").categories, word


def test_numbers_with_a_decimal_comma_are_refused():
    for value in ("1,5", " -0,25 ", "3,5e2"):
        with pytest.raises(DataError, match="a number with a decimal comma"):
            Schema.of(batch(value, "2,5"), target="y")
        assert "x" in Schema.of(batch(value), target="y", categories=["x"]).categories
    assert "x" in Schema.of(batch("1,5,7"), target="y").categories
