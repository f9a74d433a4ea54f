"""Learning curves of bounded size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from carrousel.shapes import Floats

MOST_POINTS = 200


@dataclass
class Curve:
    """Mean training error over a trial, in at most :data:`MOST_POINTS` points.

    A point covers ``stride`` blocks of training. When the curve is full, neighbouring points are
    merged and the stride doubles. The points depend on the errors and the size of a block alone,
    not on the calls of :meth:`add`.

    Args:
        block: number of sequences of the first points.

    >>> curve = Curve(block=2)
    >>> curve.add(np.array([0.4, 0.2, 0.1]))
    >>> curve.add(np.array([0.2]))
    >>> [(seen, round(error, 2)) for seen, error in curve.points()]
    [(2, 0.3), (4, 0.15)]
    """

    block: int = 1
    stride: int = 1
    _counts: list[int] = field(default_factory=list)
    _totals: list[float] = field(default_factory=list)
    _blocks: int = 0
    _open: int = 0  # sequences of the current block so far

    def add(self, errors: Annotated[Floats, "N"]) -> None:
        """Add the mean errors of the next sequences."""
        done = 0
        while done < len(errors):
            if self._open == 0:
                self._next_block()
            part = errors[done : done + self.block - self._open]
            # summed one by one: pairwise sums would depend on where calls are cut
            self._totals[-1] = float(np.cumsum(np.concatenate([self._totals[-1:], part]))[-1])
            self._counts[-1] += len(part)
            self._open = (self._open + len(part)) % self.block
            done += len(part)

    def points(self) -> tuple[tuple[int, float], ...]:
        """Return pairs of sequences learned so far and the mean error since the pair before."""
        seen, points = 0, list[tuple[int, float]]()
        for count, total in zip(self._counts, self._totals, strict=True):
            seen += count
            points.append((seen, total / count))
        return tuple(points)

    def _next_block(self) -> None:
        if self._blocks % self.stride == 0:
            if len(self._counts) == MOST_POINTS:
                self._merge()
            self._counts.append(0)
            self._totals.append(0.0)
        self._blocks += 1

    def _merge(self) -> None:
        self._counts = [a + b for a, b in zip(self._counts[::2], self._counts[1::2], strict=True)]
        self._totals = [a + b for a, b in zip(self._totals[::2], self._totals[1::2], strict=True)]
        self.stride *= 2
