"""Lessons: segments of series with their targets, and which of them are held out."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.forecast.inputs import Prepared, Segments
from carrousel.shapes import Bools, Floats, Ints


def lessons(
    prepared: Prepared,
    truth: Annotated[Floats, "steps horizon J"],
    users: Examples,
    until: Annotated[Ints, "N"] | None = None,
) -> Examples:
    """Return segments of the series, or of their first ``until`` steps, with their targets.

    Targets are float32 ``[steps, horizon, J, 1 + K]``, as in :class:`QuantileGoal`. Segments
    without a true value are left out. Those of one series, or group of series, are a group.

    Args:
        prepared: the series of ``users`` as nets see them.
        truth: values of the next steps.
        users: the user's series, with weights and groups.
        until: steps of each series.
    """
    pieces = Segments.of(prepared.series, until=until)
    cut, at = pieces.cut(prepared.series)
    targets = np.concatenate([truth[at][..., None], prepared.simple[at]], -1).astype(np.float32)
    targets[at < np.repeat(pieces.answers, cut.lengths), ..., 0] = np.nan
    owner = pieces.owner
    groups = owner if users.groups is None else users.groups[owner]
    every = Examples(cut, targets, users.weights[owner], 0 * owner, groups, per_step=True)
    useful = np.isfinite(targets[..., 0]).any(axis=(1, 2))
    return every.take(np.flatnonzero(np.logical_or.reduceat(useful, cut.offsets[:-1])))


def joined(one: Examples, two: Examples) -> Examples:
    """Return two sets of examples as one."""
    both = (one.series, two.series)
    times = [each.times for each in both if each.times is not None]
    series = replace(
        one.series,
        values=np.concatenate([each.values for each in both]),
        offsets=np.concatenate([both[0].offsets, both[1].offsets[1:] + both[0].n_steps]),
        times=np.concatenate(times) if times else None,
    )
    return Examples(
        series,
        np.concatenate([one.targets, two.targets]),
        np.concatenate([one.weights, two.weights]),
        np.concatenate([one.strata, two.strata]),
        per_step=True,
    )


def warmed_up(
    truth: Annotated[Floats, "steps horizon J"], series: Series, season: int | None
) -> Annotated[Floats, "steps horizon J"]:
    """Remove the targets of the first steps of each series, where its scale is not yet known.

    These are the first season if a series has three, else two steps.
    """
    truth = truth.copy()
    for low, steps in zip(series.offsets[:-1], series.lengths, strict=True):
        warm = season if season is not None and steps >= 3 * season else 2
        truth[low : low + max(0, min(warm, steps - 2))] = np.nan
    return truth


def rolled(
    prepared: Prepared,
    truth: Annotated[Floats, "steps horizon J"],
    users: Examples,
    fold: int,
    folds: int,
) -> tuple[Examples, Annotated[Bools, "segments"]] | None:
    """Return lessons before the origins of a fold, then those of its origins, and which these are.

    The second half of each series is divided into ``folds`` stretches of origins, steps from which
    forecasts are made and judged. No value after the first origin of the fold is learned. None if
    nothing can be learned, or judged.
    """
    lengths = prepared.series.lengths
    horizon, half = truth.shape[1], lengths // 2
    begin, end = (half + (lengths - half) * n // folds for n in (fold, fold + 1))
    local = np.arange(len(truth)) - np.repeat(prepared.series.offsets[:-1], lengths)
    begins, ends = np.repeat(begin, lengths), np.repeat(end, lengths)
    due = local[:, None] + np.arange(1, horizon + 1)
    first = np.where((due < begins[:, None])[..., None], truth, np.nan)
    origins = (local >= begins - 1) & (local < ends - 1)
    last = np.where(origins[:, None, None], truth, np.nan)
    if not np.isfinite(first).any() or not np.isfinite(last).any():
        return None
    learned = lessons(prepared, first, users, np.maximum(begin, 1))
    judged = lessons(prepared, last, users)
    both = joined(learned, judged)
    return both, np.arange(len(both.series)) >= len(learned.series)
