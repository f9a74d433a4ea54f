"""Calibration: probabilities of an ensemble, their temperature, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np

from carrousel.checks import check_int, check_number
from carrousel.errors import DataError, ShapeError
from carrousel.estimators.data.series import Source
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.shapes import Bools, Floats, Ints


def probabilities(
    outputs: Annotated[Floats, "... members K"],
    temperature: float = 1.0,
    used: Annotated[Bools, "... members"] | None = None,
) -> Annotated[Floats, "... K"]:
    """Return the mean over members of their class probabilities.

    Args:
        outputs: logits.
        temperature: divisor of the logits, ``> 0``.
        used: members to average; None: all. At least one in each place.

    Returns:
        float64 ``[..., K]``; the last axis sums to 1.

    >>> probabilities(np.array([[0.0, 0.0], [0.0, 50.0]])).round(2).tolist()
    [0.25, 0.75]
    """
    z = np.asarray(outputs, np.float64) / check_number("temperature", temperature, above=0.0)
    z -= z.max(axis=-1, keepdims=True)
    p = np.exp(z, out=z)
    p /= p.sum(axis=-1, keepdims=True)
    if used is None:
        return p.mean(axis=-2)
    weight = used / np.maximum(used.sum(axis=-1, keepdims=True), 1)
    return (p * weight[..., None]).sum(axis=-2)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Outputs of members on training series that they did not learn.

    Args:
        indices: ``[n]``, the series that at least one member held out.
        outputs: ``[steps, members, O]`` of these series, one after another.
        offsets: ``[n+1]``; series ``indices[k]`` has rows ``offsets[k]`` to ``offsets[k+1] - 1``.
        used: ``[n, members]``, which members held the series out.
    """

    indices: Annotated[Ints, "n"]
    outputs: Annotated[Floats, "steps members O"]
    offsets: Annotated[Ints, "n+1"]
    used: Annotated[Bools, "n members"]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def lengths(self) -> Annotated[Ints, "n"]:
        """Steps of each series."""
        return np.diff(self.offsets)

    @property
    def used_at_steps(self) -> Annotated[Bools, "steps members"]:
        """``used`` repeated for every step."""
        return np.repeat(self.used, self.lengths, axis=0)

    def probabilities(self, temperature: float = 1.0) -> list[Annotated[Floats, "T K"]]:
        """Return class probabilities at every step of each series, by the members in ``used``."""
        every = probabilities(self.outputs, temperature, self.used_at_steps)
        return np.split(every, self.offsets[1:-1]) if len(self) else []


def held_out(ensemble: Ensemble, series: Source) -> HeldOut:
    """Compute the outputs of every member on the series that it held out.

    Args:
        ensemble: its members' ``held`` refer to ``series``.
        series: the series of training.

    Raises:
        ShapeError: there are more or fewer series than in training.
    """
    held = np.stack([member.held for member in ensemble.members], axis=1)
    if len(held) != len(series):
        raise ShapeError(
            f"series has {len(series)} series, but the ensemble was trained on {len(held)}",
            argument="series",
            fix="pass the series that were given to training",
        )
    indices = np.flatnonzero(held.any(axis=1))
    some = series.take(indices)
    shape = (0, len(ensemble.members), ensemble.goal.n_outputs)
    outputs = ensemble.outputs(some, "every step") if len(indices) else np.zeros(shape, np.float32)
    return HeldOut(indices, outputs, some.offsets, held[indices])


def step_weights(lengths: Annotated[Ints, "N"], *, end: float = 0.5) -> Annotated[Floats, "steps"]:
    """Return weights of the steps of each series, which sum to 1: the last one has ``end``.

    They are those of :func:`carrousel.estimators.net.goals.over_steps`.

    >>> step_weights(np.array([1, 2])).round(3).tolist()
    [1.0, 0.25, 0.75]
    """
    lengths = np.asarray(lengths, np.int64)
    weights = np.repeat((1.0 - end) / lengths, lengths)
    weights[np.cumsum(lengths) - 1] += end
    return weights


def fit_temperature(
    outputs: Annotated[Floats, "rows members K"],
    labels: Annotated[Ints, "rows"],
    weights: Annotated[Floats, "rows"] | None = None,
    used: Annotated[Bools, "rows members"] | None = None,
) -> float:
    """Return the temperature with the smallest loss on predictions of series not learned.

    The loss is the cross-entropy of :func:`probabilities`, summed over rows, plus
    ``log(temperature) ** 2``. The second term (a normal prior) keeps the temperature near 1 where
    rows are few.

    Args:
        outputs: logits of held-out predictions.
        labels: true classes, ``0..K-1``; -1: unknown, the row does not count.
        weights: of the rows; None: 1.
        used: members that did not learn the row's series; None: all.

    Returns:
        A number from 0.05 to 20; 1 if no row counts.

    Raises:
        ShapeError: shapes do not fit together.
        DataError: a label is not a class.

    Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks".

    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(size=(4000, 1, 3))
    >>> labels = (logits[:, 0] + rng.gumbel(size=(4000, 3))).argmax(1)
    >>> round(fit_temperature(3.0 * logits, labels), 1)
    3.0
    """
    outputs, labels = np.asarray(outputs), np.asarray(labels)
    if outputs.ndim != 3 or labels.shape != outputs.shape[:1]:
        raise ShapeError(
            f"outputs have shape {outputs.shape} and labels {labels.shape}, expected "
            "[rows, members, K] and [rows]",
            argument="outputs",
        )
    _check_labels(labels, outputs.shape[2])
    counts = labels >= 0
    if used is not None:
        counts &= used.any(axis=1)
    rows = np.flatnonzero(counts)
    if not len(rows):
        return 1.0
    weight = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)[rows]
    kept, of, who = outputs[rows], labels[rows], None if used is None else used[rows]

    def loss(log_temperature: float) -> float:
        p = probabilities(kept, float(np.exp(log_temperature)), who)[np.arange(len(of)), of]
        return float(weight @ -np.log(np.maximum(p, 1e-300))) + log_temperature**2

    return float(np.exp(_smallest(loss, np.log(0.05), np.log(20.0))))


