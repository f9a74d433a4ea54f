"""Learning curves of bounded size."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_POINTS = 200


@dataclass
class Curve:
    """Mean training error over a trial, in at most :data:`MOST_POINTS` points.

    A point covers ``stride`` chunks of training. When the curve is full, neighbouring points are
    merged and the stride doubles. The points depend on the chunks alone.

    >>> curve = Curve()
    >>> for error in [4.0, 2.0, 1.0]:
    ...     curve.add(10, total=error)
    >>> curve.points()
    ((10, 0.4), (20, 0.2), (30, 0.1))
    """

    stride: int = 1
    _counts: list[int] = field(default_factory=list)
    _totals: list[float] = field(default_factory=list)
    _chunks: int = 0

    def add(self, sequences: int, total: float) -> None:
        """Add a chunk of sequences and the sum of their mean errors."""
        if self._chunks % self.stride == 0:
            if len(self._counts) == MOST_POINTS:
                self._merge()
            self._counts.append(0)
            self._totals.append(0.0)
        self._chunks += 1
        self._counts[-1] += sequences
        self._totals[-1] += total

    def points(self) -> tuple[tuple[int, float], ...]:
        """Return pairs of sequences learned so far and the mean error since the pair before."""
        seen, points = 0, list[tuple[int, float]]()
        for count, total in zip(self._counts, self._totals, strict=True):
            if count:
                seen += count
                points.append((seen, total / count))
        return tuple(points)

    def _merge(self) -> None:
        self._counts = [a + b for a, b in zip(self._counts[::2], self._counts[1::2], strict=True)]
        self._totals = [a + b for a, b in zip(self._totals[::2], self._totals[1::2], strict=True)]
        self.stride *= 2
