"""Importance of channels and lags: how much worse predictions become when values are hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch

from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.estimators.data.series import Series
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.goals import ClassGoal
from carrousel.shapes import Array, Bools, Floats

Loss = Callable[[Annotated[Floats, "rows members O"], Array], Annotated[Floats, "rows"]]
"""A loss of each row: a series, or a step if targets are given for each step."""


@dataclass(frozen=True, eq=False)
class Importances:
    """Increase of the mean loss when values are hidden.

    Args:
        channels: names of the channels.
        whole: ``[I]``, each channel hidden at all steps.
        lags: ``[bands+1]``, limits of bands of lags; lag 0 is the last step of a series. A band
            holds the lags from its limit to the next one, which is excluded.
        by_lag: ``[I, bands]``, each channel hidden in one band.
        loss: the mean loss with nothing hidden.
    """

    channels: tuple[str, ...]
    whole: Annotated[Floats, "I"]
    lags: tuple[int, ...]
    by_lag: Annotated[Floats, "I bands"]
    loss: float


def feature_importances(
    ensemble: Ensemble,
    series: Series,
    targets: Array,
    *,
    weights: Annotated[Floats, "N"] | None = None,
    used: Annotated[Bools, "N members"] | None = None,
    lags: Sequence[int] | None = None,
    loss: Loss | None = None,
) -> Importances:
    """Hide each channel in turn, and each band of lags within it, and measure the loss.

    Hidden values are missing values. The nets have learned to deal with those, so the inputs stay
    plausible, which they do not if a channel is exchanged between series. Channels that carry the
    same information can replace each other: hiding one of them then costs little.

    Args:
        ensemble: trained nets.
        series: series that the nets have not learned, if possible.
        targets: ``[N, ...]``, or ``[steps, ...]`` if the goal is per step, as in training.
        weights: of the series; None: 1.
        used: members to count for each series, for example those that held it out. None: all.
        lags: limits of bands, increasing, from 0. None: 0, 1, 2, 4, 8, ... up to the longest
            series; none if targets are given for each step. Empty: no bands.
        loss: of each row. None: the mean over members of the goal's loss.

    Raises:
        ShapeError: targets, weights or ``used`` do not fit the series.
        SettingError: ``lags`` do not increase, or the goal is per step.
        DataError: no row counts.

    Source: Breiman 2001 for the idea; Zeiler & Fergus 2014 for occlusion.
    """
    goal = ensemble.goal
    per_row = series.lengths if goal.per_step else np.ones(len(series), np.int64)
    counts = _counts(ensemble, series, targets, weights, used, per_row)
    limits = _limits(series, lags, goal.per_step)
    who = None if used is None else np.repeat(used, per_row, axis=0)

    def mean_loss(hidden: Series) -> float:
        outputs = ensemble.outputs(hidden, "every step" if goal.per_step else "end")
        if loss is not None:
            return float(counts @ loss(outputs, targets))
        return float(counts @ _member_losses(ensemble, outputs, targets, who))

    base, everywhere = mean_loss(series), np.ones(series.n_steps, bool)
    lag = np.repeat(series.offsets[1:], series.lengths) - 1 - np.arange(series.n_steps)
    bands = [(lag >= a) & (lag < b) for a, b in pairwise(limits)]
    whole, by_lag = np.zeros(series.n_channels), np.zeros((series.n_channels, len(bands)))
    for c in range(series.n_channels):
        whole[c] = mean_loss(hide(series, c, everywhere)) - base
        for k, band in enumerate(bands):
            by_lag[c, k] = mean_loss(hide(series, c, band)) - base
    return Importances(series.channels, whole, tuple(limits), by_lag, base)


def hide(series: Series, channel: int, steps: Annotated[Bools, "steps"]) -> Series:
    """Return a copy of series in which a channel is missing at some steps.

    >>> hide(Series.of([[[1.0, 2.0], [3.0, 4.0]]]), 1, np.array([True, False])).values.tolist()
    [[1.0, nan], [3.0, 4.0]]
    """
    values = series.values.copy()
    if series.symbolic:
        values[steps] = -1
    else:
        values[steps, channel] = np.nan
    return replace(series, values=values)


def _member_losses(
    ensemble: Ensemble,
    outputs: Annotated[Floats, "rows members O"],
    targets: Array,
    used: Annotated[Bools, "rows members"] | None,
) -> Annotated[Floats, "rows"]:
    """Return the mean over members of the goal's loss; each row is a series of one step."""
    goal, rows = ensemble.goal, len(outputs)
    if isinstance(goal, ClassGoal):
        goal = replace(goal, smoothing=0.0)  # smoothing is for training
    given = torch.from_numpy(np.ascontiguousarray(targets))
    given = given[None] if goal.per_step else given
    ones = torch.ones(rows, dtype=torch.int64)
    each = np.empty((rows, len(ensemble.members)))
    for m in range(len(ensemble.members)):
        one = torch.from_numpy(np.ascontiguousarray(outputs[None, :, m]))
        each[:, m] = goal.loss(one, given, ones).numpy()
    if used is None:
        return each.mean(axis=1)
    return (each * used).sum(axis=1) / np.maximum(used.sum(axis=1), 1)


def _counts(
    ensemble: Ensemble,
    series: Series,
    targets: Array,
    weights: Annotated[Floats, "N"] | None,
    used: Annotated[Bools, "N members"] | None,
    per_row: Annotated[np.ndarray, "N"],
) -> Annotated[Floats, "rows"]:
    """Return weights of the rows, which sum to 1; rows without target or member have none."""
    rows = int(per_row.sum())
    if len(targets) != rows:
        raise ShapeError(f"targets has {len(targets)} rows, expected {rows}", argument="targets")
    weight = np.ones(len(series)) if weights is None else np.asarray(weights, np.float64)
    if weight.shape != (len(series),):
        raise ShapeError(
            f"weights has shape {weight.shape}, expected ({len(series)},)", argument="weights"
        )
    if used is not None:
        if used.shape != (len(series), len(ensemble.members)):
            raise ShapeError(
                f"used has shape {used.shape}, expected ({len(series)}, {len(ensemble.members)})",
                argument="used",
            )
        weight = weight * used.any(axis=1)
    counts = np.repeat(weight / per_row, per_row)
    flat = np.asarray(targets).reshape(rows, -1)
    known = flat >= 0 if np.issubdtype(flat.dtype, np.integer) else np.isfinite(flat)
    counts = counts * known.any(axis=1)
    if not counts.sum() > 0.0:
        raise DataError("no row has a target and a member that counts", argument="targets")
    return counts / counts.sum()


def _limits(series: Series, lags: Sequence[int] | None, per_step: bool) -> list[int]:
    if per_step:
        if lags is not None and len(lags):
            raise SettingError(
                "lags are counted from the end of a series, but targets are given for each step",
                argument="lags",
                fix="leave {lags} out",
            )
        return []
    if lags is None:
        limits, longest = [0, 1], int(series.lengths.max())
        while limits[-1] < longest:
            limits.append(min(2 * limits[-1], longest))
        return limits
    limits = [int(lag) for lag in lags]
    if not limits:
        return []
    if len(limits) < 2 or limits[0] < 0 or not all(np.diff(limits) > 0):
        raise SettingError(
            argument="lags", got=list(lags), expected="at least two increasing numbers from 0"
        )
    return limits
