"""Missing inputs where they are allowed: not a problem, unlike unreadable ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from carrousel.errors import UnknownNameError
from carrousel.online.clean.cleaner import Cleaner
from carrousel.online.clean.schema import Schema
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
def test_a_missing_input_is_not_a_problem_with_missing_mean(on_error):
    cleaner = Cleaner(Schema.of(BATCH, target="y"), missing="mean")
    again = Cleaner.from_state(json.loads(json.dumps(cleaner.state())))
    for each in (cleaner, again):
        clean = each.clean(BATCH, on_error)
        assert {problem.line for problem in clean.problems} == {4}
        expected = {"fail": [0, 1], "skip": [0, 1, 3], "hold": [0, 1, 2, 3]}[on_error]
        assert clean.rows.tolist() == expected
        numbers = np.array([1.0, np.nan, np.nan, 4.0])  # "hold" has no last value
        np.testing.assert_array_equal(clean.columns["x"], numbers[expected])
        assert clean.columns["c"] == [["a", "b", "c", None][row] for row in expected]


def test_a_missing_input_is_a_problem_by_default():
    assert Cleaner(Schema.of(BATCH)).clean(BATCH, "skip").rows.tolist() == [0]
    with pytest.raises(UnknownNameError, match="missing"):
        Cleaner(Schema.of(BATCH), missing="men")
