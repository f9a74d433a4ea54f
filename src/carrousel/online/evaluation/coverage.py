"""How often targets lie within their prediction intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from carrousel.shapes import Floats


class Coverage:
    """Share of the targets within their intervals, and the mean width of the intervals.

    Args:
        level: the share that is aimed at.

    >>> coverage = Coverage(0.5)
    >>> coverage.add(np.array([1.0, 5.0]), np.array([0.0, 0.0]), np.array([2.0, 2.0]))
    >>> coverage.summary() == {"level": 0.5, "coverage": 0.5, "width": 2.0, "targets": 2}
    True
    """

    def __init__(self, level: float) -> None:
        self.level = level
        self._sums = np.zeros(3)  # targets, those inside, widths

    def add(
        self,
        targets: Annotated[Floats, "..."],
        lower: Annotated[Floats, "..."],
        upper: Annotated[Floats, "..."],
    ) -> None:
        """Add targets with their intervals; NaN where there is none."""
        there = ~np.isnan(targets + lower + upper)
        inside = there & (lower <= targets) & (targets <= upper)
        self._sums[:2] += there.sum(), inside.sum()
        # One after another, so that the sum is the same however rows are divided into parts.
        self._sums[2] = np.cumsum(np.append(self._sums[2], (upper - lower)[there]))[-1]

    def summary(self) -> dict[str, Any]:
        """Return level, coverage, mean width and number of targets; None where undefined."""
        n, inside, width = self._sums.tolist()
        known = n > 0
        return {
            "level": self.level,
            "coverage": inside / n if known else None,
            "width": width / n if known else None,
            "targets": int(n),
        }

    def state(self) -> dict[str, np.ndarray]:
        """Return the state, for :meth:`restore`."""
        return {"sums": self._sums.copy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned."""
        if "sums" in state:
            self._sums = np.array(state["sums"], np.float64).reshape(3)
