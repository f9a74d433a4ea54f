"""Experiments 4 and 5: the adding and the multiplication problem."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carrousel.sequences import Sequences
from carrousel.tasks import Adding, Multiplication

seeds = st.integers(0, 2**32)
hows = st.sampled_from(["target", "input", "marker"])
kinds = st.sampled_from([Adding, Multiplication])


def marks(data: Sequences) -> np.ndarray:
    """Positions within their sequence of both marks, ``[N, 2]``, ascending."""
    steps = np.flatnonzero(data.inputs[:, 1] == 1.0).reshape(len(data), 2)
    return steps - data.offsets[:-1, None]


@settings(max_examples=80, deadline=None)
@given(seed=seeds, length=st.integers(11, 60), how=hows, kind=kinds, n=st.integers(1, 60))
def test_markers_and_targets_one_by_one(seed, length, how, kind, n):
    neutral = {Adding: 0.0, Multiplication: 1.0}[kind]
    for one in kind(length, how).sample(np.random.default_rng(seed), n):
        assert length <= one.n_steps <= length + length // 10
        assert one.target_steps.tolist() == [one.n_steps - 1]
        values, markers = one.inputs.astype(np.float64).T
        places = [place for place, marker in enumerate(markers) if marker == 1.0]
        hidden = how == "marker" and len(places) == 1
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
        if places[0] == 0:
            assert how != "marker"
            assert how != "input" or values[0] == neutral
            factors[0] = neutral
        wanted = 0.5 + sum(factors) / 4 if kind is Adding else factors[0] * factors[1]
        np.testing.assert_allclose(one.targets, [[wanted]], rtol=0, atol=2e-7)


@pytest.mark.parametrize("kind", [Adding, Multiplication])
def test_readings_of_a_marked_first_pair_differ_only_there(kind):
    shown, zeroed, unmarked = (
        kind(100, how).sample(np.random.default_rng(3), 500)
        for how in ("target", "input", "marker")
    )
    hit = marks(shown)[:, 0] == 0
    assert 30 < np.count_nonzero(hit) < 90
    starts = shown.offsets[:-1][hit]
    for other, column in ((zeroed, 0), (unmarked, 1)):
        np.testing.assert_array_equal(other.targets, shown.targets)
        changed = np.argwhere(other.inputs != shown.inputs)
        np.testing.assert_array_equal(changed, [[start, column] for start in starts])
    np.testing.assert_array_equal(unmarked.inputs[starts, 1], -1.0)


@pytest.mark.parametrize(("kind", "low"), [(Adding, -1.0), (Multiplication, 0.0)])
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

    # First mark: one of 10. Second: one of the first 49 that are left, hence of places 0 to 49.
    places = marks(data)
    counts = np.bincount(places.ravel(), minlength=50)
    assert len(counts) == 50
    chance = np.full(50, 1 / 49)  # by the second mark
    chance[:10] = 1 / 10 + 9 / 10 / 49  # by the first, or by the second if the first was elsewhere
    np.testing.assert_allclose(chance.sum(), 2.0)
    spread = np.sqrt(n * chance * (1 - chance))
    assert np.all(np.abs(counts - n * chance) < 5 * spread)
    # the second precedes the first now and then
    assert np.count_nonzero(places[:, 1] < 10) > 0


def test_targets_stay_inside_the_range_of_a_logistic_unit():
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
