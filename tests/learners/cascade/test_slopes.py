"""Cascade-correlation's slopes against finite differences and Fahlman's traces."""

from __future__ import annotations

import doctest
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carrousel.kernels.reference.cascade import (
    CascadeData,
    correlation_slopes,
    distinct,
    outcome,
    output_slopes,
    squared_error,
    squash,
)
from carrousel.learners.cascade.data import packed
from carrousel.learners.cascade.train import Phase, Progress, quickprop
from carrousel.sequences import Sequences
from support.case import each
from support.learners.packing import drawn_sequences, few, pack, shapes

DERIVATION = Path(__file__).parents[3] / "docs" / "derivations" / "cascade.md"


def hidden_on(rng: np.random.Generator, batch: CascadeData, grown: int) -> np.ndarray:
    """Random activations, one for each step."""
    return rng.uniform(-1.0, 1.0, (grown, batch.n_steps))


def differences(merit, weights: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Central differences of ``merit(weights)`` by each weight; the error is of order ``h**2``."""
    slopes = np.zeros_like(weights)
    for place in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[place] = h
        slopes[place] = (merit(weights + step) - merit(weights - step)) / (2 * h)
    return slopes


@few
@shapes
def test_output_slopes_are_finite_differences(seed, n_inputs, n_outputs, grown, symbolic, when):
    rng = np.random.default_rng(seed)
    batch = pack(drawn_sequences(rng, n_inputs, n_outputs, symbolic, when))
    hidden = hidden_on(rng, batch, grown)
    weights = rng.uniform(-2.0, 2.0, (n_outputs, 1 + n_inputs + grown))

    def half_mean_square(weights: np.ndarray) -> float:
        error = squared_error(outcome(weights, batch, hidden), batch)
        return 0.5 * error / max(1.0, batch.times.sum())

    slopes = output_slopes(outcome(weights, batch, hidden), batch, hidden, offset=0.0)
    np.testing.assert_allclose(slopes, differences(half_mean_square, weights), atol=1e-8)

    # An offset adds so much of the slope that linear outputs with these errors would have.
    found = outcome(weights, batch, hidden)
    linear = output_slopes(found._replace(derivative=np.ones(1)), batch, hidden, offset=0.0)
    offset = output_slopes(found, batch, hidden, offset=0.25)
    np.testing.assert_allclose(offset, slopes + 0.25 * linear, atol=1e-12)


@each("f", ["logistic", "tanh"])
@each("normalised", [False, True])
@few
@shapes
def test_correlation_slopes_are_finite_differences(
    f, normalised, seed, n_inputs, n_outputs, grown, symbolic, when
):
    rng = np.random.default_rng(seed)
    batch = pack(drawn_sequences(rng, n_inputs, n_outputs, symbolic, when))
    hidden = hidden_on(rng, batch, grown)
    errors = rng.uniform(-1.0, 1.0, (n_outputs, len(batch.at)))
    weights = rng.uniform(-2.0, 2.0, (3, 1 + n_inputs + grown + 1))

    def merits(weights: np.ndarray) -> np.ndarray:
        return correlation_slopes(weights, batch, hidden, errors, f, normalised)[0]

    slopes = correlation_slopes(weights, batch, hidden, errors, f, normalised)[1]
    expected = differences(lambda weights: merits(weights).sum(), weights)
    # A correlation that crosses zero within a difference has no slope there: a kink of |.|.
    # Each output's counts by itself: the sum of the others may hide that one is near its kink.
    one_by_one = [
        correlation_slopes(weights, batch, hidden, error[None], f, normalised=False)[0]
        for error in errors
    ]
    crosses = np.min(one_by_one, axis=0) < 1e-3
    np.testing.assert_allclose(slopes[~crosses], expected[~crosses], atol=1e-7)


@few
@shapes
def test_correlation_and_slopes_are_those_of_the_traces(
    seed, n_inputs, n_outputs, grown, symbolic, when
):
    """One candidate, string by string and step by step, as Fahlman (1991) writes it."""
    rng = np.random.default_rng(seed)
    data = drawn_sequences(rng, n_inputs, n_outputs, symbolic, when)
    which, own = distinct(data), -0.7
    batch, index = packed(data, which)
    hidden = hidden_on(rng, batch, grown)
    errors = rng.uniform(-1.0, 1.0, (n_outputs, len(batch.at)))
    weights = np.append(rng.uniform(-1.0, 1.0, 1 + n_inputs + grown), own)
    inputs, position = data.dense_inputs(), {int(t): m for m, t in enumerate(data.target_steps)}

    # hidden activations are given per packed place; steps of the data find theirs through targets
    place_of = _places(data, batch, which)
    values, traces, rows = [], [], []
    for start, stop in pairwise(data.offsets):
        value, trace = 0.0, np.zeros_like(weights)
        for step in range(start, stop):
            sources = np.array([1.0, *inputs[step], *hidden[:, place_of[step]], value])
            value = 1.0 / (1.0 + np.exp(-(weights @ sources)))
            trace = value * (1.0 - value) * (sources + own * trace)
            if step in position:
                values.append(value)
                traces.append(trace)
                rows.append(errors[:, index[position[step]]])
    if not values:
        return
    error = np.array(rows) - np.mean(rows, axis=0)
    centred = np.array(values) - np.mean(values)
    covariance = centred @ error / len(values)
    slope = np.sign(covariance) @ (error.T @ np.array(traces)) / len(values)

    merits, slopes = correlation_slopes(weights[None], batch, hidden, errors, "logistic", False)
    np.testing.assert_allclose(merits, [np.abs(covariance).sum()], atol=1e-12)
    if np.abs(covariance).min() > 1e-9:
        np.testing.assert_allclose(slopes[0], slope, atol=1e-12)


@each("f", ["logistic", "tanh"])
@each("width", [4, 7, 8, 9, 16])
def test_a_column_among_others_is_squashed(f, width):
    """As in a batch of which one sequence is left; some of NumPy's loops fail at width 8."""
    net = np.random.default_rng(width).uniform(-2.0, 2.0, (5, width))
    column = net[:, 3:4]
    expected = np.tanh(column) if f == "tanh" else 1.0 / (1.0 + np.exp(0.0 - column))
    untouched = np.delete(net, 3, axis=1)
    squash(column, f)
    np.testing.assert_allclose(column, expected, rtol=1e-14)  # a few roundings of 1.1e-16
    np.testing.assert_array_equal(np.delete(net, 3, axis=1), untouched)


def _places(data: Sequences, batch: CascadeData, which: np.ndarray) -> np.ndarray:
    starts = np.array([start for start, _ in batch.spans])
    return np.concatenate(
        [starts[:length] + rank for length, rank in zip(data.lengths, which, strict=True)]
    )


@few
@shapes
def test_a_batch_is_a_multiset(seed, n_inputs, n_outputs, grown, symbolic, when):
    """The same sequences in another order are the same batch, to the bit."""
    rng = np.random.default_rng(seed)
    data = drawn_sequences(rng, n_inputs, n_outputs, symbolic, when)
    mixed = data.take(rng.permutation(len(data)))
    assert sorted(distinct(data)) == sorted(distinct(mixed))
    for name, array in vars(pack(data)).items():
        np.testing.assert_array_equal(array, vars(pack(mixed))[name], err_msg=name)


def test_quickprop_by_hand():
    slope = np.array([1.0, 1.0, -1.0, 3.0, 0.5, 1.0])
    last_slope = np.array([4.0, 1.5, 1.0, 2.0, -1.0, 0.0])
    last_step = np.array([-3.0, -3.0, -3.0, -3.0, -3.0, 0.0])
    expected = [
        -3.0 * 1 / 3 - 0.1 * 1.0,  # parabola onward, and a step along the slope
        -3.0 * 2.0 - 0.1 * 1.0,  # parabola too far: at most mu times the last step
        3.0 * 1 / 2,  # through the lowest point: the parabola leads back, nothing is added
        -3.0 * 2.0 - 0.1 * 3.0,  # downhill and steeper than before: mu times the last step
        -3.0 * 2.0 - 0.1 * 0.5,  # downhill where it went uphill: no lowest point
        -0.1 * 1.0,  # first step
    ]
    np.testing.assert_allclose(quickprop(slope, last_slope, last_step, 0.1, 2.0), expected)


def test_quickprop_does_not_follow_a_parabola_uphill():
    """Slopes fall on the way up a hill; a step must not lead to its top."""
    step = quickprop(np.array([-0.9]), np.array([-1.0]), np.array([-3.0]), 0.1, 2.0)
    np.testing.assert_allclose(step, [0.09 * 1.0])


def test_quickprop_finds_the_bottom_of_a_bowl():
    """Where the error is a sum of parabolas, an unlimited step reaches its minimum."""
    curvature, bottom = np.array([0.5, 1.0, 3.0]), np.array([1.0, -2.0, 0.25])
    weights, slope, step = np.zeros(3), np.zeros(3), np.zeros(3)
    for _ in range(60):
        new = curvature * (weights - bottom)
        step, slope = quickprop(new, slope, step, 0.05, 1.75), new
        weights = weights + step
    np.testing.assert_allclose(weights, bottom, atol=1e-9)


@given(
    values=st.lists(
        st.tuples(*[st.floats(-1e3, 1e3, allow_subnormal=False)] * 3), min_size=1, max_size=8
    )
)
def test_quickprop_steps_are_bounded(values):
    slope, last_slope, last_step = np.array(values).T
    step = quickprop(slope, last_slope, last_step, 0.1, 2.0)
    bound = 2.0 * np.abs(last_step) + 0.1 * np.abs(slope)
    assert np.all(np.abs(step) <= bound * (1 + 1e-12))


def test_a_phase_ends_after_its_patience_or_its_last_epoch():
    phase = Phase(epsilon=1.0, threshold=0.1, patience=3, most_epochs=9)
    stagnating = [10.0, 8.0, 7.9, 8.1, 7.8, 8.0]
    falling = [2.0**-n for n in range(12)]
    assert _epochs_until_end(stagnating, phase) == 5  # the last progress was at epoch 2
    assert _epochs_until_end(falling, phase) == 9
    assert _epochs_until_end([float("nan")] * 12, phase) == 4


def _epochs_until_end(merits: list[float], phase: Phase) -> int:
    progress = Progress()
    for epoch, merit in enumerate(merits, 1):
        progress, ended = progress.after(merit, phase)
        if ended:
            return epoch
    raise AssertionError("the phase did not end")


def test_examples_of_the_derivation_run():
    found = doctest.testfile(str(DERIVATION), module_relative=False)
    assert found.attempted > 20
    assert found.failed == 0
