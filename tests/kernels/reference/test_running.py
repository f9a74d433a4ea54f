"""Running means and variances against those of samples, and with outliers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from carrousel.kernels.reference.running import CONFIRMED, MOST_ODD, TRUSTED, RunningScale, Scales
from support.kernels.scales import without_outliers

pd = pytest.importorskip("pandas")

values = st.floats(-100, 100).map(lambda x: round(x, 3))
samples = arrays(np.float64, st.tuples(st.integers(1, 40), st.just(3)), elements=values)
usual = samples.map(without_outliers)


def counted(x: np.ndarray, horizon: float = 0.0) -> RunningScale:
    scale = RunningScale(x.shape[1], horizon)
    for row in x:
        scale.count(row)
    return scale


@settings(max_examples=40)
@given(samples, st.integers(0, 2**16))
def test_without_a_horizon_it_is_mean_and_variance(x, seed):
    gone = np.random.default_rng(seed).random(x.shape) < 0.3
    gone[0] = False
    x = without_outliers(np.where(gone, np.nan, x))
    scale = counted(x)
    np.testing.assert_array_equal(scale.seen, (~gone).sum(axis=0))
    np.testing.assert_allclose(scale.mean, np.nanmean(x, axis=0), rtol=1e-11, atol=1e-11)
    # Squares of 100, a hundred roundings.
    np.testing.assert_allclose(scale.variance, np.nanvar(x, axis=0), rtol=1e-9, atol=1e-9)


@settings(max_examples=30)
@given(st.sampled_from([1.0, 2.0, 5.0, 7.5]), st.integers(0, 2**16))
def test_with_a_horizon_it_is_an_exponential_average(horizon, seed):
    """As in pandas, after enough steps for the start to vanish."""
    rng = np.random.default_rng(seed)
    x = rng.normal(3, 2, (400, 2))  # (1 - 1 / 7.5) ** 300 is 1e-19
    x[rng.random(x.shape) < 0.1] = np.nan
    x = without_outliers(x, horizon)
    faded = pd.DataFrame(x).ewm(alpha=1 / horizon, adjust=False, ignore_na=True)
    scale = counted(x, horizon)
    np.testing.assert_allclose(scale.mean, faded.mean().iloc[-1], rtol=1e-10)
    wanted = faded.var(bias=True).iloc[-1]
    np.testing.assert_allclose(scale.variance, wanted, rtol=1e-9, atol=1e-12)


@settings(max_examples=40)
@given(usual, st.integers(1, 50))
def test_up_to_the_horizon_it_is_the_plain_mean(x, longer):
    scale, plain = counted(x, len(x) + longer), counted(x)
    np.testing.assert_array_equal(scale.mean, plain.mean)
    np.testing.assert_array_equal(scale.variance, plain.variance)


@settings(max_examples=40)
@given(samples, values)
def test_standardised_values(x, new):
    scale, row = counted(x), np.full(3, new)
    z = scale.standardised(row, 2.0)
    assert (np.abs(z) <= 2.0).all()
    np.testing.assert_array_equal(z[scale.variance == 0], 0.0)
    np.testing.assert_array_equal(scale.standardised(np.full(3, np.nan), 2.0), 0.0)
    wide = scale.standardised(row, 1e12)
    there = scale.variance > 1e-12
    np.testing.assert_allclose((scale.mean + wide * scale.deviation)[there], new, atol=1e-9)


@settings(max_examples=40)
@given(usual, st.floats(10, 1e30), st.sampled_from([-1.0, 1.0]))
def test_an_outlier_counts_as_five_deviations(x, size, sign):
    before, after, limited = counted(x), counted(x), counted(x)
    after.count(before.mean + sign * size * before.deviation)
    limited.count(before.mean + sign * MOST_ODD * before.deviation)
    there = before.variance > 0
    np.testing.assert_allclose(after.mean[there], limited.mean[there], rtol=1e-9, atol=1e-9)
    factor = (after.variance / before.variance)[there] if there.any() else np.ones(1)
    # (1 - a) (1 + 25 a) is at most 6.8, at a = 12 / 25
    assert (factor < 6.8).all()
    np.testing.assert_array_equal(after.odd[there], 1)


def test_values_that_have_moved_are_confirmed():
    """After eight of them, the mean of a million rows is that of the new ones within 30 rows."""
    rng = np.random.default_rng(0)
    scale = counted(rng.normal(0, 1, (1000, 1)))
    scale.seen[:] = 1e6
    for n in range(1, CONFIRMED):
        scale.count(np.array([1000.0]))
        assert scale.odd == n
    assert scale.mean < 1
    scale.count(np.array([1000.0]))
    assert scale.odd == 0
    assert scale.seen == CONFIRMED + 1
    for _ in range(40):
        scale.count(np.array([1000.0]))
    assert scale.mean > 800


def test_outliers_apart_are_not_confirmed():
    scale = counted(np.random.default_rng(0).normal(0, 1, (1000, 1)))
    for _ in range(3 * CONFIRMED):
        scale.count(np.array([1e6]))
        scale.count(np.array([0.1]))
    assert abs(scale.mean) < 1


def test_a_new_key_takes_over_the_scale_of_all():
    rng, scales = np.random.default_rng(0), Scales(1, 0.0, by_key=True)
    scales.begin(0)
    for x in rng.normal(5, 2, (100, 1)):
        scales.count(0, x)
    scales.begin(1)
    new = scales.of(1)
    np.testing.assert_array_equal(new.mean, scales.all.mean)
    np.testing.assert_array_equal(new.variance, scales.all.variance)
    assert new.seen == TRUSTED
    assert scales.of(0).seen == 100
    scales.count(1, np.array([6.0]))
    assert scales.of(0).seen == 100
    assert scales.all.seen == 101
    shared = Scales(1, 0.0, by_key=False)
    assert shared.of(0) is shared.of(1)
