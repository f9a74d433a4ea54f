"""Features: standardised values, gaps carried forward with their age, irregular times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.errors import DataError
from carrousel.estimators.data.series import Series
from carrousel.estimators.net.features import FARTHEST, Features


def test_a_gap_repeats_the_last_value_and_grows_older():
    nan = np.nan
    features = Features(np.array([10.0]), np.array([2.0]))
    inputs, lengths = features.batch(
        Series.of([[[nan], [12.0], [nan], [nan], [8.0]]]), np.arange(1)
    )
    assert lengths.tolist() == [5]
    np.testing.assert_allclose(inputs[:, 0, 0], [0.0, 1.0, 1.0, 1.0, -1.0])
    # before the first value, as if the mean had been seen one step before the series
    np.testing.assert_allclose(inputs[:, 0, 1], np.log1p([1.0, 0.0, 1.0, 2.0, 0.0]), rtol=1e-6)


def test_ages_and_steps_are_in_usual_steps():
    values, times = [[[1.0], [np.nan], [np.nan]]], np.array([100.0, 103.0, 109.0])
    series = Series.of(values, times=times)
    features = Features(np.zeros(1), np.ones(1), timed=True, unit=3.0)
    inputs, _ = features.batch(series, np.arange(1))
    np.testing.assert_allclose(inputs[:, 0, 1], np.log1p([0.0, 1.0, 3.0]), rtol=1e-6)
    np.testing.assert_allclose(inputs[:, 0, 2], np.log1p([0.0, 1.0, 2.0]), rtol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_inputs_do_not_depend_on_units_or_on_later_steps(seed):
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(T, 3)) for T in rng.integers(1, 9, size=4)]
    rows[0][rng.random(rows[0].shape) < 0.4] = np.nan
    series = Series.of(rows)
    mine, lengths = Features.fit(series).batch(series, np.arange(4))
    other = Series.of([row * [3.0, 0.01, 1e6] + [5.0, -1.0, 1e7] for row in rows])
    theirs, _ = Features.fit(other).batch(other, np.arange(4))
    short = Series.of([row[:-1] for row in rows if len(row) > 1])
    cut, cut_lengths = Features.fit(series).batch(short, np.arange(len(short)))
    longer = np.flatnonzero(lengths > 1)
    for b, n in enumerate(lengths):
        np.testing.assert_allclose(mine[:n, b], theirs[:n, b], rtol=1e-4, atol=1e-5)
    for b, n in enumerate(cut_lengths):
        np.testing.assert_array_equal(cut[:n, b], mine[:n, longer[b]])


def test_statistics_are_those_of_the_values_present():
    values = np.array([[1.0, np.nan], [3.0, 5.0], [np.nan, 5.0]])
    features = Features.fit(Series.of([values]))
    np.testing.assert_allclose(features.mean, np.nanmean(values, axis=0))
    np.testing.assert_allclose(features.scale, [1.0, 1.0])  # a constant channel is not divided


def test_values_that_would_overflow_are_errors():
    series = Series.of([[[0.0], [1.0]], [[0.0], [10.0 * FARTHEST]]])
    with pytest.raises(DataError, match=r"series 1, step 1.*1e\+16"):
        Features(np.zeros(1), np.ones(1)).batch(series, np.arange(2))
