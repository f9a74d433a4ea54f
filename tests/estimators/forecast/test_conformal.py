"""The correction gives held-out values the wanted share, and quantiles still do not cross."""

from __future__ import annotations

import numpy as np

from carrousel.estimators.forecast.conformal import stretched, stretches

LEVELS = (0.1, 0.25, 0.5, 0.8)


def forecasts(rng, rows, horizon=3):
    """Quantiles that are wrong by another factor on each side."""
    middle = rng.normal(size=(rows, horizon, 1, 1))
    return middle + np.array([-0.4, -0.2, 0.0, 5.0])


def test_corrected_quantiles_have_their_share():
    """Skewed errors; the share of fresh values below each quantile, within 3 standard errors."""
    rng = np.random.default_rng(0)
    n = 4000
    made = forecasts(rng, 2 * n)
    truth = made[..., 2] + rng.gamma(2.0, 1.0, size=made.shape[:3]) - 1.678  # median 0
    factors = stretches(made[:n], truth[:n], LEVELS)
    fresh = stretched(made[n:].copy(), factors, 2)
    for k, level in enumerate(LEVELS):
        share = (truth[n:] <= fresh[..., k]).mean()
        assert abs(share - level) < 3.0 * np.sqrt(2 * level * (1 - level) / (3 * n)) + 0.005


def test_few_values_widen_the_quantiles():
    rng = np.random.default_rng(1)
    made = forecasts(rng, 8, horizon=1)
    truth = made[..., 2] + rng.normal(size=made.shape[:3])
    fresh = stretched(made.copy(), stretches(made, truth, (0.1, 0.25, 0.5, 0.9)), 2)
    assert (truth <= fresh[..., 3]).all()  # 0.9 * (1 + 1 / 8) > 1: the largest error


def test_errors_of_one_sign_widen_both_sides():
    """The factors are those of errors whose signs are drawn by chance, whatever the signs were."""
    rng = np.random.default_rng(4)
    middle = rng.normal(size=(50, 3, 1, 1))
    made, levels = middle + np.array([-1.0, 0.0, 2.0]), (0.1, 0.5, 0.9)
    error = np.abs(rng.normal(size=(50, 3, 1)))
    above = stretches(made, middle[..., 0] + error, levels, balanced=True)
    below = stretches(made, middle[..., 0] - error, levels, balanced=True)
    np.testing.assert_allclose(above, below, rtol=1e-12)
    np.testing.assert_allclose(above[0], 2.0 * above[2], rtol=1e-12)
    assert abs((error <= above[0]).mean() - 0.8) < 0.01


def test_missing_values_do_not_count():
    rng = np.random.default_rng(2)
    made = forecasts(rng, 50)
    truth = made[..., 2] + rng.normal(size=made.shape[:3])
    more = np.concatenate([made, made + 9.0])
    gone = np.concatenate([truth, np.full_like(truth, np.nan)])
    np.testing.assert_array_equal(stretches(more, gone, LEVELS), stretches(made, truth, LEVELS))
    np.testing.assert_array_equal(stretches(made, np.full_like(truth, np.nan), LEVELS), 1.0)


def test_stretched_quantiles_do_not_cross():
    rng = np.random.default_rng(3)
    made = np.sort(rng.normal(size=(200, 4)), axis=-1)
    for _ in range(20):
        found = stretched(made.copy(), np.append(rng.uniform(0.0, 4.0, 3), 1.0)[[0, 1, 3, 2]], 2)
        assert (np.diff(found, axis=-1) >= 0.0).all()
        np.testing.assert_array_equal(found[:, 2], made[:, 2])
