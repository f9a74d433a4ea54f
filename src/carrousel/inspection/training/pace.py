"""When to measure, so that measuring takes a small share of the time."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Clock = Callable[[], float]


class Pace:
    """Chooses the steps of measurements, and keeps account of their time.

    Time between two visits is training, time in :meth:`spending` is measuring. With a budget ``b``,
    a measurement that is expected to take ``m`` seconds is due if training has taken ``m / b``
    since the last one, and if all measurements with this one stay below ``b`` times the training.
    The expectation is the longer of the last two. The first measurement is due at once, because
    its time is unknown.

    Args:
        every: number of steps between measurements; None: by the budget.
        budget: largest share of the training time.
        clock: returns seconds.

    >>> now = 0.0
    >>> pace, measured = Pace(None, 0.1, lambda: now), []
    >>> for step in range(100):
    ...     with pace.visit():
    ...         if pace.due(step):
    ...             with pace.spending():
    ...                 now += 2.0
    ...             measured.append(step)
    ...     now += 1.0
    >>> measured  # 40 seconds of training for the first two, 20 more for each later one
    [0, 40, 60, 80]
    """

    def __init__(self, every: int | None, budget: float, clock: Clock) -> None:
        self.every, self.budget, self.clock = every, budget, clock
        self.training = self.spent = 0.0
        self._expected = deque[float](maxlen=2)
        self._left: float | None = None
        self._trained_before = 0.0

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Count the time since the last visit as training."""
        if self._left is not None:
            self.training += self.clock() - self._left
        try:
            yield
        finally:
            self._left = self.clock()

    @contextmanager
    def more_training(self) -> Iterator[None]:
        """Count the time as training; use it in :meth:`visit`."""
        began = self.clock()
        yield
        self.training += self.clock() - began

    def due(self, step: int) -> bool:
        """Return whether to measure at a step; call it in :meth:`visit`."""
        if self.every is not None:
            return step % self.every == 0
        if not self._expected:
            return True
        expected = max(self._expected)
        since = self.training - self._trained_before
        return max(expected / since if since else math.inf, self._share(expected)) <= self.budget

    @contextmanager
    def spending(self, *, expected: bool = True) -> Iterator[None]:
        """Count the time as measuring; ``expected``: later measurements are expected to take it."""
        began = self.clock()
        try:
            yield
        finally:
            seconds = self.clock() - began
            self.spent += seconds
            if expected:
                self._expected.append(seconds)
                self._trained_before = self.training

    def share(self) -> float:
        """Return the time of measuring divided by that of training; NaN before any training."""
        return self._share(0.0)

    def _share(self, more: float) -> float:
        return (self.spent + more) / self.training if self.training > 0.0 else math.nan
