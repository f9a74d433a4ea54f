"""Prequential errors: recomputed by hand, independent of batches, in constant memory."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.errors import SettingError, ShapeError
from carrousel.online.evaluation.score import ClassScore, ErrorSummary, NumberScore, RunningMoments

STREAMS = 3
MAYBE = st.floats(-9, 9) | st.just(math.nan)
NUMBERS = st.lists(
    st.tuples(MAYBE, MAYBE, st.integers(0, STREAMS - 1), st.sampled_from([False] * 5 + [True])),
    max_size=40,
)
LABEL = st.sampled_from(["a", "b", "c", None])
CLASSES = st.lists(
    st.tuples(
        LABEL,
        st.floats(0, 1),
        LABEL,
        st.integers(0, STREAMS - 1),
        st.sampled_from([False] * 5 + [True]),
    ),
    max_size=40,
)


def figure(found: ErrorSummary, rule: str, measure: str) -> float:
    value = found.errors[rule][measure]
    assert value is not None
    return value


# --- numbers --------------------------------------------------------------------------------------


def naive_numbers(rows) -> list[tuple[float, float, float, float]]:
    """For each row scored: errors of the model, the last value and the mean, and the target."""
    past: dict[int, list[float]] = {}
    found = []
    for guess, y, stream, fresh in rows:
        if fresh:
            past[stream] = []
        before = past.setdefault(stream, [])
        if math.isnan(y):
            continue
        if before and not math.isnan(guess):
            found.append((guess - y, before[-1] - y, sum(before) / len(before) - y, y))
        before.append(y)
    return found


def given_numbers(rows) -> tuple[np.ndarray, ...]:
    guesses, targets, streams, fresh = zip(*rows, strict=True) if rows else ((),) * 4
    return (
        np.array(guesses, float),
        np.array(targets, float),
        np.array(streams, int),
        np.array(fresh, bool),
    )


@given(NUMBERS, st.integers(1, 50))
def test_numbers_are_scored_row_by_row(rows, window):
    score = NumberScore(STREAMS, window)
    given_rows = given_numbers(rows)
    errors = score.add(*given_rows)
    np.testing.assert_array_equal(errors, np.abs(given_rows[0] - given_rows[1]))
    found = naive_numbers(rows)
    for figures, part in ((score.whole(), found), (score.recent(), found[-window:])):
        assert figures.rows == len(part)
        if not part:
            assert {value for rule in figures.errors.values() for value in rule.values()} == {None}
            continue
        table = np.array(part)
        spread = table[:, 3].var()
        for rule, off in zip(figures.errors, table.T, strict=False):
            mae, rmse = figure(figures, rule, "mae"), figure(figures, rule, "rmse")
            np.testing.assert_allclose(mae, np.abs(off).mean(), atol=1e-12)
            np.testing.assert_allclose(rmse, np.sqrt((off**2).mean()), atol=1e-12)
            if spread > 1e-3:
                r2 = figure(figures, rule, "r2")
                np.testing.assert_allclose(r2, 1 - (off**2).mean() / spread, rtol=1e-6)


@given(NUMBERS, st.lists(st.integers(0, 40), max_size=3))
def test_batches_and_states_of_numbers_change_nothing(rows, cuts):
    whole, parts = NumberScore(STREAMS, 7), NumberScore(STREAMS, 7)
    everything = given_numbers(rows)
    whole.add(*everything)
    places = [0, *sorted(cuts), len(rows)]
    for start, stop in pairwise(places):
        parts.add(*(each[start:stop] for each in everything))
        arrays, plain = parts.state()
        parts = NumberScore(STREAMS, 7)
        parts.restore(arrays, json.loads(json.dumps(plain)))
    assert parts.whole() == whole.whole()
    assert parts.recent() == whole.recent()


def test_r2_is_one_for_a_perfect_model_and_below_zero_for_the_running_mean():
    y = np.random.default_rng(0).normal(size=500)
    score = NumberScore()
    score.add(y, y)
    found = score.whole()
    assert found.errors["model"] == {"mae": 0.0, "rmse": 0.0, "r2": 1.0}
    assert -0.2 < figure(found, "running mean", "r2") < 0
    last = figure(found, "last value", "r2")
    np.testing.assert_allclose(last, -1, atol=0.2)  # differences have twice the variance


def test_squares_that_overflow_give_no_value_and_no_warning():
    score = NumberScore(window=2)
    score.add(np.full(5, 1e200), np.arange(5.0))
    assert score.whole().errors["model"] == {"mae": 1e200, "rmse": None, "r2": None}


def test_r2_does_not_depend_on_an_offset_of_the_targets():
    rng = np.random.default_rng(2)
    y = rng.normal(size=3000)
    guess = y + 0.1 * rng.normal(size=3000)
    near, far = NumberScore(), NumberScore()
    near.add(guess, y)
    far.add(guess + 1e6, y + 1e6)
    expected = figure(near.whole(), "model", "r2")
    np.testing.assert_allclose(figure(far.whole(), "model", "r2"), expected, atol=1e-7)


# --- classes --------------------------------------------------------------------------------------


def naive_classes(rows) -> list[tuple[bool, bool, bool, float, float]]:
    """For each row scored: whether each rule is right; bits of the model and of frequencies."""
    past: dict[int, list[str]] = {}
    found = []
    for guess, p, y, stream, fresh in rows:
        if fresh:
            past[stream] = []
        before = past.setdefault(stream, [])
        if y is None:
            continue
        if before and guess is not None:
            counts = Counter(before)
            top = max(counts.values())
            reached = [c for n, c in enumerate(before) if before[: n + 1].count(c) == top]
            share = (counts[y] + 1) / (len(before) + len(counts) + 1)
            bits = min(24.0, -math.log2(p)) if p else 24.0
            found.append((guess == y, before[-1] == y, reached[0] == y, bits, -math.log2(share)))
        before.append(y)
    return found


def given_classes(rows) -> list[Any]:
    guesses, p, targets, streams, fresh = zip(*rows, strict=True) if rows else ((),) * 5
    return [
        list(guesses),
        np.array(p, float),
        list(targets),
        np.array(streams, int),
        np.array(fresh, bool),
    ]


@given(CLASSES, st.integers(1, 50))
def test_classes_are_scored_row_by_row(rows, window):
    score = ClassScore(STREAMS, window)
    found_bits = score.add(*given_classes(rows))
    absent = [guess is None or y is None for guess, _, y, _, _ in rows]
    assert np.isnan(found_bits).tolist() == absent
    found = naive_classes(rows)
    for figures, part in ((score.whole(), found), (score.recent(), found[-window:])):
        assert figures.rows == len(part)
        if not part:
            continue
        means = np.array(part, float).mean(axis=0)
        right = [figure(figures, rule, "accuracy") for rule in score.rules]
        bits = [figure(figures, rule, "bits") for rule in ("model", "commonest class")]
        np.testing.assert_allclose(right + bits, means)
        assert figures.errors["last class"]["bits"] is None


@given(CLASSES, st.lists(st.integers(0, 40), max_size=3))
@settings(max_examples=50)
def test_batches_and_states_of_classes_change_nothing(rows, cuts):
    whole, parts = ClassScore(STREAMS, 7), ClassScore(STREAMS, 7)
    everything = given_classes(rows)
    whole.add(*everything)
    places = [0, *sorted(cuts), len(rows)]
    for start, stop in pairwise(places):
        parts.add(*(each[start:stop] for each in everything))
        arrays, plain = parts.state()
        parts = ClassScore(STREAMS, 7)
        parts.restore(arrays, json.loads(json.dumps(plain)))
    assert parts.whole() == whole.whole()
    assert parts.recent() == whole.recent()


def test_frequencies_of_a_fair_coin_cost_one_bit():
    y = np.random.default_rng(0).choice(["head", "tail"], 4000).tolist()
    score = ClassScore()
    score.add(y, np.ones(4000), y)
    found = score.whole()
    assert found.errors["model"] == {"accuracy": 1.0, "bits": 0.0}
    np.testing.assert_allclose(figure(found, "commonest class", "bits"), 1.0, atol=0.01)
    np.testing.assert_allclose(figure(found, "last class", "accuracy"), 0.5, atol=0.05)


# --- running moments ------------------------------------------------------------------------------


@given(st.lists(st.floats(-9, 9), max_size=60), st.integers(1, 9), st.integers(0, 60))
def test_running_moments_cover_all_rows_and_the_last_ones(values, window, cut):
    rows = np.array(values).reshape(-1, 1)
    moments = RunningMoments(1, window)
    moments.add(rows[:cut])
    moments.add(rows[cut:])
    for found, part in ((moments.whole(), rows), (moments.recent(), rows[-window:])):
        assert found.rows == len(part)
        if len(part):
            np.testing.assert_allclose(found.mean, part.mean(axis=0), atol=1e-12)
            np.testing.assert_allclose(found.variance, part.var(axis=0), atol=1e-10)


def test_memory_depends_on_streams_and_window_only():
    rng, score = np.random.default_rng(0), NumberScore(10, 50)
    sizes = set()
    for _ in range(20):
        y = rng.normal(size=200)
        score.add(y, y, rng.integers(0, 10, 200), rng.random(200) < 0.01)
        sizes.add(sum(each.nbytes for each in score.state()[0].values()))
    assert len(sizes) == 1


@pytest.mark.parametrize("kind", [NumberScore, ClassScore])
def test_states_of_other_shapes_are_refused(kind):
    with pytest.raises(ShapeError, match="state has 3 streams, expected at most 2"):
        kind(2).restore(*kind(3).state())
    with pytest.raises(ShapeError, match=r"window of shape \(5, .*expected \(4"):
        kind(2, window=4).restore(*kind(2, window=5).state())
    for wrong in ({"streams": 0}, {"window": 0}):
        with pytest.raises(SettingError, match=next(iter(wrong))):
            kind(**wrong)