def _smallest(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function of one number is smallest: a grid, then golden sections."""
    grid = np.linspace(low, high, 25)
    best = int(np.argmin([function(at) for at in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    a, b = high - golden * (high - low), low + golden * (high - low)
    at_a, at_b = function(a), function(b)
    while high - low > 1e-4:
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - golden * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + golden * (high - low)
            at_b = function(b)
    return (low + high) / 2.0


def calibrate(ensemble: Ensemble, series: Source, labels: Annotated[Ints, "N or steps"]) -> float:
    """Set ``ensemble.temperature`` by predictions of members on series that they held out.

    Args:
        ensemble: trained on ``series``; its goal is a class for each series or each step.
        series: the series of training.
        labels: numbers of the classes, of each series or each step (-1: none) as in training.

    Returns:
        The temperature; 1 if no member held anything out.
    """
    held = held_out(ensemble, series)
    labels = np.asarray(labels)
    if ensemble.goal.per_step:
        steps = [labels[series.offsets[n] : series.offsets[n + 1]] for n in held.indices]
        each = np.concatenate(steps) if steps else labels[:0]
        weights = np.repeat(1.0 / np.maximum(held.lengths, 1), held.lengths)
    else:
        each = np.repeat(labels[held.indices], held.lengths)
        weights = step_weights(held.lengths)
    ensemble.temperature = fit_temperature(held.outputs, each, weights, held.used_at_steps)
    return ensemble.temperature


class ReliabilityRow(NamedTuple):
    """Predictions whose confidence lies in one interval.

    ``number`` counts them. Their mean ``confidence`` and ``accuracy`` are NaN if there are none.
    """

    low: float
    high: float
    number: int
    confidence: float
    accuracy: float


def reliability_table(
    p: Annotated[Floats, "N K"], labels: Annotated[Ints, "N"], bins: int = 15
) -> list[ReliabilityRow]:
    """Compare confidence with accuracy, in intervals of confidence of equal width.

    Args:
        p: class probabilities.
        labels: true classes, ``0..K-1``; -1: unknown, the row does not count.
        bins: number of intervals of ``[0, 1]``.

    Raises:
        ShapeError: shapes do not fit together.
        DataError: a label is not a class.

    >>> rows = reliability_table(np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0, 1]), bins=2)
    >>> rows[1].number, round(rows[1].confidence, 2), rows[1].accuracy
    (2, 0.8, 0.5)
    """
    bins = check_int("bins", bins, minimum=1)
    p, labels = np.asarray(p, np.float64), np.asarray(labels)
    if p.ndim != 2 or labels.shape != p.shape[:1]:
        raise ShapeError(
            f"p has shape {p.shape} and labels {labels.shape}, expected [N, K] and [N]",
            argument="p",
        )
    _check_labels(labels, p.shape[1])
    known = labels >= 0
    confidence, right = p[known].max(axis=1, initial=0.0), p[known].argmax(axis=1) == labels[known]
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    rows = []
    for k in range(bins):
        inside = which == k
        n = int(inside.sum())
        means = (confidence[inside].mean(), right[inside].mean()) if n else (np.nan, np.nan)
        rows.append(ReliabilityRow(k / bins, (k + 1) / bins, n, float(means[0]), float(means[1])))
    return rows


def calibration_error(
    p: Annotated[Floats, "N K"], labels: Annotated[Ints, "N"], bins: int = 15
) -> float:
    """Return the expected calibration error: the mean of ``|accuracy - confidence|``.

    The mean is over the intervals of :func:`reliability_table`, weighted by their counts. NaN
    without labels. Arguments and exceptions are those of :func:`reliability_table`.

    Source: Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017, equation 3.

    >>> round(calibration_error(np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0, 1]), bins=2), 2)
    0.3
    """
    rows = [row for row in reliability_table(p, labels, bins) if row.number]
    total = sum(row.number for row in rows)
    gaps = [row.number * abs(row.accuracy - row.confidence) for row in rows]
    return sum(gaps) / total if total else float("nan")


def _check_labels(labels: Annotated[Ints, "rows"], n_classes: int) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"labels are {labels.dtype}, expected whole numbers", argument="labels")
    if len(labels) and not (labels.min() >= -1 and labels.max() < n_classes):
        raise DataError(
            f"labels range from {labels.min()} to {labels.max()}, expected -1 (unknown) to "
            f"{n_classes - 1}",
            argument="labels",
        )
