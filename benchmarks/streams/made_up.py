"""Ten made-up streams, on which the defaults of ``OnlineLSTM`` are chosen.

Each draws its rows with a fixed seed. None resembles a real stream of the page on purpose: real
streams are for judging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from benchmarks.streams.real.stream import Stream

ROWS = 6000
HOUR = np.timedelta64(3600, "s")
BEGIN = np.datetime64("2001-01-01T00:00:00")
SEED = 20_000


def season() -> Stream:
    """A wave of 24 rows with noise of a fifth of its amplitude."""
    y = 50 + 10 * _wave(24) + _noise(1, 2.0)
    return _series("season", "50 + 10 sin(2 pi t / 24) + 2 e", y, (24,))


def walk() -> Stream:
    """A random walk, of which nothing but the last value helps."""
    return _series("walk", "y = y' + e", 100 + np.cumsum(_noise(2)))


def counter() -> Stream:
    """A counter that grows by a random amount at each row."""
    steps = np.random.default_rng(SEED + 3).uniform(0, 0.2, ROWS)
    return _series("counter", "y = y' + u / 5", np.cumsum(steps))


def autoregression() -> Stream:
    """A second order autoregression with a damped wave of about 12 rows."""
    e, y = _noise(4), np.zeros(ROWS)
    for t in range(2, ROWS):
        y[t] = 1.6 * y[t - 1] - 0.9 * y[t - 2] + e[t]
    return _series("autoregression", "y = 1.6 y' - 0.9 y'' + e", y)


def shifts() -> Stream:
    """A wave whose level jumps at random, once in 500 rows."""
    rng = np.random.default_rng(SEED + 5)
    jumps = np.where(rng.random(ROWS) < 1 / 500, rng.normal(0, 50, ROWS), 0)
    y = np.cumsum(jumps) + 3 * _wave(24) + rng.normal(0, 1, ROWS)
    return _series("shifts", "level + 3 sin(2 pi t / 24) + e", y, (24,))


def outliers() -> Stream:
    """A wave, of which one row in 200 is up to a thousand times as large."""
    rng = np.random.default_rng(SEED + 6)
    y = 20 + 5 * _wave(31) + rng.normal(0, 0.5, ROWS)
    wrong = rng.random(ROWS) < 1 / 200
    y[wrong] *= 10 ** rng.uniform(1, 3, wrong.sum())
    return _series("outliers", "20 + 5 sin(2 pi t / 31) + e / 2, one in 200 is wrong", y)


def levels() -> Stream:
    """Sixty interleaved series of 100 rows, with levels and scales from 1 to 1000."""
    rng, n = np.random.default_rng(SEED + 7), 60
    scale, phase = 10 ** rng.uniform(0, 3, n), rng.uniform(0, 2 * np.pi, n)
    t, key = np.divmod(np.arange(ROWS), n)
    y = scale[key] * (3 + np.sin(t / 5 + phase[key]) + rng.normal(0, 0.1, ROWS))
    return _series("levels", "a (3 + sin(t / 5 + b) + e / 10), 60 keys", y, keys=key)


def surface() -> Stream:
    """A nonlinear function of two inputs; neither earlier inputs nor earlier targets help."""
    rng = np.random.default_rng(SEED + 8)
    a, b = rng.uniform(-2, 2, (2, ROWS))
    y = np.sin(2 * a) * b + a * a + rng.normal(0, 0.1, ROWS)
    return Stream("surface", "surface", "sin(2 a) b + a^2 + e / 10", "regression", _named(a, b), y)


def memory() -> Stream:
    """The product of an input with the one before, and the one three rows before."""
    rng = np.random.default_rng(SEED + 9)
    a, b = rng.normal(0, 1, (2, ROWS))
    y = a * np.roll(a, 1) + 2 * np.roll(b, 3) + rng.normal(0, 0.1, ROWS)
    return Stream("memory", "memory", "a a' + 2 b''' + e / 10", "regression", _named(a, b), y)


def week() -> Stream:
    """A day and a week of hours, with another form of the day at weekends."""
    time = _hours()
    weekend = (time.astype("datetime64[D]").astype(int) + 3) % 7 >= 5
    y = 100 + np.where(weekend, 15 * _wave(24), 40 * _wave(24) + 10 * _wave(12)) - 20 * weekend
    y = y + 5 * _wave(168) + _noise(10, 4.0)
    return _series("week", "day, week, weekend + 4 e", y, (24, 168))


STREAMS: Mapping[str, Callable[[], Stream]] = {
    make.__name__: make
    for make in (
        *(season, walk, counter, autoregression, shifts),
        *(outliers, levels, surface, memory, week),
    )
}
"""Functions that make the streams, by name."""


def _series(
    name: str,
    equation: str,
    y: np.ndarray,
    seasons: tuple[int, ...] = (),
    keys: np.ndarray | None = None,
) -> Stream:
    needs = {} if keys is None else {"streams": len(np.unique(keys))}
    time = _hours() if seasons else None
    return Stream(
        *(name, name, equation, "forecast", {"y": y}, y, "", time, keys),
        seasons=seasons,
        needs=needs,
    )


def _named(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    return {"a": a, "b": b}


def _hours() -> np.ndarray:
    return BEGIN + np.arange(ROWS) * HOUR


def _wave(period: float) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(ROWS) / period)


def _noise(seed: int, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(SEED + seed).normal(0, scale, ROWS)
