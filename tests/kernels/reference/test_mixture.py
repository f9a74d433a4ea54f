"""Regrets of mixtures, running sizes, and the search for periods."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.kernels.reference.mixture import MOST_GROWTH, Regrets, Size
from carrousel.kernels.reference.periods import PERIOD_ROWS, PeriodSearch
from support.case import each


def adversary(kind: str, rng: np.random.Generator, n: int, mixed: float, t: int):
    """Return forecasts ``[n]`` and a value chosen against the mixture."""
    if kind == "random":
        return rng.normal(size=n), rng.normal()
    if kind == "alternating":  # the best forecast changes at every step
        f = np.where(np.arange(n) % 2 == t % 2, 1.0, -1.0)
        return f, float(f[0])
    if kind == "blocks":  # and after some hundred steps
        f = np.linspace(-1, 1, n)
        return f, float(f[(t // 300) % n])
    f = np.linspace(-1, 1, n)
    return f, -2.0 if mixed > 0 else 2.0


@each("kind", ["random", "alternating", "blocks", "against"])
@each("n", [2, 8, 20])
def test_regrets_grow_like_the_root_of_their_squares(kind, n):
    """The regret to each forecast is at most ``2 sqrt(log(n + 1) Q) + 8 M``.

    ``Q`` is the sum of squared regrets and ``M`` the largest. Gaillard, Stoltz & van Erven 2014
    prove ``O(sqrt(Q log n) + M log n)`` for constant sums; the constants here are empirical, as the
    rates change with the regrets and sums are discounted.
    """
    rng, regrets, mixed = np.random.default_rng(n), Regrets(n), 0.0
    for t in range(4000):
        f, y = adversary(kind, rng, n, mixed, t)
        mixed = float(regrets.weights() @ f)
        regrets.count(f, mixed, y, 1.0)
        bound = 2 * np.sqrt(np.log(n + 1) * regrets.squares) + 8 * regrets.most
        assert (regrets.sum <= bound).all()


def test_the_best_forecast_gets_the_weight():
    rng, regrets = np.random.default_rng(0), Regrets(5)
    errors = []
    for _ in range(1000):
        y = rng.normal()
        f = y + np.array([1.0, 0.5, 0.1, 2.0, 1.0]) * rng.normal(size=5)
        mixed = float(regrets.weights() @ f)
        errors.append(abs(mixed - y))
        regrets.count(f, mixed, y, 1.0)
    assert regrets.weights().argmax() == 2
    assert np.mean(errors[500:]) < 1.5 * 0.1 * np.sqrt(2 / np.pi)


@settings(max_examples=50)
@given(st.integers(1, 20), st.integers(0, 2**16), st.floats(1e-3, 1e6))
def test_weights_are_a_distribution(n, seed, size):
    rng, regrets = np.random.default_rng(seed), Regrets(n)
    np.testing.assert_allclose(regrets.weights(), 1 / n)
    for _ in range(30):
        regrets.count(size * rng.normal(size=n), 0.0, size * rng.normal(), 1.0)
    weights = regrets.weights()
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(), 1.0)


def test_equal_forecasts_have_equal_weights():
    regrets = Regrets(3)
    for y in (1.0, -2.0, 0.5):
        regrets.count(np.array([1.0, 1.0, 0.0]), 0.5, y, 1.0)
    weights = regrets.weights()
    assert weights[0] == weights[1]


def test_a_size_is_the_mean_absolute_value_at_first():
    size, x = Size(), np.random.default_rng(0).uniform(-1, 1, 100) + 0.5
    for value in x:
        size.count(value)
    np.testing.assert_allclose(size.mean, np.abs(x).mean(), rtol=1e-12)


def test_an_outlier_adds_a_bounded_share_to_a_size():
    size = Size()
    for _ in range(100):
        size.count(1.0)
    size.count(1e9)
    assert size.mean <= 1 + MOST_GROWTH / 101


# --- periods -------------------------------------------------------------------------------------


def searched(y: np.ndarray, longest: int) -> PeriodSearch:
    search = PeriodSearch(longest)
    for t, value in enumerate(y):
        search.count(y[:t], value, 1.0)
        if t % 64 == 63:
            search.choose()
    return search


@each("period", [7, 24])
def test_a_period_is_found(period):
    rng = np.random.default_rng(0)
    shape = rng.normal(size=period)
    y = np.tile(shape, 20) + 0.05 * rng.normal(size=20 * period)
    found = searched(y, 4 * period).periods
    assert found[0] % period == 0
    assert abs(found[0] - found[1]) > 2


def test_distances_are_discounted_means():
    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    search = searched(y, 5)
    for lag in range(1, 6):
        apart = np.abs(y[lag:] - y[:-lag])
        weights = 0.999 ** np.arange(len(apart) - 1, -1, -1.0)
        mean = search.sums[lag] / search.counts[lag]
        np.testing.assert_allclose(mean, (weights * apart).sum() / weights.sum(), rtol=1e-12)


def test_too_few_rows_have_no_period():
    search = PeriodSearch(8)
    y = np.tile([0.0, 1.0, 0.0, -1.0], 8)
    for t in range(PERIOD_ROWS):
        search.count(y[:t], y[t], 1.0)
    assert search.choose() == []
