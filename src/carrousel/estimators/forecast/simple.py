"""Simple forecasts of series: last value, drift, smoothing, and their seasonal kin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.shapes import Bools, Floats

PLAIN = ("last", "drift", "smooth", "damped trend", "mean")
SEASONAL = ("seasonal", "seasonal + growth", "seasonal * growth", "usual season")


@dataclass(frozen=True, eq=False)
class Simple:
    """Simple forecasts at every step, and what they are measured by.

    Args:
        last: ``[T, B, J]``, the last value seen.
        scale: ``[T, B, J]``, the mean absolute change of the steps so far; later ones weigh more.
        forecasts: ``[T, B, horizon, J, K]``, relative to ``last`` in units of ``scale``.
    """

    last: Annotated[Floats, "T B J"]
    scale: Annotated[Floats, "T B J"]
    forecasts: Annotated[Floats, "T B horizon J K"]


def names(season: int | None) -> tuple[str, ...]:
    """Return the names of the ``K`` forecasts, in order.

    >>> names(None)
    ('last', 'drift', 'smooth', 'damped trend', 'mean')
    """
    return PLAIN if season is None else PLAIN + SEASONAL


def simple_forecasts(
    values: Annotated[Floats, "T B J"], horizon: int, season: int | None
) -> Simple:
    """Compute every simple forecast at every step, from the values up to that step.

    Values are missing where they are NaN. The last value replaces them; before the first one, the
    first one does, and forecasts made there mean nothing.

    Args:
        values: series of one length, or padded at the end.
        horizon: steps ahead.
        season: steps after which a pattern repeats; None: no seasonal forecasts.
    """
    seen = np.isfinite(values)
    x = carried(values, seen)
    ahead = np.arange(1, horizon + 1)[:, None]  # [horizon, 1], broadcast over [J]
    found = np.empty((*x.shape[:2], horizon, x.shape[2], len(names(season))))
    scale, runs = _smoothed(x, seen, 24 if season is None else max(24, 4 * season))
    steps = np.maximum(np.cumsum(seen, axis=0) - 1, 1)[..., None, :]
    last = x[..., None, :]
    found[..., 0] = last
    found[..., 1] = last + ahead * (last - x[0][:, None, :]) / steps
    found[..., 2] = runs["smooth"][..., None, :]
    damping = np.cumsum(0.9 ** np.arange(1, horizon + 1))[:, None]
    found[..., 3] = runs["level"][..., None, :] + damping * runs["trend"][..., None, :]
    found[..., 4] = runs["mean"][..., None, :]
    if season is not None:
        _seasonal(x, season, found)
    relative = (found - last[..., None]) / scale[..., None, :, None]
    return Simple(x, scale, relative)


def carried(
    values: Annotated[Floats, "T B J"], seen: Annotated[Bools, "T B J"]
) -> Annotated[Floats, "T B J"]:
    """Replace missing values by the one seen last; those before the first by the first."""
    if seen.all():
        return values.astype(np.float64)
    step = np.arange(len(values))[:, None, None]
    at = np.maximum.accumulate(np.where(seen, step, -1), axis=0)
    at = np.where(at < 0, seen.argmax(axis=0), at)
    return np.nan_to_num(np.take_along_axis(values, at, axis=0).astype(np.float64))


def _smoothed(
    x: Annotated[Floats, "T B J"], seen: Annotated[Bools, "T B J"], memory: int
) -> tuple[Floats, dict[str, Floats]]:
    """Return running scales ``[T, B, J]`` and the exponentially smoothed series.

    A running mean gives all steps the same weight, and after ``memory`` steps forgets old ones.
    """
    runs = {name: np.empty_like(x) for name in ("smooth", "level", "trend", "mean")}
    scale = np.empty_like(x)
    smooth, level, mean = x[0].copy(), x[0].copy(), x[0].copy()
    trend, change, size = (np.zeros_like(x[0]) for _ in range(3))
    count = seen[0].astype(np.float64)
    for t in range(len(x)):
        if t:
            here = seen[t]
            count = count + here
            rate = np.where(here, 1.0 / np.clip(count, 1, memory), 0.0)
            mean = mean + rate * (x[t] - mean)
            step = np.where(here, 1.0 / np.clip(count - 1, 1, memory), 0.0)
            change = change + step * (np.abs(x[t] - x[t - 1]) - change)
            smooth = smooth + 0.3 * here * (x[t] - smooth)
            reached = level + 0.9 * trend  # Holt's smoothing with a damped trend
            new = np.where(here, 0.5 * x[t] + 0.5 * reached, reached)
            trend = np.where(here, 0.2 * (new - level) + 0.8 * 0.9 * trend, 0.9 * trend)
            level = new
        size = size + (np.abs(x[t]) - size) / (t + 1)
        floor = 1e-3 * size  # a series that has not changed yet still needs a unit
        scale[t] = np.where(change > floor, change, np.where(floor > 0.0, floor, 1.0))
        for name, value in zip(runs, (smooth, level, trend, mean), strict=True):
            runs[name][t] = value
    return scale, runs


def _seasonal(x: Annotated[Floats, "T B J"], m: int, found: Floats) -> None:
    """Write the seasonal forecasts into ``found[..., 5:]``; before a whole season, the last value.

    Growth is the mean of the last season compared with that of the season before.
    """
    T, horizon = len(x), found.shape[2]
    t = np.arange(T)
    sums = np.concatenate([np.zeros((1, *x.shape[1:])), np.cumsum(x, axis=0)])
    year = (sums[t + 1] - sums[np.maximum(t + 1 - m, 0)]) / np.minimum(t + 1, m)[:, None, None]
    before = year[np.maximum(t - m, 0)]
    grown = (t >= 2 * m - 1)[:, None, None]
    growth = np.where(grown, year - before, 0.0)
    positive = grown & (year > 0.0) & (before > 0.0)
    ratio = np.where(positive, year / np.where(positive, before, 1.0), 1.0).clip(0.25, 4.0)
    usual = x.copy()  # mean of one place in the season, as known at each step
    for k in range(m, T):
        usual[k] = 0.7 * usual[k - m] + 0.3 * x[k] if k >= 2 * m else 0.5 * (x[k] + x[k - m])
    for h in range(1, horizon + 1):
        rounds = -(-h // m)
        back = t + h - m * rounds
        whole = (back >= 0)[:, None, None] & (t >= m - 1)[:, None, None]
        same = np.where(whole, x[np.maximum(back, 0)], x)
        found[:, :, h - 1, :, 5] = same
        found[:, :, h - 1, :, 6] = same + rounds * growth
        found[:, :, h - 1, :, 7] = np.where(same > 0.0, same * ratio**rounds, same)
        found[:, :, h - 1, :, 8] = np.where(whole, usual[np.maximum(back, 0)], x)
