"""One epoch of cascade-correlation: Quickprop, and the slopes it follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np

from carrousel.checks import check_int, check_number
from carrousel.contracts import Errors
from carrousel.learners.cascade.data import CascadeData, slope_of, squash
from carrousel.shapes import Floats


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


class OutputErrors(NamedTuple):
    """Residual errors ``y - target`` of a batch and slopes of the outputs' squashing function."""

    errors: Annotated[Floats, "O M"]
    derivative: Annotated[Floats, "O M"]


def outcome(weights: np.ndarray, batch: CascadeData, hidden: np.ndarray) -> OutputErrors:
    """Compute the outputs wherever there is a target."""
    outputs = squash(batch.net(weights, hidden).take(batch.at, axis=1), "logistic")
    return OutputErrors(outputs - batch.targets, slope_of(outputs, "logistic"))


def output_slopes(
    found: OutputErrors, batch: CascadeData, hidden: np.ndarray, offset: float
) -> np.ndarray:
    """Slopes of half the squared error, averaged over targets, by output weights.

    Args:
        found: what :func:`outcome` returned.
        batch: the batch.
        hidden: activations of the hidden units, ``[k, N]``.
        offset: added to ``f'``, so that saturated wrong outputs still learn.

    Returns:
        ``[O, 1 + I + k]``; the exact gradient if ``offset`` is 0.
    """
    share = batch.times / max(1.0, batch.times.sum())
    deltas = np.zeros((len(found.errors), hidden.shape[1]))
    deltas[:, batch.at] = found.errors * (found.derivative + offset) * share
    return batch.against(deltas, hidden)


def squared_error(found: OutputErrors, batch: CascadeData) -> float:
    """Sum of squared errors over the batch."""
    return float(np.einsum("om,om,m->", found.errors, found.errors, batch.times))


def errors_of(found: OutputErrors, batch: CascadeData, which: np.ndarray) -> Errors:
    """Errors of each sequence; ``which`` holds the index of its distinct one."""
    size, absolute = len(batch.counts), np.abs(found.errors)
    largest = np.zeros(size)
    np.maximum.at(largest, batch.rank, absolute.max(axis=0, initial=0.0))
    rank = batch.rank
    return Errors(
        max_abs=largest[which],
        sum_abs=np.bincount(rank, absolute.sum(axis=0), minlength=size).astype(float)[which],
        sum_sq=np.bincount(rank, np.square(absolute).sum(axis=0), minlength=size).astype(float)[
            which
        ],
        n_values=batch.counts[which] * len(batch.targets),
    )


def correlation_slopes(
    weights: np.ndarray,
    batch: CascadeData,
    hidden: np.ndarray,
    errors: np.ndarray,
    f: str,
    normalised: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of candidates with the residual errors, and its slopes by their weights.

    ``S = sum_o | sum_t (V(t) - mean V) (E_o(t) - mean E_o) |``, divided by the sum of squared
    errors if ``normalised``, else by the number of targets. Sums run over steps with a target. The
    slope of the mean of ``V`` vanishes, as the centred errors add up to zero.

    Args:
        weights: bias, inputs, hidden units and, last, itself: ``[P, 1 + I + k + 1]``.
        batch: the batch.
        hidden: activations of the ``k`` hidden units, ``[k, N]``.
        errors: residual errors of the outputs, ``[O, M]``.
        f: ``"logistic"`` or ``"tanh"``.
        normalised: whether to divide by the sum of squared errors.

    Returns:
        ``S [P]`` and ``dS/dw``, shaped like ``weights``.
    """
    own, total = weights[:, -1], max(1.0, batch.times.sum())
    value = batch.run(batch.net(weights, hidden), own, f)
    centred = errors - ((errors * batch.times).sum(axis=1) / total)[:, None]
    scale = float(np.einsum("om,om,m->", errors, errors, batch.times)) if normalised else total
    centred *= batch.times / (scale or 1.0)
    covariance = np.einsum("pm,om->po", value.take(batch.at, axis=1), centred)
    error = np.zeros_like(value)
    error[:, batch.at] = np.einsum("po,om->pm", np.sign(covariance), centred)
    deltas = batch.back(error, slope_of(value, f), own)
    by_self = (deltas * batch.before(value)).sum(axis=1, keepdims=True)
    slopes = np.concatenate([batch.against(deltas, hidden), by_self], axis=1)
    return np.abs(covariance).sum(axis=1), slopes
