"""Experiments 6a and 6b."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carrousel.experiments.store.settings import describe
from carrousel.tasks import TemporalOrder
from carrousel.tasks.order import CLASSES, SYMBOLS
from support.case import each

PAPER = {
    2: {"XX": "Q", "XY": "R", "YX": "S", "YY": "U"},
    3: {
        "XXX": "Q",
        "XXY": "R",
        "XYX": "S",
        "XYY": "U",
        "YXX": "V",
        "YXY": "A",
        "YYX": "B",
        "YYY": "C",
    },
}
PLACES = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}
firsts = st.sampled_from([0, 1])
relevants = st.sampled_from([2, 3])
seeds = st.integers(0, 2**32)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, relevant=relevants, first=firsts, n=st.integers(1, 30))
def test_sequences_one_by_one(seed, relevant, first, n):
    for one in TemporalOrder(relevant, first).sample(np.random.default_rng(seed), n):
        text = "".join(SYMBOLS[symbol] for symbol in one.inputs)
        assert 100 <= len(text) <= 110
        assert text[0] == "E"
        assert text[-1] == "B"
        found = [(place, letter) for place, letter in enumerate(text, first) if letter in "XY"]
        assert len(found) == relevant
        for (place, _), (low, high) in zip(found, PLACES[relevant], strict=True):
            assert low <= place <= high
        assert set(text[1:-1]) <= set("abcdXY")
        name = PAPER[relevant]["".join(letter for _, letter in found)]
        assert CLASSES[relevant][int(one.targets[0])] == name
        assert one.target_steps.tolist() == [len(text) - 1]


def test_positions_are_counted_from_1_by_default():
    """Trials stored before this setting existed belong to the same experiment."""
    rng = [np.random.default_rng(2) for _ in range(2)]
    usual, named = TemporalOrder(3), TemporalOrder(3, first_position=1)
    np.testing.assert_array_equal(usual.sample(rng[0], 50).inputs, named.sample(rng[1], 50).inputs)
    assert "first_position" not in describe(usual)
    assert describe(TemporalOrder(3, first_position=0))["first_position"] == 0


@each("relevant", [2, 3])
def test_counted_from_0_relevant_symbols_are_one_step_later(relevant):
    by_one, by_zero = (
        TemporalOrder(relevant, first).sample(np.random.default_rng(3), 200) for first in (1, 0)
    )
    np.testing.assert_array_equal(by_one.offsets, by_zero.offsets)
    np.testing.assert_array_equal(by_one.targets, by_zero.targets)
    np.testing.assert_array_equal(
        np.flatnonzero(by_one.inputs >= 6) + 1, np.flatnonzero(by_zero.inputs >= 6)
    )


@each("first", [0, 1])
@each("relevant", [2, 3])
def test_distributions(relevant, first):
    n = 6000
    data = TemporalOrder(relevant, first).sample(np.random.default_rng(1), n)
    letters = np.bincount(data.inputs, minlength=8)
    np.testing.assert_array_equal(letters[:2], n)
    assert letters[6] + letters[7] == n * relevant
    assert stats.chisquare(letters[2:6]).pvalue > 1e-4
    classes = np.bincount(data.targets, minlength=2**relevant)
    assert stats.chisquare(classes).pvalue > 1e-4
    lengths = np.bincount(data.lengths, minlength=111)[100:]
    assert len(lengths) == 11
    assert stats.chisquare(lengths).pvalue > 1e-4
    steps = np.flatnonzero(data.inputs >= 6).reshape(n, relevant)
    places = steps - data.offsets[:-1, None] + first
    for column, (low, high) in zip(places.T, PLACES[relevant], strict=True):
        counts = np.bincount(column, minlength=high + 1)[low:]
        assert len(counts) == high - low + 1
        assert stats.chisquare(counts).pvalue > 1e-4
    # places are independent, and the minimal lag is that of Table 10
    table = np.histogram2d(places[:, 0], places[:, 1], bins=11)[0]
    assert stats.chisquare(table.ravel()).pvalue > 1e-4
    assert (data.lengths - 1 + first - places[:, -1]).min() == {2: 40, 3: 24}[relevant] - 1 + first


@settings(max_examples=30, deadline=None)
@given(seed=seeds, relevant=relevants, n=st.integers(1, 40))
def test_correct_against_a_slow_loop(seed, relevant, n):
    task = TemporalOrder(relevant)
    rng = np.random.default_rng(seed)
    data = task.test(rng, n)
    outputs = data.dense_targets() + rng.normal(0, 0.16, (n, task.n_outputs)).astype(np.float32)
    expected = []
    for target, row in zip(data.targets, outputs, strict=True):
        wanted = [float(k == target) for k in range(task.n_outputs)]
        expected.append(all(abs(w - float(y)) < 0.3 for w, y in zip(wanted, row, strict=True)))
    np.testing.assert_array_equal(task.correct(outputs, data), expected)
