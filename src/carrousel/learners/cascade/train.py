"""Quickprop, and the end of a training phase."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from carrousel.checks import check_int, check_number


@dataclass(frozen=True)
class Phase:
    """Settings of one training phase: Quickprop, and the test of stagnation.

    Args:
        epsilon: step along a slope, as in gradient descent. Slopes are those of means over targets
            (of the sum of correlations itself, where that is normalised), so that ``epsilon`` does
            not depend on the size of a batch.
        mu: largest ratio of a step to the step before.
        decay: weight decay: ``decay`` times the weight is added to its slope.
        patience: epochs without progress after which the phase ends.
        threshold: progress is a relative change of the figure of merit by more than this.
        most_epochs: largest number of epochs of the phase.

    Raises:
        SettingError: a number is out of its range.

    >>> Phase(epsilon=1.0, threshold=0.01).patience
    8
    """

    epsilon: float
    threshold: float
    mu: float = 2.0
    decay: float = 0.0
    patience: int = 8
    most_epochs: int = 200

    def __post_init__(self) -> None:
        check_number("epsilon", self.epsilon, above=0.0)
        check_number("threshold", self.threshold, least=0.0)
        check_number("mu", self.mu, above=1.0)
        check_number("decay", self.decay, least=0.0)
        check_int("patience", self.patience, minimum=1)
        check_int("most_epochs", self.most_epochs, minimum=1)


def quickprop(
    slope: np.ndarray, last_slope: np.ndarray, last_step: np.ndarray, epsilon: float, mu: float
) -> np.ndarray:
    """Next step of each weight, downhill (Fahlman 1988).

    A parabola through the last two slopes has its lowest point ``last_step * slope / (last_slope -
    slope)`` further on; no step is longer than ``mu`` times the last one. Where the slope does not
    rise, so that there is no lowest point, the step is ``mu`` times the last one if it still leads
    downhill. Unless the parabola leads back, ``-epsilon * slope`` is added. A first step is
    ``-epsilon * slope`` alone.

    >>> quickprop(np.array([1.0]), np.array([4.0]), np.array([-0.6]), epsilon=0.1, mu=2.0)
    array([-0.3])
    """
    downhill = slope * last_step < 0.0
    rising = (slope - last_slope) * last_step > 0.0
    gap = np.where(rising, last_slope - slope, 1.0)
    times = np.where(rising, np.clip(slope / gap, -mu, mu), np.where(downhill, mu, 0.0))
    back = rising & ~downhill
    return times * last_step - np.where(back, 0.0, epsilon * slope)


class Progress(NamedTuple):
    """State of the test of stagnation within a phase."""

    epoch: int = 0
    until: int = 0
    best: float = 0.0

    def after(self, merit: float, phase: Phase) -> tuple[Progress, bool]:
        """Note an epoch's figure of merit; return whether the phase has ended.

        >>> phase = Phase(epsilon=1.0, threshold=0.1, patience=1)
        >>> Progress().after(2.0, phase)
        (Progress(epoch=1, until=2, best=2.0), False)
        >>> Progress(epoch=1, until=2, best=2.0).after(1.9, phase)
        (Progress(epoch=2, until=2, best=2.0), True)
        """
        epoch, until, best = self.epoch + 1, self.until, self.best
        if self.epoch == 0 or abs(merit - best) > phase.threshold * abs(best):
            best, until = float(merit), epoch + phase.patience
        return Progress(epoch, until, best), epoch >= min(until, phase.most_epochs)
