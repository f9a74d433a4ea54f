"""Running statistics of channels and times, in one pass and constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from carrousel.shapes import Array, Floats, Ints

KEPT = 1 << 16
"""Time steps of which the median is taken, at most twice as many are held."""


@dataclass(eq=False)
class Running:
    """Counts, means and variances of ``I`` channels, joined block by block.

    Blocks are joined by the formula of Chan, Golub and LeVeque (1979, "Updating formulae and a
    pairwise algorithm for computing sample variances"): the sums of squares stay centred, so that
    nothing cancels when a mean is large.

    >>> running = Running.of(1)
    >>> running.add(np.array([[1.0], [np.nan]]))
    >>> running.add(np.array([[3.0]]))
    >>> running.mean.tolist(), running.scale.tolist(), running.counts.tolist()
    ([2.0], [1.0], [2])
    """

    counts: Annotated[Ints, "I"]
    mean: Annotated[Floats, "I"]
    squares: Annotated[Floats, "I"]
    steps: int = 0

    @staticmethod
    def of(channels: int) -> Running:
        """Return the statistics of no values."""
        return Running(np.zeros(channels, np.int64), np.zeros(channels), np.zeros(channels))

    def add(self, values: Annotated[Array, "steps I"]) -> None:
        """Join a block of values; NaN is missing."""
        seen = ~np.isnan(values)
        counts = seen.sum(axis=0)
        some = np.maximum(counts, 1)
        mean = np.where(seen, values, 0.0).sum(axis=0, dtype=np.float64) / some
        squares = (np.where(seen, values - mean, 0.0) ** 2).sum(axis=0, dtype=np.float64)
        total = np.maximum(self.counts + counts, 1)
        apart = np.where(counts > 0, mean - self.mean, 0.0)
        self.mean = self.mean + apart * (counts / total)  # exact for the first block
        self.squares = self.squares + squares + apart**2 * self.counts * counts / total
        self.counts = self.counts + counts
        self.steps += len(values)

    @property
    def scale(self) -> Annotated[Floats, "I"]:
        """Standard deviations of the values present."""
        return np.sqrt(self.squares / np.maximum(self.counts, 1))

    @property
    def gaps(self) -> bool:
        """Whether a value was missing."""
        return bool((self.counts < self.steps).any())


@dataclass(eq=False)
class RunningMedian:
    """Median of an even sample of a stream of numbers; exact up to :data:`KEPT` numbers.

    Every ``stride``-th number is kept. When the sample is full, every other one is dropped.

    >>> median = RunningMedian()
    >>> median.add(np.array([1.0, 9.0, 2.0]))
    >>> median.value
    2.0
    """

    sample: list[Annotated[Floats, "numbers"]] = field(default_factory=list)
    stride: int = 1
    skip: int = 0
    held: int = 0

    def add(self, numbers: Annotated[Floats, "numbers"]) -> None:
        """Join a block of numbers."""
        kept = numbers[self.skip :: self.stride].copy()
        self.skip = (self.skip - len(numbers)) % self.stride
        self.sample.append(kept)
        self.held += len(kept)
        while self.held > 2 * KEPT:
            joined = np.concatenate(self.sample)
            self.sample = [joined[::2].copy()]
            # The number after the last one kept is 2 strides later.
            self.skip += self.stride * (len(joined) % 2)
            self.stride *= 2
            self.held = len(self.sample[0])

    @property
    def value(self) -> float:
        """The median; 1.0 of no numbers."""
        return float(np.median(np.concatenate(self.sample))) if self.held else 1.0
