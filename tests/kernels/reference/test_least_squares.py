"""Recursive least squares against a solver of the whole problem."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.kernels.reference.least_squares import (
    KEEP,
    MOST_VARIANCE,
    PRIOR_VARIANCE,
    LeastSquares,
)


def learned(x: np.ndarray, y: np.ndarray) -> LeastSquares:
    fit = LeastSquares(x.shape[1])
    for row, value in zip(x, y, strict=True):
        fit.learn(row, value - fit.forecast(row))
    return fit


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(1, 400), st.integers(0, 2**16))
def test_weights_are_those_of_discounted_least_squares(n, rows, seed):
    """With a row of the prior for each weight, discounted as a row before the first."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rows, n)), 3 * rng.normal(size=rows)
    fit = learned(x, y)
    roots = np.sqrt(KEEP ** np.arange(rows - 1, -1, -1.0))
    prior = np.sqrt(KEEP**rows / PRIOR_VARIANCE) * np.eye(n)
    a, b = np.vstack([prior, roots[:, None] * x]), np.append(np.zeros(n), roots * y)
    np.testing.assert_allclose(fit.weights, np.linalg.lstsq(a, b, rcond=None)[0], atol=1e-9)
    np.testing.assert_allclose(fit.inverse, np.linalg.inv(a.T @ a), rtol=1e-7, atol=1e-9)


def test_the_inverse_stays_symmetric_and_positive():
    """A difference of two mirrored entries would grow to 1e9 times 1e-16 within these rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 3))
    fit = learned(x, x @ [1.0, -2.0, 0.5])
    np.testing.assert_array_equal(fit.inverse, fit.inverse.T)
    assert np.linalg.eigvalsh(fit.inverse).min() > 0
    np.testing.assert_allclose(fit.weights, [1.0, -2.0, 0.5], atol=1e-6)


def test_a_weight_that_is_never_used_does_not_stop_the_others_from_forgetting():
    """The inverse for a regressor of 1 tends to ``1 - KEEP``; that of 0 to its limit."""
    fit = learned(np.tile([1.0, 0.0], (40_000, 1)), np.ones(40_000))
    np.testing.assert_allclose(np.diag(fit.inverse), [1 - KEEP, MOST_VARIANCE], rtol=1e-6)
    assert fit.inverse[0, 1] == fit.weights[1] == 0


def test_forget_returns_one_weight_to_its_prior():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    fit = learned(x, x.sum(axis=1))
    kept = fit.inverse[np.ix_([0, 2], [0, 2])]
    fit.forget(1)
    np.testing.assert_array_equal(fit.inverse[1], [0, PRIOR_VARIANCE, 0])
    np.testing.assert_array_equal(fit.inverse[np.ix_([0, 2], [0, 2])], kept)
    assert fit.weights[1] == 0
