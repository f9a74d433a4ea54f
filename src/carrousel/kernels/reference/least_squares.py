"""Reference of recursive least squares with forgetting, in NumPy.

Source: Plackett, "Some theorems in least squares", Biometrika 37, 1950.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.shapes import Floats

KEEP = 0.9995
"""Factor of the weight of old rows at each row."""
PRIOR_VARIANCE = 0.1
"""Variance of the weights before the first row."""
MOST_VARIANCE = 1e4
"""Largest variance of a weight, whose regressor has long been zero."""


class LeastSquares:
    """The weights ``w`` that minimise a discounted sum of squares, row by row.

    After rows ``x(1) .. x(n)`` with values ``y(1) .. y(n)``, ``w`` minimises

        sum_t KEEP^(n - t) (y(t) - w' x(t))^2 + KEEP^n |w|^2 / PRIOR_VARIANCE

    and ``inverse`` is the inverse of the matrix of this quadratic form.

    >>> fit = LeastSquares(1)
    >>> for _ in range(100):
    ...     fit.learn(np.ones(1), 3.0 - fit.forecast(np.ones(1)))
    >>> round(fit.forecast(np.ones(1)), 1)
    2.7
    """

    def __init__(self, n: int) -> None:
        self.weights, self.inverse = np.zeros(n), PRIOR_VARIANCE * np.eye(n)

    def forecast(self, x: Annotated[Floats, "n"]) -> float:
        """Return ``w' x``."""
        return float(self.weights @ x)

    def learn(self, x: Annotated[Floats, "n"], error: float) -> None:
        """Learn a row, whose value was ``forecast(x) + error``."""
        gain = self.inverse @ x
        below = KEEP + x @ gain
        if not (below >= KEEP and np.isfinite(below)):  # rounding has spoilt the inverse
            self.inverse = PRIOR_VARIANCE * np.eye(len(x))
            return
        self.weights = self.weights + gain * (error / below)
        self.inverse = (self.inverse - np.outer(gain, gain) / below) / KEEP  # symmetric
        self._limit()

    def forget(self, i: int) -> None:
        """Return weight ``i`` to its prior, independent of the others."""
        self.weights[i] = 0
        self.inverse[i, :] = self.inverse[:, i] = 0
        self.inverse[i, i] = PRIOR_VARIANCE

    def _limit(self) -> None:
        variances = np.diag(self.inverse)
        factors = np.sqrt(np.minimum(1.0, MOST_VARIANCE / np.maximum(variances, MOST_VARIANCE)))
        self.inverse = self.inverse * factors[:, None] * factors
