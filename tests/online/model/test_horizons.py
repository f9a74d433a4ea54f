"""Forecasts of several rows, with prediction intervals."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import CarrouselError, SettingError
from carrousel.online.model.horizons import Interval
from support.online.cases import case
from support.online.models import knowledge

AHEAD = 5


def new(**settings: Any) -> OnlineLSTM:
    return OnlineLSTM(**{"cells": 4, "random_state": 1, **settings})


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


# --- what a lead is ----------


def test_leads_line_up_with_targets():
    """A stream of period 7 is known ahead: lead h of row r is the target h rows later."""
    pattern = np.array([3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0])
    y = np.tile(pattern, 200)
    x = np.ones((len(y), 1))
    for late in (False, True):
        found = new(ahead=AHEAD, season=7).run(x, y, late=late)
        assert found.shape == (len(y), AHEAD)
        for h in range(AHEAD):
            moved = np.roll(y, -h - late)  # the target of a late row is that of the row before
            errors = np.abs(found - moved[:, None])[700:-AHEAD]
            assert errors[:, h].mean() < 0.05
            others = [errors[:, k].mean() for k in range(AHEAD) if k != h]
            assert min(others) > 1


def test_the_first_lead_does_not_depend_on_the_others():
    """Its rules are the same; the net, which learns all leads, differs."""
    y = np.sin(np.arange(600) / 5) + 0.1 * noise(600)
    one = new(learning_rate=0.0).run(y[:, None], y, late=True)
    several = new(learning_rate=0.0, ahead=AHEAD).run(y[:, None], y, late=True)
    errors = [np.abs(each[300:-1] - y[301:]).mean() for each in (one, several[:, 0])]
    np.testing.assert_allclose(errors[1], errors[0], rtol=0.05)


def test_forecasts_are_those_of_the_last_row():
    y = np.sin(np.arange(400) / 5) + 0.1 * noise(400)
    model = new(ahead=AHEAD, streams=2)
    for key, part in (("a", y[:200]), ("b", y[200:])):
        found = model.run_detailed(part[:, None], part, [key] * 200, late=True, level=0.9)
        assert found.leads is not None
        assert found.lower is not None
        assert found.upper is not None
        before = knowledge(model)
        ahead = model.forecast(key, level=0.9)
        np.testing.assert_array_equal(ahead.forecast, found.leads[-1, :, 0])
        np.testing.assert_array_equal(ahead.lower, found.lower[-1, :, 0])
        np.testing.assert_array_equal(ahead.upper, found.upper[-1, :, 0])
        np.testing.assert_array_equal(model.forecast(key), ahead.forecast)
        np.testing.assert_array_equal(model.predict(keys=key, horizon=2), ahead.forecast[:2])
        assert knowledge(model) == before


def test_leads_have_the_form_of_the_targets():
    columns = {"a": noise(50), "b": noise(50, 1)}
    matrix = np.column_stack(list(columns.values()))
    X = matrix.copy()
    forms = {
        "number": (columns["a"], (50, AHEAD)),
        "vector": (matrix, (50, AHEAD, 2)),
        "names": (columns, (50, AHEAD)),
    }
    for name, (y, shape) in forms.items():
        model = new(ahead=AHEAD)
        found = model.run(X, y)
        ahead, rows = model.forecast(level=0.8), model.predict(X[:3], horizon=2, level=0.8)
        assert isinstance(ahead, Interval)
        with case(name):
            if name == "names":
                assert list(found) == list(ahead.forecast) == list(rows.lower) == ["a", "b"]
                found, ahead_of, rows_of = found["b"], ahead.forecast["b"], rows.upper["b"]
            else:
                ahead_of, rows_of = ahead.forecast, rows.upper
            assert found.shape == shape
            assert ahead_of.shape == shape[1:]
            assert rows_of.shape == (3, 2, *shape[2:])


def test_models_that_look_ahead_are_saved(tmp_path):
    y = noise(100)
    model = new(ahead=AHEAD, levels=(0.5, 0.9))
    model.run(y[:, None], y, late=True)
    model.save(tmp_path / "model")
    again = OnlineLSTM.load(tmp_path / "model")
    assert knowledge(again) == knowledge(model)
    np.testing.assert_array_equal(again.forecast(level=0.5).lower, model.forecast(level=0.5).lower)
    assert again.lead_errors() == model.lead_errors()


def test_errors_of_leads_are_those_of_the_forecasts():
    y = np.cumsum(noise(500))
    model = new(ahead=3)
    found = model.run(y[:, None], y, late=True)
    for h, error in enumerate(model.lead_errors()):
        n = len(y) - 1 - h
        direct = np.abs(found[:n, h] - y[h + 1 :])
        assert error is not None
        np.testing.assert_allclose(error, direct[1:].mean(), rtol=0.05)
    errors = [error for error in model.lead_errors() if error is not None]
    assert errors == sorted(errors)  # further is harder


# --- intervals ----------


def draw_streams(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    t = np.arange(n)
    return {
        "wave": np.sin(t / 5) + 0.2 * rng.normal(size=n),
        "walk": np.cumsum(rng.normal(size=n)),
        "heavy tails": rng.standard_t(3, n),
        "growing noise": (1 + t / n * 9) * rng.normal(size=n),
        "skewed": rng.exponential(size=n),
        "jump": rng.normal(size=n) + 30.0 * (t > n // 2),
    }


def test_intervals_contain_their_share_of_the_targets():
    """Quantile tracking: on any stream and for each lead, the long-run share is the level."""
    levels, n = (0.5, 0.8, 0.95), 8000
    for name, y in draw_streams(n).items():
        for level in levels:
            model = new(ahead=3, levels=levels)
            found = model.run_detailed(y[:, None], y, late=True, level=level)
            assert found.lower is not None
            assert found.upper is not None
            for h in range(3):
                target = y[h + 1 :]
                rows = slice(500, len(target))
                lower, upper = (side[: len(target), h, 0] for side in (found.lower, found.upper))
                inside = ((lower <= target) & (target <= upper))[rows]
                with case(name, level, h, inside.mean()):
                    assert abs(inside.mean() - level) < 0.02


def test_intervals_nest_and_contain_the_forecast():
    y = np.sin(np.arange(3000) / 5) + 0.2 * noise(3000)
    model = new(levels=(0.5, 0.8, 0.95), ahead=2)
    model.run(y[:, None], y, late=True)
    wider = [model.forecast(level=level) for level in (0.5, 0.8, 0.95)]
    for inner, outer in itertools.pairwise(wider):
        assert (outer.lower < inner.lower).all()
        assert (inner.upper < outer.upper).all()
    assert (wider[0].lower < wider[0].forecast).all()
    assert (wider[0].forecast < wider[0].upper).all()


def test_intervals_are_pooled_over_keys_but_scaled_by_key():
    """A key of large noise has wide intervals; the coverage holds for both together."""
    n = 8000
    scale = np.where(np.arange(n) % 2, 10.0, 0.1)
    y = scale * noise(n)
    keys = ["small", "large"] * (n // 2)
    found = new(streams=2).run_detailed(y[:, None], y, keys, late=True, level=0.9)
    assert found.own_bounds is not None
    lower, upper = found.own_bounds[..., 0]
    inside = ((lower <= y) & (y <= upper))[1000:]
    assert abs(inside.mean() - 0.9) < 0.02
    widths = (upper - lower)[1000:]
    assert 50 < widths[1::2].mean() / widths[::2].mean() < 200


# --- refusals ----------


def test_refusals_name_what_was_given_what_is_expected_and_the_fix():
    y = noise(30)
    model, plain = new(ahead=3, levels=(0.9,)), new(experts=None)
    for each in (model, plain):
        each.run(y[:, None], y)
    classes = OnlineLSTM("binary", cells=2, random_state=1)
    classes.step([1.0], True)
    untracked = r"level is 0.8, expected one of \[0.9\]; add 0.8 to levels"
    for call, message in (
        (lambda: model.forecast(level=0.8), untracked),
        (lambda: model.predict([[1.0]], level=0.8), untracked),
        (lambda: model.run_detailed([[1.0]], [1.0], level=0.8), untracked),
        (lambda: model.forecast(horizon=4), "horizon is 4, expected a whole number .* 3"),
        (lambda: model.forecast(horizon=0), "horizon is 0, expected a whole number"),
        (lambda: model.forecast("new"), "key 'new' has no rows yet"),
        (lambda: new().forecast(), "key None has no rows yet"),
        (lambda: plain.forecast(), "forecasts without expert rules.*use task='regression'"),
        (lambda: classes.forecast(), "forecasts without expert rules"),
    ):
        with case(message), pytest.raises(SettingError, match=message):
            call()
    for given, message in (
        ({"ahead": 2, "experts": None}, "ahead is 2, which needs the expert rules"),
        ({"ahead": 2, "standardise": False}, "ahead is 2, which needs the expert rules"),
        ({"ahead": 0}, "ahead is 0, expected a whole number"),
        ({"delay": -1}, "delay is -1"),
        ({"levels": (1.0,)}, "levels is 1.0, expected a list of numbers above 0 and below 1"),
        ({"levels": (0.5,) * 17}, "levels is .*, expected at most 16"),
        ({"season": 1}, "season is 1, expected a whole number"),
        ({"season": "daily"}, "season is 'daily', expected 'auto', None, or periods"),
        ({"experts": "some"}, "experts is 'some', expected 'auto' or None"),
    ):
        with case(given), pytest.raises(CarrouselError, match=message):
            new(**given).step([1.0], 1.0)


def test_settings_of_the_rules_cannot_change_later(tmp_path):
    model = new(ahead=2)
    model.step([1.0], 1.0)
    for given in ({"ahead": 3}, {"experts": None}, {"season": 5}, {"delay": 1}, {"levels": (0.5,)}):
        with case(given), pytest.raises(SettingError, match="as at the first row"):
            model.set_params(**given)
    assert json.dumps(model.lead_errors()) == "[null, null]"
