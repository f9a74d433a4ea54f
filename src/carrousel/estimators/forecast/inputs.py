"""Inputs and targets of a forecasting net, free of the level and scale of a series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.estimators.forecast.simple import names, simple_forecasts
from carrousel.estimators.net.batches import in_order
from carrousel.shapes import Bools, Floats, Ints

LONGEST = 512
"""Steps of a segment: a longer series is cut into segments that overlap by half."""
_SEEN_AHEAD = 12  # simple forecasts are inputs for so many of the steps ahead
_LARGEST = 100.0  # true values farther away, in running scales, count as that far


@dataclass(frozen=True)
class Layout:
    """Roles of channels, and sizes of a forecast.

    Args:
        horizon: steps ahead.
        targets: indices of the ``J`` channels to forecast.
        known: indices of the channels whose future values are given.
        others: indices of channels that are inputs up to now.
        season: steps after which a pattern repeats; None: no season.
    """

    horizon: int
    targets: tuple[int, ...]
    known: tuple[int, ...] = ()
    others: tuple[int, ...] = ()
    season: int | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """Series as a net sees them, and what converts its outputs back.

    Args:
        series: derived channels of the same steps: changes, levels, simple forecasts, and the
            exogenous channels with the future of the known ones.
        last, scale: ``[steps, J]``, last values and running scales.
        simple: float32 ``[steps, horizon, J, K]``, simple forecasts relative to them.
        usable: ``[steps]``, steps that have seen every target at least once.
    """

    series: Series
    last: Annotated[Floats, "steps J"]
    scale: Annotated[Floats, "steps J"]
    simple: Annotated[Floats, "steps horizon J K"]
    usable: Annotated[Bools, "steps"]


def prepare(
    series: Series, layout: Layout, future: list[Annotated[Floats, "horizon known"]] | None = None
) -> Prepared:
    """Convert series of the channels that ``layout`` describes.

    Args:
        series: checked series, in the units of the user.
        layout: roles of the channels.
        future: values of the known channels after the end of each series; None: missing.
    """
    J, steps = len(layout.targets), series.n_steps
    K = len(names(layout.season))
    last, scale = np.empty((2, steps, J))
    simple = np.empty((steps, layout.horizon, J, K), np.float32)
    targets = series.values[:, list(layout.targets)]
    for some in in_order(series.lengths, 64):
        lengths, starts = series.lengths[some], series.offsets[some]
        T = int(lengths.max())
        at = np.minimum(np.arange(T)[:, None], lengths - 1) + starts
        found = simple_forecasts(targets[at], layout.horizon, layout.season)
        inside = np.arange(T)[:, None] < lengths
        last[at[inside]], scale[at[inside]] = found.last[inside], found.scale[inside]
        simple[at[inside]] = found.forecasts[inside]
    seen, usable = np.isfinite(targets), np.empty(steps, bool)
    for low, high in zip(series.offsets[:-1], series.offsets[1:], strict=True):
        usable[low:high] = np.logical_or.accumulate(seen[low:high], axis=0).all(axis=1)
    views = [_shapes(series, targets, last, scale, simple, layout)]
    views += [series.values[:, list(layout.others + layout.known)]]
    views += [_ahead(series, layout, future)] if layout.known else []
    values = np.concatenate(views, axis=1).astype(np.float32)
    channels = tuple(f"d{n}" for n in range(values.shape[1]))
    derived = replace(series, values=values, channels=channels, named=False)
    return Prepared(derived, last, scale, simple, usable)


def _shapes(
    series: Series,
    targets: Annotated[Floats, "steps J"],
    last: Annotated[Floats, "steps J"],
    scale: Annotated[Floats, "steps J"],
    simple: Annotated[Floats, "steps horizon J K"],
    layout: Layout,
) -> Annotated[Floats, "steps inputs"]:
    """Return the target channels without level and scale; missing where a target is missing.

    These are the last change, the value itself in units of the scale, the simple forecasts one
    step ahead, and for a season those of some later steps. The inverse hyperbolic sine tames
    outliers: it is a logarithm for large values and the identity for small ones.
    """
    inner = np.ones(series.n_steps, bool)
    inner[series.offsets[:-1]] = False
    change = np.where(inner[:, None], np.diff(last, axis=0, prepend=last[:1]), 0.0) / scale
    spread = np.unique(np.linspace(0, layout.horizon - 1, _SEEN_AHEAD).round().astype(int))
    found = [change, last / scale, *np.moveaxis(simple[:, 0, :, 1:], -1, 0)]
    if layout.season is not None:
        found += [simple[:, h, :, 5] for h in spread[1:]]
        found += [simple[:, h, :, 8] for h in spread[1:]]
    return np.concatenate(
        [np.where(np.isfinite(targets), np.arcsinh(each), np.nan) for each in found], axis=1
    )


def _ahead(
    series: Series, layout: Layout, future: list[Annotated[Floats, "horizon known"]] | None
) -> Annotated[Floats, "steps horizon*known"]:
    """Return the known channels of the next ``horizon`` steps, as inputs of each step."""
    k, h = len(layout.known), layout.horizon
    out = np.empty((series.n_steps, h, k))
    for n, (low, high) in enumerate(zip(series.offsets[:-1], series.offsets[1:], strict=True)):
        after = np.full((h, k), np.nan) if future is None else future[n]
        both = np.concatenate([series.values[low:high, list(layout.known)], after])
        windows = np.lib.stride_tricks.sliding_window_view(both[1:], h, axis=0)
        out[low:high] = np.moveaxis(windows, -1, 1)
    return out.reshape(len(out), h * k)


def truths(
    series: Series, prepared: Prepared, layout: Layout
) -> Annotated[Floats, "steps horizon J"]:
    """Return the values of the next steps, relative to the last one, in units of the scale.

    NaN where a value is missing, lies after the end, or the step is not usable.
    """
    h, J = layout.horizon, len(layout.targets)
    out = np.full((series.n_steps, h, J), np.nan)
    for low, high in zip(series.offsets[:-1], series.offsets[1:], strict=True):
        x = series.values[low:high, list(layout.targets)]
        both = np.concatenate([x, np.full((h, J), np.nan)])
        windows = np.lib.stride_tricks.sliding_window_view(both[1:], h, axis=0)
        out[low:high] = np.moveaxis(windows, -1, 1)
    out = (out - prepared.last[:, None]) / prepared.scale[:, None]
    out[~prepared.usable] = np.nan
    return out.clip(-_LARGEST, _LARGEST)


@dataclass(frozen=True, eq=False)
class Segments:
    """Pieces of series short enough for a net, and which steps each of them answers.

    A series of at most :data:`LONGEST` steps is one piece. Pieces of a longer one overlap by half,
    and a step is answered by the piece that gives it at least half a piece of past. So the answer
    of a step does not depend on the steps after it.

    Args:
        starts, ends: ``[segments]``, steps of ``series.values``.
        answers: ``[segments]``, first step that a segment answers; it answers up to its end.
        owner: ``[segments]``, index of the series.
    """

    starts: Annotated[Ints, "segments"]
    ends: Annotated[Ints, "segments"]
    answers: Annotated[Ints, "segments"]
    owner: Annotated[Ints, "segments"]

    @staticmethod
    def of(
        series: Series, *, until: Annotated[Ints, "N"] | None = None, only_last: bool = False
    ) -> Segments:
        """Cut series, or their first ``until`` steps; ``only_last``: only each last segment."""
        rows, half = [], LONGEST // 2
        ends = series.offsets[1:] if until is None else series.offsets[:-1] + until
        for n, (low, high) in enumerate(zip(series.offsets[:-1], ends, strict=True)):
            count = max(1, -(-(high - low) // half) - 1)
            for k in range(count - 1 if only_last else 0, count):
                start = low + k * half
                rows.append((start, min(high, start + LONGEST), start + half * (k > 0), n))
        starts, ends, answers, owner = np.array(rows, np.int64).T
        return Segments(starts, ends, answers, owner)

    def cut(self, series: Series) -> tuple[Series, Annotated[Ints, "steps"]]:
        """Return the segments as series, and the step of ``series`` that each of theirs is."""
        at = np.concatenate([np.arange(a, b) for a, b in zip(self.starts, self.ends, strict=True)])
        offsets = np.concatenate([[0], np.cumsum(self.ends - self.starts)]).astype(np.int64)
        times = None if series.times is None else series.times[at]
        return replace(series, values=series.values[at], offsets=offsets, times=times, ids=None), at
