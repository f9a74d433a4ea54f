"""The net adds to forecasts of simple rules, and is not much worse than the best of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from support.online.cases import case
from support.online.models import inside


def new(**settings: Any) -> OnlineLSTM:
    return OnlineLSTM(**{"cells": 8, "random_state": 1, **settings})


def forecast_errors(y: np.ndarray, keys: Any = None, **settings: Any) -> np.ndarray:
    """Return absolute errors of forecasts of the next value, of one key or of interleaved ones."""
    found = new(**settings).run_detailed(y[:, None], y, keys, late=True).forecasts[:, 0]
    return np.abs(found - y)


# --- faults that earlier versions had ----------


def waves(keys: int, rows: int, level: bool = False) -> tuple[np.ndarray, list[int], np.ndarray]:
    """Draw interleaved waves; return them, the key of each row, and the change of its key."""
    rng = np.random.default_rng(0)
    t, phase = np.arange(rows)[:, None] / 5, rng.uniform(0, 6, keys)
    y = np.sin(t + phase) + 0.1 * rng.normal(size=(rows, keys))
    y += np.linspace(1, 100, keys) if level else 0.0
    change = np.abs(np.diff(y, axis=0, prepend=np.nan))
    return y.ravel(), list(range(keys)) * rows, change.ravel()


def test_many_keys_that_share_weights_learn_as_one_does():
    """Weights learn from outputs by present weights, not from those of many updates before."""
    half = {}
    for keys in (1, 30, 200):
        y, names, _ = waves(keys, 300)
        errors = forecast_errors(y, names, streams=keys)
        half[keys] = np.nanmean(errors[len(errors) // 2 :])
    assert half[1] < 0.13
    assert half[30] < 0.11
    assert half[200] < 0.10  # 2.4 where outputs are those of old weights


@pytest.mark.parametrize("experts", ["auto", None])
def test_an_outlier_is_forgotten_soon(experts):
    n = 8000
    y = np.sin(np.arange(n) / 5) * 10 + 20 + np.random.default_rng(0).normal(size=n)
    clean = forecast_errors(y, experts=experts)
    y[4000] = 1e6
    errors = forecast_errors(y, experts=experts)
    assert errors[4002:4100].mean() < 3 * clean[4002:4100].mean()
    assert errors[-1000:].mean() < 1.1 * clean[-1000:].mean()


def test_a_counter_is_forecast_as_well_as_by_its_last_value():
    y = np.cumsum(np.random.default_rng(0).random(20_000) * 0.2)
    errors = forecast_errors(y)
    last = np.abs(np.diff(y))
    assert errors[1000:].mean() < last.mean()  # it knows the mean step too
    assert errors[-1000:].mean() < 0.055


def test_keys_at_different_levels_are_forecast_as_at_one():
    y, names, change = waves(30, 200, level=True)
    for standardise in (True, "key"):
        errors = forecast_errors(y, names, streams=30, standardise=standardise)
        second = slice(len(y) // 2, None)
        assert errors[second].mean() < 0.8 * change[second].mean(), standardise


# --- rules ----------


def draw_streams(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    t = np.arange(n)
    smooth = np.zeros(n)
    for i in range(2, n):
        smooth[i] = 1.6 * smooth[i - 1] - 0.8 * smooth[i - 2] + rng.normal()
    return {
        "walk": np.cumsum(rng.normal(size=n)),
        "noise": rng.normal(size=n) + 7,
        "season": np.tile(rng.normal(size=24), n // 24 + 1)[:n] + 0.1 * rng.normal(size=n),
        "autoregression": smooth,
        "steps": np.repeat(rng.normal(size=n // 50 + 1), 50)[:n] * 5 + 0.3 * rng.normal(size=n),
        "heavy tails": np.cumsum(rng.standard_t(2, n)),
        "trend": t * 0.01 + rng.normal(size=n),
    }


def rule_errors(y: np.ndarray) -> dict[str, np.ndarray]:
    """Return absolute errors of rules that anybody would try, each from the values before."""
    n = len(y)
    found = {"last value": np.append(np.nan, y[:-1])}
    found["mean"] = np.append(np.nan, np.cumsum(y)[:-1] / np.arange(1, n))
    found["value a season before"] = np.append(np.full(24, np.nan), y[:-24])
    lags = np.column_stack([np.ones(n), *(np.roll(y, k) for k in (1, 2, 3))])
    weights, inverse = np.zeros(4), np.eye(4) * 100
    fit = np.full(n, np.nan)
    for i in range(3, n):
        fit[i] = lags[i] @ weights
        gain = inverse @ lags[i] / (1 + lags[i] @ inverse @ lags[i])
        weights, inverse = (
            weights + gain * (y[i] - fit[i]),
            inverse - np.outer(gain, lags[i] @ inverse),
        )
    found["least squares"] = fit
    return {name: np.abs(each - y) for name, each in found.items()}


def test_the_forecast_is_never_much_worse_than_the_best_rule():
    for name, y in draw_streams(6000).items():
        errors = forecast_errors(y)[200:].mean()
        rules = {rule: each[200:].mean() for rule, each in rule_errors(y).items()}
        best = min(rules.values())
        with case(name, errors, rules):
            assert errors < 1.05 * best + 1e-3 * np.abs(y).mean()


def test_a_jump_far_beyond_the_usual_errors_is_believed_at_its_second_row():
    """A single value might be an outlier; the price is one row."""
    y = np.repeat(np.random.default_rng(0).normal(size=60), 50) * 5
    errors = forecast_errors(y, learning_rate=0.0).reshape(60, 50)[10:]
    assert (errors[:, :2].mean(0) > 2).all()
    assert errors[:, 2:].mean() < 0.01


def test_the_net_still_learns_what_rules_cannot():
    """The target is the product of this input and the one before: no rule is linear in them."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], 20_000)
    y = x * np.roll(x, 1)
    errors = np.abs(new().run(x[:, None], y) - y)
    assert errors[-2000:].mean() < 0.3  # 1 for every rule


