"""Errors of forecasts on streams with known best errors: many keys, levels, outliers, intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Init, Network, Rules, Streaming
from carrousel.contracts.initial import initial_weights
from carrousel.kernels import NativeStream
from support.case import each

pytestmark = pytest.mark.native


def opened(rules: Rules | None, n_streams: int = 1, by_key: bool = False) -> NativeStream:
    """A net with eight cells that predicts the next value from the last."""
    inputs = 1 + (rules.n_features if rules else 0)
    cell = Cell(8, 1, forget_gate=True)
    small = Init(range=0.2, output_range=0.02, forget_gate_bias=(1.0,) * 8)
    network = Network(inputs, 1, cell, wiring="cells", bias="all", init=small)
    how = Streaming(
        optimizer="rmsprop", rate=0.003, epsilon=1e-3, clip=3.0, decay=1e4, rules=rules,
        scale_targets=rules is None, by_key=by_key,
    )  # fmt: skip
    weights = initial_weights(network, np.random.default_rng(0))
    return NativeStream(network, how, weights, n_streams, np.ones(inputs, bool))


def errors(kernel: NativeStream, y: np.ndarray) -> np.ndarray:
    """Absolute errors ``[rows - 1, keys]`` of forecasts of the next value of each key."""
    n, keys = y.shape
    flat = y.reshape(-1, 1)
    outputs = kernel.run(np.tile(np.arange(keys), n), flat, flat, targets_first=True)
    return np.abs(outputs.reshape(n, keys)[:-1] - y[1:])


def waves(keys: int, n: int) -> np.ndarray:
    """Sines with random phases and noise of 0.1, for which the best error is about 0.08."""
    rng = np.random.default_rng(0)
    phases = rng.uniform(0, 2 * np.pi, keys)
    return np.sin(np.arange(n)[:, None] / 5 + phases) + 0.1 * rng.normal(size=(n, keys))


@pytest.mark.parametrize("rules", [None, Rules()], ids=["net", "rules"])
def test_errors_do_not_grow_with_the_number_of_keys(rules):
    """With 1,000 keys, least squares has 110,000 updates: more than rounding errors allow if they
    grow by ``1 / KEEP`` at each."""
    late = {keys: errors(opened(rules, keys), waves(keys, 110))[60:].mean() for keys in (30, 1000)}
    assert late[1000] < 1.1 * late[30]
    assert late[1000] < 0.13 if rules is None else 0.09


def test_least_squares_stay_symmetric_and_positive():
    kernel, rules = opened(Rules(lags=4, longest=0)), Rules(lags=4, longest=0)
    errors(kernel, waves(1, 60_000))
    n = rules.n_regressors(0)
    inverse = kernel.state()["rules_fits"][0, 0, 1 : n + 1, :n]
    np.testing.assert_array_equal(inverse, inverse.T)
    assert np.linalg.eigvalsh(inverse).min() > 0


@each("by_key", [False, True])
def test_one_wild_value(by_key):
    """A value of 1e6 in a wave of amplitude 10 leaves no trace after 500 rows."""
    y = 10 * np.sin(np.arange(8000) / 5) + 20 + np.random.default_rng(0).normal(size=8000)
    y[4000] = 1e6
    found = errors(opened(Rules(), by_key=by_key), y[:, None])[:, 0]
    before = found[3000:3999].mean()
    assert found[4000:4100].mean() < 3 * before
    assert found[4500:].mean() < 1.1 * before


def test_a_wild_value_for_a_net_alone():
    y = 10 * np.sin(np.arange(8000) / 5) + 20 + np.random.default_rng(0).normal(size=8000)
    y[4000] = 1e6
    found = errors(opened(None), y[:, None])[:, 0]
    before = found[3000:3999].mean()
    assert found[4000:4100].mean() < 3 * before
    assert found[4500:5000].mean() < 1.2 * before


def test_a_step_is_believed():
    """The level moves by 1,000 deviations, and stays."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=4000) + np.where(np.arange(4000) < 2000, 0.0, 1000.0)
    found = errors(opened(Rules()), y[:, None])[:, 0]
    assert found[2000:2010].mean() < 600
    assert found[2200:2400].mean() < 1.5 * found[1000:1900].mean()


def test_a_counter():
    """The last value is the forecast to beat; with the mean step, its error is half as large."""
    y = np.cumsum(0.2 * np.random.default_rng(0).random(20_000))[:, None]
    found, last = errors(opened(Rules()), y), np.abs(np.diff(y, axis=0))
    assert found.mean() < 0.6 * last.mean()
    assert found[-1000:].mean() < 0.6 * last.mean()


@each("by_key", [False, True])
def test_keys_at_different_levels(by_key):
    """Thirty keys with levels of 1 to 100, for which the last value has an error of 0.16."""
    y = waves(30, 300) + np.linspace(1, 100, 30)
    assert errors(opened(Rules(), 30, by_key), y)[150:].mean() < 0.1


def test_scales_by_key_for_a_net_alone():
    y = waves(30, 300) + np.linspace(1, 100, 30)
    own, shared = (errors(opened(None, 30, by_key), y)[150:].mean() for by_key in (True, False))
    assert own < 0.15
    assert own < 0.9 * shared


# --- intervals -----------------------------------------------------------------------------------

NOISES: dict[str, Any] = {
    "equal": lambda rng, n: rng.normal(size=n),
    "heavy-tailed": lambda rng, n: rng.standard_t(3, size=n),
    "drifting": lambda rng, n: np.cumsum(rng.normal(size=n)),
    "of changing size": lambda rng, n: rng.normal(size=n) * np.exp(np.sin(np.arange(n) / 700)),
}


@pytest.mark.parametrize("noise", NOISES)
def test_intervals_hold_as_many_values_as_they_should(noise):
    """Within 2 points, of 20,000 values; quantile tracking makes it so for any sequence."""
    n, levels = 20_000, (0.5, 0.8, 0.95)
    y = NOISES[noise](np.random.default_rng(0), n)[:, None]
    kernel, bounds = opened(Rules(levels=levels)), np.zeros((n, 1, 2, 3))
    kernel.run(np.zeros(n, int), y, y, targets_first=True, bounds=bounds)
    low, high = bounds[:-1, 0].transpose(1, 0, 2)
    inside = (low <= y[1:]) & (y[1:] <= high)
    np.testing.assert_allclose(inside.mean(axis=0), levels, atol=0.02)
    np.testing.assert_allclose(inside[-4000:].mean(axis=0), levels, atol=0.03)


def test_equal_values_are_forecast_exactly():
    """Mixtures are relative to the last value, so no rounding error becomes an input."""
    kernel = opened(Rules())
    kernel.rate = 0.0
    y = np.full((50, 1), 0.1)
    kernel.run(np.zeros(50, int), y, y, targets_first=True)
    assert (kernel.state()["rules_rows"][0, 0, 4] == 0.1).all()  # base
