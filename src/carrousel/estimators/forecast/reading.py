"""Arguments of a forecaster: which channels play which role, and values of the future."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from carrousel.checks import check_int, suggestion
from carrousel.errors import DataError, SettingError, ShapeError, escaped
from carrousel.estimators.data.series import Series
from carrousel.estimators.forecast.inputs import Layout
from carrousel.shapes import Floats, Ints

Channel = str | int
"""A channel by its name, or by its position from 0."""


def read_layout(
    series: Series,
    *,
    horizon: object,
    target: Channel | Sequence[Channel] | None,
    known: Channel | Sequence[Channel],
    season: object,
) -> Layout:
    """Return the roles of the channels of ``series``.

    Args:
        series: the training series.
        horizon: steps ahead.
        target: channels to forecast; None: all that are not known.
        known: channels whose future values are given.
        season: steps after which a pattern repeats, at least 2; None: no season.

    Raises:
        DataError: the series are symbols.
        SettingError: an argument is out of range, or a channel has two roles or is unknown.

    >>> series = Series.of([[[1.0, 0.0], [2.0, 1.0]]], channels=("sales", "holiday"), named=True)
    >>> read_layout(series, horizon=3, target="sales", known=("holiday",), season=None)
    Layout(horizon=3, targets=(0,), known=(1,), others=(), season=None)
    """
    if series.symbolic:
        raise DataError("X contains symbols, expected numbers to forecast", argument="X")
    steps = check_int("horizon", horizon, minimum=1)
    period = None if season is None else check_int("season", season, minimum=2)
    ahead = _positions(series, "known", known)
    every = range(series.n_channels)
    targets = (
        tuple(n for n in every if n not in ahead)
        if target is None
        else _positions(series, "target", target)
    )
    if not targets:
        raise SettingError(argument="target", got=target, expected="at least one channel")
    if both := sorted(set(targets) & set(ahead)):
        raise SettingError(
            f"channel {series.channels[both[0]]!r} is in both target and known",
            argument="known",
            fix="leave it out of {known}: the future of a target is what is forecast",
        )
    others = tuple(n for n in every if n not in (*targets, *ahead))
    return Layout(steps, targets, ahead, others, period)


def _positions(
    series: Series, argument: str, given: Channel | Sequence[Channel]
) -> tuple[int, ...]:
    names: list[Hashable] = list(series.channels)
    found = []
    for each in [given] if isinstance(given, str | int | np.integer) else list(given):
        if isinstance(each, str) and each in names:
            found.append(names.index(each))
        elif isinstance(each, int | np.integer) and 0 <= each < len(names):
            found.append(int(each))
        else:
            raise SettingError(
                argument=argument,
                got=each,
                expected=f"a channel of X, by name or by position from 0 to {len(names) - 1}",
                fix=escaped(suggestion(str(each), map(str, names))),
            )
    if len(set(found)) < len(found):
        raise SettingError(argument=argument, got=given, expected="different channels")
    return tuple(found)


def read_future(
    future: Any, series: Series, layout: Layout
) -> list[Annotated[Floats, "horizon known"]] | None:
    """Return the future of the known channels of each series; None if no channel is known.

    Args:
        future: ``[N, horizon, known]``, or ``[N, horizon]`` for one known channel; or a list of
            one array per series. NaN: missing.
        series: the series whose future it is.
        layout: roles of channels.

    Raises:
        DataError: ``future`` is missing or infinite, or given although no channel is known.
        ShapeError: it has another shape.
    """
    if not layout.known:
        if future is not None:
            raise DataError(
                "future is given, but no channel is known ahead",
                argument="future",
                fix="name these channels in {known}",
            )
        return None
    shape = (layout.horizon, len(layout.known))
    if future is None:
        names = ", ".join(series.channels[n] for n in layout.known)
        raise DataError(
            f"future is missing: values of {names} in the next {layout.horizon} steps",
            argument="future",
            fix=f"pass an array of shape ({len(series)}, {shape[0]}, {shape[1]})",
        )
    rows = [np.asarray(each, np.float64) for each in future]
    if len(rows) != len(series):
        raise ShapeError(
            f"future has {len(rows)} series, expected {len(series)} as in X", argument="future"
        )
    found = []
    for n, row in enumerate(rows):
        row = row[:, None] if row.ndim == 1 else row
        if row.shape != shape:
            raise ShapeError(
                f"future of {series.name(n)} has shape {row.shape}, expected {shape} "
                "(horizon, known channels)",
                argument="future",
            )
        if np.isinf(row).any():
            raise DataError(f"future of {series.name(n)} contains infinity", argument="future")
        found.append(row)
    return found


def split(series: Series, layout: Layout) -> tuple[Series, list[Annotated[Floats, "horizon I"]]]:
    """Return the series without their last ``horizon`` steps, and those steps.

    Raises:
        DataError: a series is not longer than ``horizon``.
    """
    h = layout.horizon
    if (short := np.flatnonzero(series.lengths <= h)).size:
        n = int(short[0])
        raise DataError(
            f"{series.name(n)} has {series.lengths[n]} steps, expected more than the horizon, {h}",
            argument="X",
            fix="pass longer series, or the true values as {y}",
        )
    ends = [series.values[end - h : end] for end in series.offsets[1:]]
    return _shortened(series, series.lengths - h), ends


def split_future(
    series: Series, layout: Layout
) -> tuple[Series, list[Annotated[Floats, "horizon known"]]]:
    """Return the series up to the last step with a target, and the known channels after it.

    Raises:
        DataError: a series has no target, or fewer than ``horizon`` steps after the last one.

    >>> given = Series.of([[[5.0, 0.0], [7.0, 0.0], [np.nan, 1.0]]])
    >>> before, future = split_future(given, Layout(1, targets=(0,), known=(1,)))
    >>> before.lengths.tolist(), future[0].tolist()
    ([2], [[1.0]])
    """
    h, counts, future = layout.horizon, [], []
    names = ", ".join(series.channels[n] for n in layout.targets)
    for n, one in enumerate(series):
        there = np.flatnonzero(np.isfinite(one.values[:, list(layout.targets)]).any(axis=1))
        if not len(there):
            raise DataError(f"{series.name(n)} has no value of {names}", argument="X")
        count = int(there[-1]) + 1
        if one.n_steps - count < h:
            raise DataError(
                f"{series.name(n)} has {one.n_steps - count} steps after the last value of "
                f"{names}, expected {h} with the future of the known channels",
                argument="X",
                fix=f"append steps in which {names} is missing",
            )
        counts.append(count)
        future.append(one.values[count : count + h, list(layout.known)])
    return _shortened(series, np.array(counts)), future


def _shortened(series: Series, counts: Annotated[Ints, "N"]) -> Series:
    """Return the first ``counts`` steps of each series."""
    local = np.arange(series.n_steps) - np.repeat(series.offsets[:-1], series.lengths)
    keep = local < np.repeat(counts, series.lengths)
    return replace(
        series,
        values=series.values[keep],
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        times=None if series.times is None else series.times[keep],
    )