def test_inputs_are_used_from_the_first_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = X @ [1.0, -2.0, 3.0, 0.5] + 10
    both, alone = new(), new(experts=None)
    errors = [np.abs(each.run(X, y) - y)[50:].mean() for each in (both, alone)]
    assert errors[0] < 0.3 < errors[1]


def test_a_season_that_is_given_is_used_at_once():
    y = np.tile(np.random.default_rng(0).normal(size=48), 20)
    given, found, none = (forecast_errors(y, season=s) for s in (48, "auto", None))
    second = slice(100, 200)
    assert given[second].mean() < 0.5 * none[second].mean()
    assert found[-200:].mean() < 0.5 * none[-200:].mean()


def test_seasons_have_the_form_of_one_or_several():
    y = np.tile([1.0, 5.0, 2.0], 30)
    outputs = [new(season=s).run(y[:, None], y) for s in (3, (3,), [3], np.array([3]), np.int64(3))]
    for each in outputs[1:]:
        np.testing.assert_array_equal(each, outputs[0])


def test_without_rules_the_net_alone_forecasts():
    y = np.sin(np.arange(200) / 5)
    for given in ({"experts": None}, {"standardise": False}):
        model = new(**given)
        model.run(y[:, None], y)
        with case(given):
            assert inside(model).kernel.streaming.rules is None
            assert inside(model).kernel.network.n_inputs == 1


# --- keys, growth ----------


def test_a_new_key_starts_from_what_all_keys_taught():
    """Its forecasts are better than those of a model that starts, since weights are shared."""
    y, names, _ = waves(20, 200)
    model = new(streams=21)
    model.run(y[:, None], y, names, late=True)
    fresh = np.sin(np.arange(60) / 5 + 1.0) + 0.1 * np.random.default_rng(9).normal(size=60)
    both = (model, new())
    errors = []
    for each in both:
        found = each.run_detailed(fresh[:, None], fresh, ["new"] * 60, late=True).forecasts[:, 0]
        errors.append(np.abs(found - fresh)[2:].mean())
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize("standardise", [True, "key"])
def test_scales_by_key_are_kept_apart(standardise):
    """A key of large numbers leaves no trace in the outputs of a net for a key of small ones."""
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=400), rng.normal(size=400) * 1e6
    y = np.column_stack([small, large]).ravel()
    model = new(streams=2, standardise=standardise, experts=None)
    found = model.run_detailed(y[:, None], y, ["small", "large"] * 400, late=True).forecasts[:, 0]
    errors = np.abs(found - y)[::2][100:]
    assert (errors.mean() < 2) == (standardise == "key")


def test_growth_keeps_what_rules_and_net_have_learned():
    """A new input is zero in its units until it varies: forecasts go on as without it."""
    rng = np.random.default_rng(0)
    y = np.sin(np.arange(800) / 5) + 0.05 * rng.normal(size=800)
    rows = [{"a": float(v)} for v in y]
    for given in ({}, {"standardise": "key"}, {"delay": 3}, {"ahead": 2, "levels": (0.9,)}):
        grown, plain = (new(unseen="grow", missing="mean", **given) for _ in range(2))
        for each in (grown, plain):
            each.run(rows[:400], y[:400], late=True)
        before = inside(grown).kernel.state()
        expected = plain.predict(rows[400:401])
        found = grown.predict([{**rows[400], "new": 3.0}])
        with case(given):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            grown.run([{**rows[400], "new": 3.0}], y[400:401], late=True)
            after = inside(grown).kernel.state()
            for name in filter(lambda n: n.startswith("rules_") and "rows" not in n, before):
                assert after[name].shape == before[name].shape, name
            errors = [
                np.abs(each.run(rows[401:], y[401:], late=True).reshape(399, -1)[:-1, 0] - y[402:])
                for each in (grown, plain)
            ]
            assert errors[0].mean() < 1.1 * errors[1].mean()
