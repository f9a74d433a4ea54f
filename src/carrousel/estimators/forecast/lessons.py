"""Lessons: segments of series with their targets, and which of them are held out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.estimators.forecast.inputs import Prepared, Segments
from carrousel.shapes import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Lessons:
    """Segments to learn or to judge by, with their targets.

    Args:
        series: segments of derived series.
        targets: float32 ``[steps, horizon, J, 1 + K]``, as in :class:`QuantileGoal`.
        weights: ``[segments]``.
        owner: ``[segments]``, index of the user's series.
    """

    series: Series
    targets: Annotated[Floats, "steps horizon J 1+K"]
    weights: Annotated[Floats, "segments"]
    owner: Annotated[Ints, "segments"]

    def take(self, indices: Annotated[Ints, "indices"]) -> Lessons:
        """Return the segments at ``indices``, in that order."""
        of = Series(self.targets, self.series.offsets, self.series.channels)
        return Lessons(
            self.series.take(indices),
            of.take(indices).values,
            self.weights[indices],
            self.owner[indices],
        )

    def __add__(self, other: Lessons) -> Lessons:
        both, shift = (self.series, other.series), self.series.n_steps
        times = [each.times for each in both if each.times is not None]
        series = replace(
            self.series,
            values=np.concatenate([each.values for each in both]),
            offsets=np.concatenate([self.series.offsets, other.series.offsets[1:] + shift]),
            times=np.concatenate(times) if times else None,
        )
        return Lessons(
            series,
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.weights, other.weights]),
            np.concatenate([self.owner, other.owner]),
        )


def lessons(
    prepared: Prepared,
    truth: Annotated[Floats, "steps horizon J"],
    weights: Annotated[Floats, "N"],
    until: Annotated[Ints, "N"] | None = None,
) -> Lessons:
    """Return segments of the series, or of their first ``until`` steps, with their targets.

    Segments without a true value are left out.
    """
    pieces = Segments.of(prepared.series, until=until)
    cut, at = pieces.cut(prepared.series)
    targets = np.concatenate([truth[at][..., None], prepared.simple[at]], -1).astype(np.float32)
    targets[at < np.repeat(pieces.answers, cut.lengths), ..., 0] = np.nan
    every = Lessons(cut, targets, weights[pieces.owner], pieces.owner)
    useful = np.isfinite(targets[..., 0]).any(axis=(1, 2))
    return every.take(np.flatnonzero(np.logical_or.reduceat(useful, cut.offsets[:-1])))


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


def last_steps(
    prepared: Prepared,
    truth: Annotated[Floats, "steps horizon J"],
    weights: Annotated[Floats, "N"],
    fraction: float,
) -> tuple[Lessons, Annotated[Bools, "segments"]]:
    """Return lessons of the first steps of each series, then of the last, and which are the last.

    The last ``fraction`` of the steps, and at least ``horizon``, are held out; of a short series, a
    quarter. No target of a held-out step is learned.
    """
    series, horizon = prepared.series, truth.shape[1]
    lengths = series.lengths
    wanted = np.maximum(horizon, [math.ceil(fraction * steps) for steps in lengths])
    count = np.where(lengths >= 3 * wanted, wanted, lengths // 4) if fraction else 0 * lengths
    until = lengths - count
    local = np.arange(series.n_steps) - np.repeat(series.offsets[:-1], lengths)
    end = np.repeat(until, lengths)
    due = local[:, None] + np.arange(1, horizon + 1)
    first = np.where((due < end[:, None])[..., None], truth, np.nan)
    last = np.where((local >= end - 1)[:, None, None], truth, np.nan)
    if not np.isfinite(first).any() or not np.isfinite(last).any():
        found = lessons(prepared, truth, weights)
        return found, np.zeros(len(found.owner), bool)
    learned, judging = lessons(prepared, first, weights, until), lessons(prepared, last, weights)
    return learned + judging, np.arange(len(learned.owner) + len(judging.owner)) >= len(
        learned.owner
    )
