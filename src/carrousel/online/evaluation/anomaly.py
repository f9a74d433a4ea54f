"""Anomaly scores: the rank of an error among the last ones.

If errors are exchangeable, the rank of a new one among those before is uniform, whatever their
distribution, with ties broken at random (Vovk, Gammerman & Shafer 2005, *Algorithmic Learning in a
Random World*, chapter 2). So a score has the same meaning on every stream.

Where several columns are predicted, the error of a row is that of the column that departs most from
its forecast, in deviations of the column's usual errors.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.errors import SettingError, ShapeError
from carrousel.shapes import Floats

TO_DEVIATION = 1.4826
"""Standard deviation of a normal variable over the median of its absolute value."""
LEAST = 100
"""Number of errors before the first score."""


class Calibration:
    """Scores errors from 0 to 1, each by its rank among the last ``window`` errors before it.

    With ``n`` errors before, of which ``b`` are below the new one and ``t`` equal it, the score is
    ``(b + u (t + 1)) / (n + 1)``, where ``u`` is uniform from 0 to 1. If the distribution of errors
    does not change, scores are uniform: one in a hundred exceeds 0.99. An error above all others
    scores at least ``n / (n + 1)``, however large it is: a score is a rank, not a size.

    Unusual errors enter the window too, so the scores adapt to a lasting change.

    Args:
        window: number of errors kept.
        least: number of errors before the first score; at most ``window``.
        seed: of ``u``.

    >>> calibration = Calibration(window=200)
    >>> scores = calibration.add(np.random.default_rng(1).exponential(size=10_000))
    >>> int(np.isnan(scores).sum()), round(float((scores > 0.9).mean()), 2)
    (100, 0.1)
    >>> bool(calibration.add(np.array([100.0]))[0] > 0.995)
    True
    """

    def __init__(self, window: int = 1000, *, least: int = 100, seed: int = 0) -> None:
        self.window = check_int("window", window, minimum=1)
        self._least = check_int("least", least, minimum=0)
        if self._least > self.window:
            raise SettingError(
                f"least is {least}, but the window holds {window} errors; expected at most as many"
            )
        self._seed = check_int("seed", seed, minimum=0)
        self._begin(0, [])

    def _begin(self, seen: int, errors: list[float]) -> None:
        self._seen, self._errors, self._sorted = seen, deque(errors), sorted(errors)
        self._chance = np.random.Generator(np.random.PCG64(self._seed).advance(seen))

    def add(self, errors: Annotated[Floats, "N"]) -> Annotated[Floats, "N"]:
        """Score errors in order, each by those before it, and keep them.

        Args:
            errors: ``[N]``, larger is worse; NaN where missing.

        Returns:
            Scores ``[N]``; NaN where the error is missing, or fewer than ``least`` came before it.
        """
        return self.rank(errors)[0]

    def rank(
        self, errors: Annotated[Floats, "N"]
    ) -> tuple[Annotated[Floats, "N"], Annotated[Floats, "N"]]:
        """Score errors like :meth:`add`; also return the usual size of the errors before each.

        The usual size is :data:`TO_DEVIATION` times the median (or the mean, if the median is 0):
        the standard deviation, if errors are absolute values of normal ones.
        """
        scores, sizes = np.full((2, len(errors)), np.nan)
        kept = np.flatnonzero(~np.isnan(errors))
        chances = self._chance.random(len(kept)).tolist()
        for row, error, chance in zip(kept.tolist(), errors[kept].tolist(), chances, strict=True):
            sizes[row] = self._usual()
            scores[row] = self._score(error, chance)
        self._seen += len(kept)
        return scores, sizes

    def _usual(self) -> float:
        ranked = self._sorted
        n = len(ranked)
        if not n or n < self._least:
            return np.nan
        median = (ranked[n // 2] + ranked[(n - 1) // 2]) / 2
        return TO_DEVIATION * median if median > 0 else sum(ranked) / n or np.nan

    def _score(self, error: float, chance: float) -> float:
        ranked = self._sorted
        n, below = len(ranked), bisect_left(ranked, error)
        above = bisect_right(ranked, error, below)
        if n == self.window:
            oldest = self._errors.popleft()
            del ranked[bisect_left(ranked, oldest)]
            ranked.insert(above - (oldest <= error), error)
        else:
            ranked.insert(above, error)
        self._errors.append(error)
        return (below + chance * (above - below + 1)) / (n + 1) if n >= self._least else np.nan

    def state(self) -> dict[str, np.ndarray]:
        """Return the state, for :meth:`restore`."""
        return {"errors": np.array(self._errors), "seen": np.array(self._seen)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned; later scores are then the same, to the last bit.

        Raises:
            ShapeError: the state has another window.
        """
        errors, seen = state["errors"], int(state["seen"])
        if errors.ndim != 1 or len(errors) != min(seen, self.window) or np.isnan(errors).any():
            raise ShapeError(
                f"state has {errors.shape} errors of {seen}, expected the last {self.window}; it "
                "was taken with another window"
            )
        self._begin(seen, errors.tolist())

    @property
    def nbytes(self) -> int:
        """Bytes of the errors kept; constant once the window is full."""
        return self._sorted.__sizeof__() + self._errors.__sizeof__() + 24 * len(self._errors)
