"""Inputs that are missing, where that is allowed: no problem, and told apart from broken ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from carrousel.errors import UnknownNameError
from carrousel.online.clean.cleaner import Schema, Table
from carrousel.online.sources.text import Batch, Position

BATCH = Batch(
    range(2, 6),
    ("x", "c", "y"),
    [("1", "", "oops", "4"), ("a", "b", "c", ""), ("1", "2", "3", "4")],
    (),
    Position(),
    "rows.csv",
)


@pytest.mark.parametrize("on_error", ["fail", "skip", "hold"])
def test_a_missing_input_is_no_problem_where_it_stands_for_the_mean(on_error):
    table = Table(Schema.of(BATCH, target="y"), missing="mean")
    again = Table.from_state(json.loads(json.dumps(table.state())))
    for each in (table, again):
        taken = each.take(BATCH, on_error)
        assert {problem.line for problem in taken.problems} == {4}
        expected = {"fail": [0, 1], "skip": [0, 1, 3], "hold": [0, 1, 2, 3]}[on_error]
        assert taken.rows.tolist() == expected
        numbers = np.array([1.0, np.nan, np.nan, 4.0])  # "hold": nothing came last to be held
        np.testing.assert_array_equal(taken.columns["x"], numbers[expected])
        assert taken.columns["c"] == [["a", "b", "c", None][row] for row in expected]


def test_a_missing_input_is_wrong_elsewhere():
    assert Table(Schema.of(BATCH)).take(BATCH, "skip").rows.tolist() == [0]
    with pytest.raises(UnknownNameError, match="missing"):
        Table(Schema.of(BATCH), missing="men")
