"""Experiments 2a, 2b and 2c."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carrousel.experiments.store.settings import describe
from carrousel.sequences import Sequences
from carrousel.tasks import LongLag, NoiseFreeLag, RandomLag
from support.case import each

seeds = st.integers(0, 2**32)


def slow_errors(outputs: np.ndarray, data: Sequences) -> list[list[float]]:
    """Return the largest error at each target, one list per sequence."""
    found: list[list[float]] = []
    row = 0
    for one in data:
        found.append([])
        for goal in one.targets:
            wanted = [1.0 if symbol == goal else 0.0 for symbol in range(data.n_outputs)]
            found[-1].append(max(abs(w - y) for w, y in zip(wanted, outputs[row], strict=True)))
            row += 1
    return found


def near_misses(data: Sequences, tolerance: float, seed: int) -> np.ndarray:
    """Return outputs off by nearly the tolerance, and by more at a few places."""
    rng = np.random.default_rng(seed)
    off = rng.choice([-1.0, 1.0], data.dense_targets().shape) * 0.99 * tolerance
    off[rng.random(off.shape) < 0.5 / off.shape[1] / (len(off) / len(data))] *= 1.02
    return (data.dense_targets() + off).astype(np.float32)


@each("p", [2, 3, 100])
def test_2a_has_two_sequences(p):
    task = NoiseFreeLag(p)
    middle = list(range(p - 1))
    allowed = {first: [first, *middle, first] for first in (p - 1, p)}
    data = task.sample(np.random.default_rng(1), 400)
    for one in data:
        symbols = one.inputs.tolist()
        assert symbols == allowed[symbols[0]]
        assert one.targets.tolist() == symbols[1:]
        assert one.target_steps.tolist() == list(range(p))
    ys = np.count_nonzero(data.inputs[data.offsets[:-1]] == p)
    assert abs(ys - 200) < 5 * 10
    both = task.test(np.random.default_rng(1), 10_000)
    assert [one.inputs.tolist() for one in both] == [allowed[p - 1], allowed[p]]


@each("p", [2, 3, 100])
def test_2b_randomises_the_middle(p):
    data = RandomLag(p).sample(np.random.default_rng(2), 2000)
    rows = data.inputs.reshape(2000, p + 1)
    np.testing.assert_array_equal(rows[:, 0], rows[:, -1])
    ys = np.count_nonzero(rows[:, 0] == p)
    assert ys + np.count_nonzero(rows[:, 0] == p - 1) == 2000
    assert abs(ys - 1000) < 5 * np.sqrt(500)
    middle = np.bincount(rows[:, 1:-1].ravel())
    assert len(middle) == p - 1
    assert p == 2 or stats.chisquare(middle).pvalue > 1e-4
    for one in data[:20]:
        assert one.targets.tolist() == one.inputs.tolist()[1:]
        assert one.target_steps.tolist() == list(range(p))


@settings(max_examples=25, deadline=None)
@given(seed=seeds, p=st.integers(2, 8), n=st.integers(1, 30))
def test_2a_is_judged_at_all_steps_2b_at_the_last(seed, p, n):
    rng = np.random.default_rng(seed)
    for task in (NoiseFreeLag(p), RandomLag(p)):
        data = task.sample(rng, n)
        outputs = near_misses(data, 0.25, seed)
        errors = slow_errors(outputs, data)
        if isinstance(task, NoiseFreeLag):
            expected = [max(each) < 0.25 for each in errors]
        else:
            expected = [each[-1] < 0.25 for each in errors]
        np.testing.assert_array_equal(task.correct(outputs, data), expected)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, p=st.integers(1, 30), q=st.integers(1, 30), n=st.integers(1, 30))
def test_2c_follows_its_grammar(seed, p, q, n):
    task = LongLag(p, q)
    e, b, x, y = range(p, p + 4)
    data = task.sample(np.random.default_rng(seed), n)
    for one in data:
        symbols = one.inputs.tolist()
        assert symbols[0] == b
        assert symbols[1] in (x, y)
        assert all(symbol < p for symbol in symbols[2:-1])
        assert symbols[-1] == e
        assert one.n_steps >= q + 3
        assert one.targets.tolist() == [symbols[1] - x]
        assert one.target_steps.tolist() == [one.n_steps - 1]
    outputs = near_misses(data, 0.2, seed)
    expected = [each[0] < 0.2 for each in slow_errors(outputs, data)]
    np.testing.assert_array_equal(task.correct(outputs, data), expected)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, p=st.integers(1, 30), q=st.integers(1, 30), n=st.integers(1, 30))
def test_2c_of_fixed_length_has_q_distractors(seed, p, q, n):
    task = LongLag(p, q, "fixed")
    e, b, x, y = range(p, p + 4)
    assert task.mean_length == q + 3
    rows = task.sample(np.random.default_rng(seed), n).inputs.reshape(n, q + 3)
    assert set(rows[:, 0]) == {b}
    assert set(rows[:, 1]) <= {x, y}
    assert (rows[:, 2:-1] < p).all()
    assert set(rows[:, -1]) == {e}


def test_a_lag_of_a_million_steps_takes_a_few_megabytes():
    """Each step has a symbol of 4 bytes, drawn from 2 bytes, and nothing else."""
    task, rng = LongLag(50, 1_000_000, "fixed"), np.random.default_rng(0)
    tracemalloc.start()
    data = task.sample(rng, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.n_steps == 1_000_003
    assert data.nbytes < 4.1e6
    assert peak < 7e6
    assert task.correct(data.dense_targets(), data).all()


def test_the_default_length_law_is_omitted_from_fingerprints():
    """Trials stored before this setting existed belong to the same experiment."""
    assert "length_law" not in describe(LongLag(50, 50))
    assert describe(LongLag(50, 50, "fixed"))["length_law"] == "fixed"


@each("p, q", [(50, 50), (3, 7), (70_000, 2)])
def test_distributions_of_2c(p, q):
    data = LongLag(p, q).sample(np.random.default_rng(3), 5000)
    # Lengths as the paper counts them, with the last symbol: q + k + 4, k geometric of mean 9.
    beyond = data.lengths + 1 - (q + 4)
    assert beyond.min() == 0
    assert abs((data.lengths + 1).mean() - (q + 13)) < 5 * np.sqrt(90 / 5000)
    tail = np.arange(40)
    share = np.array([np.mean(beyond >= k) for k in tail])
    law = 0.9**tail
    assert np.all(np.abs(share - law) < 5 * np.sqrt(law * (1 - law) / 5000) + 1e-9)
    assert abs(data.targets.sum() - 2500) < 5 * np.sqrt(1250)
    distractors = data.inputs[data.inputs < p]
    assert len(distractors) == data.n_steps - 3 * len(data)
    counts = np.histogram(distractors, bins=min(p, 100), range=(0, p))[0]
    assert stats.chisquare(counts).pvalue > 1e-4
    assert p < 1000 or distractors.max() > 2**16


def test_2b_with_a_target_for_the_last_symbol_only():
    every = RandomLag(7).sample(np.random.default_rng(3), 50)
    last = RandomLag(7, targets="last").sample(np.random.default_rng(3), 50)
    np.testing.assert_array_equal(last.inputs, every.inputs)
    np.testing.assert_array_equal(last.target_offsets, np.arange(51))
    np.testing.assert_array_equal(last.target_steps, every.target_steps.reshape(50, 7)[:, -1])
    np.testing.assert_array_equal(last.targets, every.targets.reshape(50, 7)[:, -1])
    outputs = np.zeros((50, 8), np.float32)
    outputs[np.arange(50), last.targets] = 1.0
    assert RandomLag(7, targets="last").correct(outputs, last).all()
