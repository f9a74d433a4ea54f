"""Reference of the search for periods, in NumPy: lags at which a series resembles itself most."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.shapes import Floats

PERIOD_FADE = 0.999
MOST_DISTANCE = 10.0
PERIOD_ROWS = 32
"""Rows that a mean distance needs before its lag may be chosen."""
PERIOD_EVERY = 64
"""Rows between two choices."""
APART = 2
BETTER = 0.9
"""A period is replaced by one whose mean distance is below this share of its own."""
SLOTS = 2


class PeriodSearch:
    """Mean distances ``|y(t) - y(t - lag)|`` of lags ``1 .. longest``, and the best two lags.

    Distances are in mean absolute changes, at most ``MOST_DISTANCE``, and discounted. A period is a
    lag whose mean distance is a minimum among its neighbours, the smallest for the first slot. Two
    periods are more than ``APART`` rows apart.
    """

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self.sums, self.counts = np.zeros((2, longest + 1))  # by lag; 0 is not used
        self.periods = [0] * SLOTS

    def count(self, past: Annotated[Floats, "T"], y: float, unit: float) -> None:
        """Add a value that follows ``past``, in which the latest value is last."""
        n = min(self.longest, len(past))
        lags = np.arange(1, n + 1)
        apart = np.minimum(np.abs(y - np.asarray(past)[len(past) - lags]) / unit, MOST_DISTANCE)
        self.sums[lags] = PERIOD_FADE * self.sums[lags] + apart
        self.counts[lags] = PERIOD_FADE * self.counts[lags] + 1

    def choose(self) -> list[int]:
        """Choose the periods; return the slots that have changed."""
        enough = self.counts >= PERIOD_ROWS
        distance = np.full(self.longest + 1, 1e300)
        distance[enough] = self.sums[enough] / self.counts[enough]
        lags = np.arange(2, self.longest)
        here = distance[lags]
        minima = lags[(here <= distance[lags - 1]) & (here < distance[lags + 1])]
        changed = []
        for slot in range(SLOTS):
            other, now = self.periods[1 - slot], self.periods[slot]
            free = [lag for lag in minima if not other or abs(lag - other) > APART]
            if not free:
                continue
            best = int(min(free, key=lambda lag: (distance[lag], lag)))
            if best != now and (not now or distance[best] < BETTER * distance[now]):
                self.periods[slot] = best
                changed.append(slot)
        return changed
