"""Checks of series, weights and groups of training, and of ids of training and test data."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable
from typing import Annotated, Any

import numpy as np

from carrousel.columns import check_ascending
from carrousel.errors import DataError, ShapeError
from carrousel.estimators.data.checks.entries import one_per_series, refuse_missing
from carrousel.estimators.data.containers import (
    check_values,
    refuse_tiny,
)
from carrousel.estimators.data.larger import TableDataset
from carrousel.estimators.data.series import Series, Source
from carrousel.shapes import Array, Bools, Floats


class ConstantChannelWarning(UserWarning):
    """A channel never changes in training, or has no value at all."""


def check_series(series: Series, name: str = "X") -> None:
    """Check training series.

    Raises:
        DataError: there are no series; a series is empty; a value is infinite; values of a channel
            differ by less than 1e-150; times do not increase; all values are missing.

    Warns:
        ConstantChannelWarning: a channel is constant or always missing.

    >>> check_series(Series.of([[[1.0], [float("inf")]]]))
    Traceback (most recent call last):
        ...
    carrousel.errors.DataError: column 'x0': series 0 of X, step 1: the value is inf, \
infinity is not allowed; replace it by NaN if it is missing
    """
    if not len(series):
        raise DataError(f"{name} holds no series", argument=name, fix="pass at least one series")
    for n in np.flatnonzero(series.lengths < 1):
        raise DataError(
            f"{series.name(int(n))} of {name} is empty",
            argument=name,
            fix="drop it, or give it at least one step",
        )
    check_values(series, name)
    if series.times is not None:
        check_ascending(series.times, series.offsets, series.ids)
    missing = series.values < 0 if series.symbolic else np.isnan(series.values)
    if missing.all():
        raise DataError(f"every value of {name} is missing", argument=name)
    if not series.symbolic:
        _warn_of_constants(series, missing, name)


def check_data_set(data: TableDataset, name: str = "X") -> None:
    """Check what opening a data set leaves to training.

    Raises:
        DataError: all values are missing.

    Warns:
        ConstantChannelWarning: a channel is constant or always missing.
    """
    found = data.statistics
    if not found.counts.any():
        raise DataError(f"every value of {name} is missing", argument=name)
    for k in np.flatnonzero(found.constant):
        state = f"always {found.mean[k]:.6g}" if found.counts[k] else "always missing"
        _warn_of_constant(data.channels[k], state, name)


def _warn_of_constants(series: Series, missing: Annotated[Bools, "steps I"], name: str) -> None:
    low = np.where(missing, np.inf, series.values).min(axis=0)
    high = np.where(missing, -np.inf, series.values).max(axis=0)
    for k, channel in enumerate(series.channels):
        if low[k] < high[k] or series.n_steps < 2:
            refuse_tiny(low[k], high[k], name, channel)
            continue
        state = "always missing" if low[k] > high[k] else f"always {low[k]:.6g}"
        _warn_of_constant(channel, state, name)


def _warn_of_constant(channel: str, state: str, name: str) -> None:
    warnings.warn(
        f"channel {channel!r} of {name} is {state}; the model cannot learn from it",
        ConstantChannelWarning,
        stacklevel=5,
    )


def check_weights(
    weights: Any, series: Source, name: str = "sample_weight"
) -> Annotated[Floats, "N"]:
    """Check one weight for each series; return float64 ``[N]``, ones if None.

    Raises:
        ShapeError: there is not one weight for each series.
        DataError: a weight is missing, infinite or negative, or all are 0.

    >>> check_weights(None, Series.of([[[1.0]], [[2.0]]])).tolist()
    [1.0, 1.0]
    """
    if weights is None:
        return np.ones(len(series))
    if np.isscalar(weights):
        weights = np.full(len(series), weights)
    given = one_per_series(weights, series, name)
    if given.ndim != 1 or given.dtype.kind not in "fiub":
        raise ShapeError(
            f"{name} has type {given.dtype} and shape {given.shape}. Sample weights must be 1D "
            "array or scalar numbers",
            argument=name,
        )
    given = given.astype(np.float64)
    for row in np.flatnonzero(~(np.isfinite(given) & (given >= 0))):
        raise DataError(
            f"the weight of {series.name(int(row))} is {given[row]}",
            argument=name,
            got=float(given[row]),
            fix="give finite weights of at least 0",
        )
    if not given.any():
        raise DataError(f"every weight of {name} is zero", argument=name)
    return given


def check_groups(groups: Any, series: Source, name: str = "groups") -> Array | None:
    """Check one group for each series; return them as an array ``[N]``.

    Raises:
        ShapeError: there is not one group for each series.
        DataError: a group is missing, or all series are in one.
    """
    if groups is None:
        return None
    given = one_per_series(groups, series, name)
    if given.ndim != 1:
        raise ShapeError(f"{name} has shape {given.shape}, expected [N]", argument=name)
    refuse_missing(given, series, name, "group")
    if len(set(given.tolist())) < 2:
        raise DataError(
            f"all series are in the group {given.tolist()[0]!r:.40}, so that none can be held out",
            argument=name,
            fix="leave {groups} out",
        )
    return given


def check_apart(train_ids: Iterable[Hashable], test_ids: Iterable[Hashable]) -> None:
    """Raise :class:`DataError` if a series or group occurs in both training and test data.

    >>> check_apart(["anna", "ben"], ["carl", "ben"])
    Traceback (most recent call last):
        ...
    carrousel.errors.DataError: 1 id occurs in training and test data: 'ben'; remove it from one \
of them
    """
    known = set(train_ids)
    both = [each for each in dict.fromkeys(test_ids) if each in known]
    if both:
        some = ", ".join(repr(each) for each in both[:3]) + (", ..." if len(both) > 3 else "")
        raise DataError(
            f"{len(both)} id{'s occur' if len(both) > 1 else ' occurs'} in training and test data: "
            f"{some}",
            fix="remove it from one of them",
        )
