"""Reference of running means and deviations that outliers cannot spoil, in NumPy."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.shapes import Floats

MOST_ODD = 5.0
"""A value counts at most as this many deviations."""
CONFIRMED = 8
"""Number of such values in a row after which earlier values are forgotten."""
TRUSTED = 4
"""Rows that a new key trusts the scale of all keys for."""


class RunningScale:
    """Running mean and variance of each column, with time constant ``horizon`` (0: infinite).

    At the ``n``-th value ``x``, with ``a = 1 / min(n, horizon)`` and ``d = x - mean``, ``mean +=
    a d`` and ``variance = (1 - a) (variance + a d^2)``. Without a horizon these are the mean and
    variance of all ``n`` values (Welford 1962).

    ``d`` is limited to ``MOST_ODD`` deviations (Huber 1964), except for the last of ``CONFIRMED``
    such values in a row: then ``n`` falls to ``CONFIRMED``, since the values have moved.
    """

    def __init__(self, columns: int, horizon: float) -> None:
        self.seen, self.mean, self.variance, self.odd = np.zeros((4, columns))
        self._horizon = horizon or np.inf

    def count(self, x: Annotated[Floats, "I"]) -> None:
        """Update with one row; a NaN is skipped."""
        there = ~np.isnan(x)
        d = np.where(there, x, self.mean) - self.mean
        most = MOST_ODD * np.sqrt(self.variance)
        far = there & (self.variance > 0) & (np.abs(d) > most)
        odd = np.where(far, self.odd + 1, 0)
        confirmed = odd >= CONFIRMED
        d = np.where(far & ~confirmed, np.copysign(most, d), d)
        seen = np.where(confirmed, np.minimum(self.seen, CONFIRMED), self.seen) + 1
        a = 1 / np.minimum(seen, self._horizon)
        self.odd = np.where(there, np.where(confirmed, 0, odd), self.odd)
        self.seen = np.where(there, seen, self.seen)
        variance = (1 - a) * (self.variance + a * d * d)
        self.mean = np.where(there, self.mean + a * d, self.mean)
        self.variance = np.where(there, variance, self.variance)

    @property
    def deviation(self) -> Annotated[Floats, "I"]:
        """Standard deviation; 1 for columns that have not varied."""
        return np.where(self.variance > 0, np.sqrt(self.variance), 1.0)

    def standardised(self, x: Annotated[Floats, "I"], largest: float) -> Annotated[Floats, "I"]:
        """Return ``(x - mean) / deviation``, clipped; 0 for constant columns and for NaN."""
        z = np.clip((x - self.mean) / self.deviation, -largest, largest)
        return np.where((self.variance > 0) & ~np.isnan(x), z, 0.0)

    def taken_over(self) -> RunningScale:
        """Return the scale of a new key, for which this one is that of all keys."""
        new = RunningScale(len(self.mean), self._horizon)
        new.seen = np.minimum(self.seen, TRUSTED)
        new.mean, new.variance = self.mean.copy(), self.variance.copy()
        return new


class Scales:
    """Scales of the columns of all streams: one for all, or one for each key.

    Args:
        columns: number of columns.
        horizon: time constant, in rows.
        by_key: whether each stream has a scale of its own.
    """

    def __init__(self, columns: int, horizon: float, by_key: bool) -> None:
        self.all = RunningScale(columns, horizon)
        self._own: dict[int, RunningScale] = {}
        self._by_key = by_key

    def begin(self, stream: int) -> None:
        """Start a stream, which takes over the scale of all streams."""
        if self._by_key:
            self._own[stream] = self.all.taken_over()

    def of(self, stream: int) -> RunningScale:
        """Return the scale of a stream."""
        return self._own[stream] if self._by_key else self.all

    def count(self, stream: int, x: Annotated[Floats, "I"]) -> None:
        """Update with one row of a stream."""
        self.all.count(x)
        if self._by_key:
            self._own[stream].count(x)
