"""Checks before training: each mistake is found, and the message names the series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.errors import DataError, DataTypeError, ShapeError
from carrousel.estimators.data.checks import (
    ConstantChannelWarning,
    check_apart,
    check_groups,
    check_labels,
    check_series,
    check_step_targets,
    check_targets,
    check_weights,
)
from carrousel.estimators.data.series import Series
from support.case import case

THREE = Series.of([[[1.0], [2.0]], [[3.0]], [[4.0]]], ids=("u", "v", "w"))


def of(values: Any, **fields: Any) -> Series:
    return Series.of([np.asarray(values, float)], **fields)


def test_series():
    check_series(THREE)
    empty = Series(np.ones((1, 1)), np.array([0, 1, 1]), ("x0",))
    for series, message in (
        (Series.of([]), "no series"),
        (empty, "series 1 of Z is empty"),
        (of([[1.0], [np.inf]]), "column 'x0': series 0 of Z, step 1"),
        (of([[1.0], [2.0]], times=np.array([1.0, 1.0])), "two steps have the time 1"),
        (of([[np.nan], [np.nan]]), "every value of Z is missing"),
    ):
        with case(message), pytest.raises(DataError, match=message):
            check_series(series, "Z")


def test_constant_channels_warn():
    for values, message in (
        ([[1.0, 5.0], [2.0, 5.0]], "channel 'x1' of X is always 5"),
        ([[1.0, np.nan], [2.0, np.nan]], "channel 'x1' of X is always missing"),
        ([[1.0, np.nan], [2.0, 5.0]], "channel 'x1' of X is always 5"),
    ):
        with case(values), pytest.warns(ConstantChannelWarning, match=message):
            check_series(of(values))


WRONG: list[tuple[Any, Any, type[Exception], str]] = [
    (check_labels, None, ShapeError, "requires y to be passed"),
    (check_labels, ["a", "b"], ShapeError, "2 entries for 3 series"),
    (check_labels, ["a", None, "b"], DataError, "label of series 'v' is missing"),
    (check_labels, [1.0, np.nan, 2.0], DataError, "label of series 'v'.*contains NaN"),
    (check_labels, ["a", "a", "a"], DataError, "only 1 class, 'a'"),
    (check_labels, [0.5, 1.0, 2.0], DataTypeError, "Unknown label type: continuous"),
    (check_labels, np.zeros((3, 2)), ShapeError, r"shape \(3, 2\)"),
    (check_targets, [1.0, 2.0], ShapeError, "2 entries for 3 series"),
    (check_targets, [1.0, None, 2.0], DataError, "target of series 'v' is missing"),
    (check_targets, [1.0, np.inf, 2.0], DataError, "target of series 'v' is infinite"),
    (check_targets, [[1.0, 2.0], [1.0, np.nan], [0.0, 0.0]], DataError, "series 'v'"),
    (check_targets, ["a", "b", "c"], DataTypeError, "expected"),
    (check_targets, [1j, 2, 3], DataTypeError, "Complex data not supported"),
    (check_targets, [[1.0], [1.0, 2.0], [1.0]], ShapeError, "ragged"),
    (check_step_targets, None, ShapeError, "expected a list"),
    (check_step_targets, [[1, 2], [1]], ShapeError, "2 entries for 3 series"),
    (check_step_targets, [[1], [1], [1]], ShapeError, "series 'u' has 2 steps"),
    (check_step_targets, [[None, None], [np.nan], [None]], DataError, "no target"),
    (check_weights, [1.0, 2.0], ShapeError, "2 entries for 3 series"),
    (check_weights, [1.0, -1.0, 2.0], DataError, "weight of series 'v' is -1"),
    (check_weights, [1.0, 2.0, np.nan], DataError, "weight of series 'w' is nan"),
    (check_weights, [0, 0, 0], DataError, "every weight"),
    (check_weights, np.ones((3, 2)), ShapeError, "must be 1D"),
    (check_groups, ["p", "q"], ShapeError, "2 entries for 3 series"),
    (check_groups, ["p", None, "q"], DataError, "group of series 'v' is missing"),
    (check_groups, ["p", "p", "p"], DataError, "all series are in the group 'p'"),
]


def test_wrong_targets_name_the_series():
    for check, given, kind, message in WRONG:
        with case(check.__name__, given), pytest.raises(kind, match=message):
            check(given, THREE)


def test_right_targets_pass():
    assert check_labels([2, 1, 2], THREE).tolist() == [2, 1, 2]
    assert check_labels([[1.0], [0.0], [1.0]], THREE).shape == (3,)
    assert check_targets([1, 2, 3], THREE).dtype == np.float64
    assert check_targets(np.ones((3, 2)), THREE).shape == (3, 2)
    steps = check_step_targets([["a", None], ["b"], [None]], THREE)
    assert [each.tolist() for each in steps] == [["a", None], ["b"], [None]]
    assert check_weights(2.0, THREE).tolist() == [2.0, 2.0, 2.0]
    assert check_groups(None, THREE) is None


def test_series_in_training_and_test():
    check_apart(["a"], ["b"])
    with pytest.raises(DataError, match=r"4 ids occur.*1, 2, 3, \.\.\."):
        check_apart(range(5), [1, 2, 3, 4, 9])


@pytest.mark.parametrize(
    "labels",
    [
        np.array([b"a", b"b"]),
        np.array(["2020", "2021"], "datetime64[Y]"),
        np.array([b"a", "b"], object),
        np.array([1.0, np.inf]),
    ],
)
def test_labels_that_no_file_can_hold_are_refused(labels):
    with pytest.raises(DataTypeError, match="text, whole numbers or truth values"):
        check_labels(labels, Series.of([[[1.0]], [[2.0]]]))


@pytest.mark.parametrize("value", [np.inf, 1e200, -1.7e308])
def test_targets_whose_variance_would_be_infinite_are_refused(value):
    with pytest.raises(DataError, match="infinite, or above"):
        check_targets([1.0, value], Series.of([[[1.0]], [[2.0]]]))


def test_values_that_differ_too_little_for_a_variance_are_refused():
    """Their channel would count as constant, and targets would be in wrong units."""
    tiny = 1e-310 * np.arange(3.0)
    two = Series.of([np.column_stack([np.arange(3.0), tiny])])
    with pytest.raises(DataError, match=r"column 'x1'.*differ by at most 2e-310.*smaller unit"):
        check_series(two)
    rows = Series.of([[[1.0]]] * 3)
    with pytest.raises(DataError, match="values of y differ"):
        check_targets(tiny, rows)
    assert check_targets(np.zeros(3), rows).tolist() == [[0.0]] * 3
    assert check_targets([0.0, 1e-140, 1.0], rows).ravel().tolist() == [0.0, 1e-140, 1.0]
