"""Experiments 3a, 3b and 3c."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carrousel.tasks import TwoSequence
from support.case import each

variants = st.sampled_from(["a", "b", "c"])


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=st.integers(1, 40),
    informative=st.integers(1, 40),
    variant=st.sampled_from(["a", "c"]),
    n=st.integers(1, 20),
)
def test_first_elements_determine_the_class(seed, length, informative, variant, n):
    informative = min(informative, length)
    task = TwoSequence(length, informative, variant)
    goals = {1.0: 1.0, -1.0: 0.0} if variant == "a" else {1.0: 0.2, -1.0: 0.8}
    for one in task.test(np.random.default_rng(seed), n):
        assert length <= one.n_steps <= length + length // 10
        first = {float(value) for value in one.inputs[:informative, 0]}
        assert len(first) == 1
        assert one.targets.tolist() == [[np.float32(goals[first.pop()])]]
        assert one.target_steps.tolist() == [one.n_steps - 1]


@each("variant", ["a", "b", "c"])
def test_distributions(variant):
    n, informative = 4000, 3
    data = TwoSequence(100, informative, variant).sample(np.random.default_rng(1), n)
    lengths = np.bincount(data.lengths, minlength=111)[100:]
    assert len(lengths) == 11
    assert stats.chisquare(lengths).pvalue > 1e-4

    place = np.arange(data.n_steps) - np.repeat(data.offsets[:-1], data.lengths)
    noise = data.inputs[place >= informative, 0].astype(np.float64)
    assert abs(noise.mean()) < 5 * np.sqrt(0.2 / len(noise))
    assert abs(noise.var() - 0.2) < 5 * 0.2 * np.sqrt(2 / len(noise))
    # steps are uncorrelated
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 5 / np.sqrt(len(noise))

    goals = data.targets[:, 0].astype(np.float64)
    middle = 0.5
    is_first = goals < middle if variant == "c" else goals > middle
    first = data.inputs[place < informative, 0].reshape(n, informative).astype(np.float64)
    if variant == "c":
        is_first = first[:, 0] > 0
        off = goals - np.where(is_first, 0.2, 0.8)
        assert abs(off.mean()) < 5 * np.sqrt(0.1 / n)
        assert abs(off.var() - 0.1) < 5 * 0.1 * np.sqrt(2 / n)
        assert stats.kstest(off, stats.norm(0, np.sqrt(0.1)).cdf).pvalue > 1e-4
    else:
        assert set(goals) == {0.0, 1.0}
    assert abs(np.count_nonzero(is_first) - n / 2) < 5 * np.sqrt(n / 4)
    off = first - np.where(is_first, 1.0, -1.0)[:, None]
    if variant == "b":
        assert abs(off.mean()) < 5 * np.sqrt(0.2 / off.size)
        assert abs(off.var() - 0.2) < 5 * 0.2 * np.sqrt(2 / off.size)
    else:
        np.testing.assert_array_equal(off, 0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), variant=variants, n=st.integers(1, 40), noisy=st.booleans())
def test_correct_against_a_slow_loop(seed, variant, n, noisy):
    task = TwoSequence(20, 2, variant)
    rng = np.random.default_rng(seed)
    data = task.sample(rng, n) if noisy else task.test(rng, n)
    outputs = rng.random((n, 1), dtype=np.float32)
    expected = []
    for one, output in zip(data, outputs[:, 0], strict=True):
        if variant == "c":
            expected.append(abs(output - (0.2 if one.inputs[0, 0] == 1.0 else 0.8)) < 0.1)
        else:
            expected.append(abs(output - one.targets[0, 0]) < 0.2)
    np.testing.assert_array_equal(task.correct(outputs, data), expected)


@each("seed", [0, 1, 2])
def test_noise_is_gaussian(seed):
    """Its quantiles, tails and moments; those of pairs that one radius gives are independent."""
    task = TwoSequence(1000, 1, "a", longest=1000)
    rows = task.sample(np.random.default_rng(seed), 256).inputs.reshape(256, 1000)[:, 1:]
    noise = rows.astype(np.float64).ravel() / np.sqrt(0.2)
    n = len(noise)
    assert stats.kstest(noise, "norm").pvalue > 1e-3
    assert abs(stats.skew(noise)) < 5 * np.sqrt(6 / n)
    assert abs(stats.kurtosis(noise)) < 5 * np.sqrt(24 / n)
    for chance in (1e-4, 1e-3, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999):
        below = np.count_nonzero(noise < stats.norm.ppf(chance))
        assert abs(below - n * chance) < 5 * np.sqrt(n * chance * (1 - chance)), chance
    whole = task.sample(np.random.default_rng(seed), 128).inputs[:, 0].astype(np.float64)
    one, other = whole.reshape(-1, 2, 64).swapaxes(0, 1).reshape(2, -1)
    inner = np.abs(np.abs(one) - 1) > 1e-6  # without informative elements
    one, other = one[inner], other[inner]
    for power in (1, 2):
        found = np.corrcoef(one**power, other**power)[0, 1]
        assert abs(found) < 5 / np.sqrt(len(one)), power
