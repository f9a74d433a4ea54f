"""Simple forecasts are exact where their assumption holds, causal, and free of units."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.estimators.forecast.simple import carried, names, simple_forecasts

RNG = np.random.default_rng(0)
WAVE = RNG.normal(size=6)


def absolute(x, horizon=8, season=6):
    """Forecasts ``[T, horizon, K]`` of one series, in its units."""
    found = simple_forecasts(np.asarray(x, float)[:, None, None], horizon, season)
    relative, scale = found.forecasts[:, 0, :, 0], found.scale[:, 0, 0, None, None]
    return found.last[:, 0, 0, None, None] + scale * relative


def futures(x, T, horizon=8):
    return np.lib.stride_tricks.sliding_window_view(x[1:], horizon)[:T]


@pytest.mark.parametrize(
    ("name", "make", "first"),
    [
        ("last", lambda t: 0.0 * t + 3.0, 0),
        ("drift", lambda t: 2.0 * t - 7.0, 1),
        ("smooth", lambda t: 0.0 * t + 3.0, 0),
        ("mean", lambda t: 0.0 * t - 1.0, 0),
        ("seasonal", lambda t: WAVE[t % 6], 5),
        ("usual season", lambda t: WAVE[t % 6], 5),
        ("seasonal + growth", lambda t: WAVE[t % 6] + 0.3 * t, 11),
        ("seasonal * growth", lambda t: (3.0 + WAVE[t % 6]) * 1.02**t, 11),
    ],
)
def test_forecast_is_exact_where_its_assumption_holds(name, make, first):
    x = make(np.arange(48))
    found = absolute(x[:40])[..., names(6).index(name)]
    np.testing.assert_allclose(found[first:], futures(x, 40)[first:], rtol=1e-10, atol=1e-10)


def test_forecasts_do_not_see_the_future():
    x = RNG.normal(size=30).cumsum()
    x[[4, 5, 17]] = np.nan
    whole = absolute(x)
    for T in (1, 2, 5, 6, 7, 13, 29):
        np.testing.assert_array_equal(absolute(x[:T]), whole[:T])


def test_padding_and_neighbours_change_nothing():
    x, y = RNG.normal(size=(2, 20))
    batch = np.stack([np.stack([x, y], -1), np.stack([y, x], -1)], 1)  # [T, 2, 2]
    found = simple_forecasts(batch, 4, 3)
    for b, j, series in ((0, 0, x), (0, 1, y), (1, 0, y), (1, 1, x)):
        alone = simple_forecasts(series[:, None, None], 4, 3)
        np.testing.assert_array_equal(found.forecasts[:, b, :, j], alone.forecasts[:, 0, :, 0])
        np.testing.assert_array_equal(found.scale[:, b, j], alone.scale[:, 0, 0])


def test_relative_forecasts_have_no_units():
    """A factor changes nothing; a shift changes growth by a factor alone."""
    x = RNG.normal(size=(40, 1, 1)).cumsum(axis=0)
    one, two = simple_forecasts(x, 5, 4), simple_forecasts(1000.0 * x, 5, 4)
    np.testing.assert_allclose(two.forecasts, one.forecasts, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(two.scale, 1000.0 * one.scale)
    shifted = simple_forecasts(x + 50.0, 5, 4)
    keep = [k for k, name in enumerate(names(4)) if name != "seasonal * growth"]
    np.testing.assert_allclose(
        shifted.forecasts[5:, ..., keep], one.forecasts[5:, ..., keep], rtol=1e-8, atol=1e-8
    )


def test_series_that_never_change_have_a_unit():
    for value in (0.0, 5.0, -3e9):
        found = simple_forecasts(np.full((9, 1, 1), value), 2, 3)
        assert (found.scale > 0).all()
        np.testing.assert_array_equal(found.forecasts, 0.0)


def test_missing_values_are_carried_forward():
    x = np.array([np.nan, np.nan, 1.0, np.nan, 2.0, np.nan])[:, None, None]
    np.testing.assert_array_equal(
        carried(x, np.isfinite(x)).ravel(), [1.0, 1.0, 1.0, 1.0, 2.0, 2.0]
    )
    nothing = np.full((3, 1, 1), np.nan)
    np.testing.assert_array_equal(carried(nothing, np.isfinite(nothing)), 0.0)
