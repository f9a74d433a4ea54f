"""The latch, parity and long 2-sequence problems, which weight guessing solves."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carrousel.experiments.store.settings import describe
from carrousel.tasks import Latch, Parity, TwoSequence
from support.case import each

seeds = st.integers(0, 2**32)


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    length=st.integers(1, 30),
    more=st.integers(0, 30),
    pause=st.integers(0, 3),
    n=st.integers(1, 20),
)
def test_parity_of_the_ones(seed, length, more, pause, n):
    task = Parity(length, length + more, pause=pause)
    for one in task.sample(np.random.default_rng(seed), n):
        elements = one.inputs[: one.n_steps - pause, 0]
        assert length <= len(elements) <= length + more
        assert set(elements.tolist()) <= {1.0, -1.0}
        np.testing.assert_array_equal(one.inputs[one.n_steps - pause :], 0.0)
        assert one.targets.tolist() == [[float(elements.tolist().count(1.0) % 2)]]
        assert one.target_steps.tolist() == [one.n_steps - 1]


def test_parity_elements_are_fair_and_independent():
    data = Parity(length=500, longest=600, pause=0).sample(np.random.default_rng(1), 400)
    ones = data.inputs[:, 0].astype(np.float64)
    assert abs(ones.mean()) < 5 / np.sqrt(len(ones))
    assert abs(np.mean(ones[1:] * ones[:-1])) < 5 / np.sqrt(len(ones))
    assert abs(data.targets.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(data))
    assert {500, 600} <= set(range(data.lengths.min(), data.lengths.max() + 1))


@settings(max_examples=20, deadline=None)
@given(seed=seeds, noise=st.floats(0.01, 0.9))
def test_noise_on_elements_is_bounded_and_keeps_their_signs(seed, noise):
    noisy = Parity(20, 30, noise=noise)
    data = noisy.sample(np.random.default_rng(seed), 20)
    values = np.delete(data.inputs[:, 0], data.target_steps)
    assert np.abs(np.abs(values) - 1).max() <= noise + 1e-6
    np.testing.assert_array_equal(data.inputs[data.target_steps], 0.0)
    for one in data:
        assert one.targets[0, 0] == np.count_nonzero(one.inputs > 0) % 2


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    variant=st.sampled_from(["I", "II"]),
    length=st.integers(1, 30),
    more=st.integers(0, 30),
    n=st.integers(1, 20),
)
def test_the_first_step_of_a_latch_determines_the_class(seed, variant, length, more, n):
    goal = np.float32(0.8 if variant == "I" else 1.0)
    for one in Latch(variant, length, length + more).sample(np.random.default_rng(seed), n):
        assert length <= one.n_steps <= length + more
        first = one.inputs[0].tolist()
        if variant == "I":
            assert first in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
            np.testing.assert_array_equal(one.inputs[1:, :2], 0.0)
        else:
            assert first in ([1.0], [-1.0])
        assert one.targets.tolist() == [[goal if first[0] == 1.0 else -goal]]
        assert one.target_steps.tolist() == [one.n_steps - 1]


@each("variant", ["I", "II"])
def test_noise_of_a_latch(variant):
    data = Latch(variant).sample(np.random.default_rng(2), 100)
    noise = np.delete(data.inputs[:, -1], data.offsets[:-1]).astype(np.float64)
    assert stats.kstest(noise, stats.norm(0, np.sqrt(0.2)).cdf).pvalue > 1e-4
    assert abs(np.mean(data.targets > 0) - 0.5) < 0.25


def test_the_sign_is_sufficient_in_variant_one_only():
    for task in (Latch("I", 3, 4), Latch("II", 3, 4)):
        data = task.sample(np.random.default_rng(3), 20)
        assert task.correct(np.sign(data.targets), data).all()
        assert not task.correct(-np.sign(data.targets), data).any()
        almost = task.correct(0.85 * np.sign(data.targets), data)
        assert almost.all() if task.variant == "I" else not almost.any()


def test_longer_two_sequences():
    task = TwoSequence(500, 1, "a", longest=600, within=0.1)
    data = task.sample(np.random.default_rng(4), 1000)
    assert 500 <= data.lengths.min() < 510 < 590 < data.lengths.max() <= 600
    assert task.tolerance == 0.1
    assert not task.correct(np.abs(data.targets - 0.15), data).any()
    plain = TwoSequence(500, 1, "a")
    assert "longest" not in describe(plain)  # stored trials of Experiment 3 stay valid
    np.testing.assert_array_equal(
        plain.sample(np.random.default_rng(5), 3).inputs,
        TwoSequence(500, 1, "a", longest=550).sample(np.random.default_rng(5), 3).inputs,
    )
