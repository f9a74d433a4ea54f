"""Experiments 4 and 5: the adding and the multiplication problem."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carrousel.experiments.store.settings import describe
from carrousel.sequences import Sequences
from carrousel.tasks import Adding, Multiplication
from support.case import each

seeds = st.integers(0, 2**32)
hows = st.sampled_from(["target", "input", "marker", "both"])
seconds = st.sampled_from(["any", "not_first", "counts"])
kinds = st.sampled_from([Adding, Multiplication])


def marks(data: Sequences) -> np.ndarray:
    """Positions within their sequence of both marks, ``[N, 2]``, ascending."""
    steps = np.flatnonzero(data.inputs[:, 1] == 1.0).reshape(len(data), 2)
    return steps - data.offsets[:-1, None]


@settings(max_examples=80, deadline=None)
@given(
    seed=seeds,
    length=st.integers(11, 60),
    how=hows,
    kind=kinds,
    n=st.integers(1, 60),
    second=st.sampled_from(["any", "not_first"]),
)
def test_markers_and_targets_one_by_one(seed, length, how, kind, n, second):
    neutral = {Adding: 0.0, Multiplication: 1.0}[kind]
    for one in kind(length, how, second).sample(np.random.default_rng(seed), n):
        assert length <= one.n_steps <= length + length // 10
        assert one.target_steps.tolist() == [one.n_steps - 1]
        values, markers = one.inputs.astype(np.float64).T
        places = [place for place, marker in enumerate(markers) if marker == 1.0]
        hidden = how in ("marker", "both") and len(places) == 1
        assert len(places) == (1 if hidden else 2)
        for place, marker in enumerate(markers):
            if place in places:
                assert marker == 1.0
            elif place in (0, one.n_steps - 1):
                assert marker == -1.0
            else:
                assert marker == 0.0
        assert min(places) < 10 or hidden
        assert max(places) < max(length // 2, 10)
        factors = [values[place] for place in places] + [neutral] * hidden
        assert not (hidden and how == "both") or values[0] == neutral
        if places[0] == 0:
            assert how in ("target", "input")
            assert how != "input" or values[0] == neutral
            factors[0] = neutral
        wanted = 0.5 + sum(factors) / 4 if kind is Adding else factors[0] * factors[1]
        np.testing.assert_allclose(one.targets, [[wanted]], rtol=0, atol=2e-7)


@each("kind", [Adding, Multiplication])
def test_first_pair_changes_only_the_first_pair(kind):
    shown, zeroed, unmarked, neither = (
        kind(100, how).sample(np.random.default_rng(3), 500)
        for how in ("target", "input", "marker", "both")
    )
    hit = marks(shown)[:, 0] == 0
    assert 30 < np.count_nonzero(hit) < 90
    starts = shown.offsets[:-1][hit]
    for other, column in ((zeroed, 0), (unmarked, 1)):
        np.testing.assert_array_equal(other.targets, shown.targets)
        changed = np.argwhere(other.inputs != shown.inputs)
        np.testing.assert_array_equal(changed, [[start, column] for start in starts])
    np.testing.assert_array_equal(unmarked.inputs[starts, 1], -1.0)
    np.testing.assert_array_equal(neither.targets, shown.targets)
    np.testing.assert_array_equal(neither.inputs[:, 0], zeroed.inputs[:, 0])
    np.testing.assert_array_equal(neither.inputs[:, 1], unmarked.inputs[:, 1])


@settings(max_examples=40, deadline=None)
@given(seed=seeds, length=st.integers(11, 60), how=hows, kind=kinds, n=st.integers(1, 60))
def test_counts_differs_from_any_only_if_the_second_mark_hits(seed, length, how, kind, n):
    """If it hits, the pair is marked and shown, and its value counts in the target.

    A sequence does not show which mark has hit. It was the second if both settings give the same
    inputs with "target" and different targets.
    """
    plain, counts, excepted = (
        kind(length, first_pair, second).sample(np.random.default_rng(seed), n)
        for first_pair, second in (("target", "any"), ("target", "counts"), (how, "counts"))
    )
    other = kind(length, how).sample(np.random.default_rng(seed), n)
    np.testing.assert_array_equal(counts.inputs, plain.inputs)
    np.testing.assert_array_equal(excepted.targets, counts.targets)
    hit_by_second = (counts.targets != plain.targets)[:, 0]
    for number, (one, its_other) in enumerate(zip(excepted, other, strict=True)):
        places = np.flatnonzero(one.inputs[:, 1] == 1.0)
        if hit_by_second[number]:
            assert places[0] == 0
            values = one.inputs[places, 0].astype(np.float64)
            wanted = 0.5 + values.sum() / 4 if kind is Adding else values.prod()
            np.testing.assert_allclose(one.targets, [[wanted]], rtol=0, atol=2e-7)
        else:
            np.testing.assert_array_equal(one.inputs, its_other.inputs)
            np.testing.assert_array_equal(one.targets, its_other.targets)


@each("kind", [Adding, Multiplication])
def test_frequency_of_second_marks_on_the_first_pair(kind):
    """By the first mark in a tenth of all sequences, by the second in 9/10 of a 49th, or never."""
    n = 20_000
    for second, chance in (("any", 0.1 + 0.9 / 49), ("counts", 0.1 + 0.9 / 49), ("not_first", 0.1)):
        data = kind(100, "target", second).sample(np.random.default_rng(8), n)
        hits = np.count_nonzero(marks(data)[:, 0] == 0)
        assert abs(hits - n * chance) < 3.5 * np.sqrt(n * chance * (1 - chance)), second
    # the two settings can be distinguished
    assert n * 0.9 / 49 > 2 * 3.5 * np.sqrt(n * 0.12 * 0.88)
    shown, counts = (
        kind(100, "target", second).sample(np.random.default_rng(8), n)
        for second in ("any", "counts")
    )
    changed = np.count_nonzero(shown.targets != counts.targets)
    assert abs(changed - n * 0.9 / 49) < 5 * np.sqrt(n * 0.9 / 49)


def test_not_first_is_uniform_over_the_other_pairs():
    """One of the first 49 remaining pairs except the first one: 48, or 49 if that is marked."""
    n = 20_000
    places = marks(Adding(100, "target", "not_first").sample(np.random.default_rng(9), n))
    after_first = places[places[:, 0] == 0, 1]
    counts = np.bincount(after_first, minlength=50)
    assert (counts[0], len(counts)) == (0, 50)
    spread = np.sqrt(len(after_first) / 49)
    assert np.all(np.abs(counts[1:] - len(after_first) / 49) < 5 * spread)
    counts = np.bincount(places.ravel(), minlength=50)
    assert len(counts) == 50
    chance = np.zeros(50)
    for first in range(10):
        chance[first] += 0.1
        candidates = [k for k in range(50) if k != first and k > 0]
        chance[candidates] += 0.1 / len(candidates)
    np.testing.assert_allclose(chance.sum(), 2.0)
    spread = np.sqrt(n * chance * (1 - chance))
    assert np.all(np.abs(counts - n * chance) < 5 * spread)


@given(length=st.integers(11, 60), how=hows, second=seconds, kind=kinds)
def test_the_default_second_mark_is_omitted_from_fingerprints(length, how, second, kind):
    """Trials stored before this setting existed belong to the same experiment."""
    written = describe(kind(length, how, second))
    assert ("second" in written) == (second != "any")


@each("kind, low", [(Adding, -1.0), (Multiplication, 0.0)])
def test_distributions(kind, low):
    n = 6000
    data = kind(100, "target").sample(np.random.default_rng(4), n)
    values = data.inputs[:, 0].astype(np.float64)
    assert low <= values.min() < low + 1e-4
    assert 1 - 1e-4 < values.max() <= 1
    assert stats.kstest(values[::7], stats.uniform(low, 1 - low).cdf).pvalue > 1e-4
    lengths = np.bincount(data.lengths, minlength=111)[100:]
    assert len(lengths) == 11
    assert stats.chisquare(lengths).pvalue > 1e-4

    # First mark: one of 10. Second: one of the first 49 remaining pairs, so of places 0 to 49.
    places = marks(data)
    counts = np.bincount(places.ravel(), minlength=50)
    assert len(counts) == 50
    chance = np.full(50, 1 / 49)  # by the second mark
    chance[:10] = 1 / 10 + 9 / 10 / 49  # by the first, or by the second if the first was elsewhere
    np.testing.assert_allclose(chance.sum(), 2.0)
    spread = np.sqrt(n * chance * (1 - chance))
    assert np.all(np.abs(counts - n * chance) < 5 * spread)
    # the second sometimes precedes the first
    assert np.count_nonzero(places[:, 1] < 10) > 0


def test_targets_are_in_the_range_of_a_logistic_unit():
    rng = np.random.default_rng(5)
    for task in (Adding(100), Multiplication(100)):
        targets = task.sample(rng, 5000).targets
        assert targets.min() >= 0.0
        assert targets.max() <= 1.0
        if isinstance(task, Adding):
            # variance of (X1 + X2) / 4, of which X1 is 0 in a tenth and X2 in 9/490 of all cases
            variance = (0.9 + 1 - 9 / 490) / 3 / 16
            assert abs(targets.var(dtype=np.float64) / variance - 1) < 5 * np.sqrt(2 / 5000)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, kind=kinds, n=st.integers(1, 60))
def test_correct_against_a_slow_loop(seed, kind, n):
    task = kind(20)
    rng = np.random.default_rng(seed)
    data = task.test(rng, n)
    outputs = data.targets + rng.uniform(-0.08, 0.08, (n, 1)).astype(np.float32)
    expected = [
        abs(float(output) - float(target)) < 0.04
        for output, target in zip(outputs[:, 0], data.targets[:, 0], strict=True)
    ]
    np.testing.assert_array_equal(task.correct(outputs, data), expected)
