"""Reference of online mixtures of forecasts, and of running sizes of errors, in NumPy.

Sources: Wintenberger, "Optimal learning with Bernstein online aggregation", Machine Learning 106,
2017 (rates of each forecast by its own regrets); Gaillard, Stoltz & van Erven, "A second-order
bound with excess losses", COLT 2014 (the bound by the sum of squared regrets).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.shapes import Floats

FADE = 0.9995
"""Factor of old regrets at each forecast."""
MOST_REGRET = 5.0
"""Largest regret of one forecast, in mean absolute errors."""
SCALE_ROWS = 250.0
"""Time constant of mean absolute errors."""
MOST_GROWTH = 5.0
"""A value counts at most as this many means."""


class Size:
    """Running mean of absolute values, to which a value adds at most ``MOST_GROWTH`` means.

    >>> size = Size()
    >>> for x in (1.0, -1.0, 1e6):
    ...     size.count(x)
    >>> round(size.unit, 3)
    2.333
    """

    def __init__(self) -> None:
        self.mean, self.seen = 0.0, 0.0

    def count(self, x: float) -> None:
        """Add a value."""
        self.seen = min(self.seen + 1, SCALE_ROWS)
        size = abs(x)
        if self.mean > 0:
            size = min(size, MOST_GROWTH * self.mean)
        self.mean += (size - self.mean) / self.seen

    @property
    def unit(self) -> float:
        """The mean; 1 before there is one."""
        return self.mean if self.mean > 0 else 1.0


class Regrets:
    """Regrets of a mixture towards each of ``n`` forecasts, and the weights that follow from them.

    With regrets ``r_i(t) = l'(mixed) (mixed - f_i)`` in units of the mean error, where ``l'`` is
    the derivative of the absolute error, made smooth near zero (Huber 1964), and discounted sums
    ``R_i`` of ``r_i`` and ``Q_i`` of ``r_i^2``, the weights are

        w_i ~ eta_i exp(eta_i R_i),    eta_i = min(1 / (2 max_t |r_i|), sqrt(log(n + 1) / Q_i))

    >>> regrets = Regrets(2)
    >>> for _ in range(50):
    ...     regrets.count(np.array([1.0, 0.0]), mixed=0.5, y=0.0, unit=1.0)
    >>> bool(regrets.weights()[1] > 0.95)
    True
    """

    def __init__(self, n: int) -> None:
        self.sum, self.squares, self.most = np.zeros((3, n))

    def count(self, forecasts: Annotated[Floats, "n"], mixed: float, y: float, unit: float) -> None:
        """Learn that the value was ``y``."""
        slope = np.clip((mixed - y) / unit, -1.0, 1.0)
        r = np.clip(slope * (mixed - forecasts) / unit, -MOST_REGRET, MOST_REGRET)
        self.sum = FADE * self.sum + r
        self.squares = FADE * self.squares + r * r
        self.most = np.maximum(self.most, np.abs(r))

    def weights(self) -> Annotated[Floats, "n"]:
        """Return the weights of the forecasts, which sum to 1."""
        rates = np.ones(len(self.sum))
        there = self.most > 0
        by_squares = np.sqrt(np.log(len(self.sum) + 1) / self.squares[there])
        rates[there] = np.minimum(0.5 / self.most[there], by_squares)
        exponents = rates * self.sum
        weights = rates * np.exp(exponents - exponents.max())
        return weights / weights.sum()
