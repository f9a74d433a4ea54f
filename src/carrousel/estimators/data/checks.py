"""Checks of training data: what would fail, or spoil a model, is found before training starts."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.columns import check_ascending, is_missing
from carrousel.errors import DataError, DataTypeError, ShapeError
from carrousel.estimators.data.containers import LARGEST, check_values, too_large
from carrousel.estimators.data.larger import TableDataset
from carrousel.estimators.data.series import Series, Source
from carrousel.shapes import Array, Bools, Floats


class ConstantChannelWarning(UserWarning):
    """A channel never changes in training, or has no value at all."""


def check_series(series: Series, name: str = "X") -> None:
    """Check training series.

    Raises:
        DataError: there are no series; a series is empty; a value is infinite; times do not
            increase; all values are missing.

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
            continue
        state = "always missing" if low[k] > high[k] else f"always {low[k]:.6g}"
        _warn_of_constant(channel, state, name)


def _warn_of_constant(channel: str, state: str, name: str) -> None:
    warnings.warn(
        f"channel {channel!r} of {name} is {state}; the model cannot learn from it",
        ConstantChannelWarning,
        stacklevel=5,
    )


def check_labels(y: Any, series: Source, name: str = "y", *, one_class: bool = False) -> Array:
    """Check one label for each series; return them as an array ``[N]``.

    All series may have the same label if ``one_class`` is set.

    Raises:
        ShapeError: ``y`` is not one-dimensional or has another length than there are series.
        DataError: a label is missing, or all are the same.
        DataTypeError: labels are neither text, whole numbers, nor truth values.

    >>> check_labels(["a", "b"], Series.of([[[1.0]], [[2.0]]])).tolist()
    ['a', 'b']
    """
    labels = _one_per_series(y, series, name)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ShapeError(f"{name} has shape {labels.shape}, expected [N] labels", argument=name)
    _refuse_missing(labels, series, name, "label")
    if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
        raise DataTypeError(
            f"{name} holds continuous values, for example {labels[labels % 1 != 0][0]:.6g}; "
            "expected labels. Unknown label type: continuous",
            argument=name,
            fix="use a regressor for values, or convert labels to text",
        )
    _check_kinds(labels, name)
    if not one_class:
        check_two_classes(labels.tolist(), name)
    return labels


def _check_kinds(labels: Annotated[Array, "N"], name: str) -> None:
    """Raise DataTypeError for a label that a file of the model could not hold."""
    cells = labels.tolist() if labels.dtype.kind in "OfSVMm" else ()
    for label in cells:
        whole = isinstance(label, float | np.floating) and np.isfinite(label)
        if not whole and not isinstance(label, str | int | np.integer | np.bool_):
            raise DataTypeError(
                f"{name} holds the label {label!r:.40} of type {type(label).__name__}, expected "
                "text, whole numbers or truth values",
                argument=name,
                fix="convert labels to text; text in files must be UTF-8",
            )


def check_two_classes(labels: Iterable[Hashable], name: str = "y") -> None:
    """Raise :class:`DataError` unless at least two labels differ.

    >>> check_two_classes(["a", "a"])
    Traceback (most recent call last):
        ...
    carrousel.errors.DataError: y holds only 1 class, 'a'; pass series of at least two classes
    """
    classes = set(labels)
    if len(classes) < 2:
        only = f"1 class, {next(iter(classes))!r:.40}" if classes else "missing labels"
        raise DataError(
            f"{name} holds only {only}", argument=name, fix="pass series of at least two classes"
        )


def check_targets(y: Any, series: Source, name: str = "y") -> Annotated[Floats, "N targets"]:
    """Check one number, or several, for each series; return float64 ``[N, targets]``.

    Raises:
        ShapeError: ``y`` has another length than there are series.
        DataError: a target is missing, infinite or above 1e150 in magnitude.
        DataTypeError: a target is not a number.

    >>> check_targets([1, 2.5], Series.of([[[1.0]], [[2.0]]])).tolist()
    [[1.0], [2.5]]
    """
    given = _one_per_series(y, series, name)
    if given.dtype.kind not in "fiubO" or given.ndim not in (1, 2):
        raise DataTypeError(
            f"{name} has type {given.dtype} and shape {given.shape}, expected [N] or [N, targets] "
            "numbers",
            argument=name,
        )
    _refuse_missing(given, series, name, "target")
    try:
        targets = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataTypeError(f"{name} holds what is not a number", argument=name) from None
    if targets.ndim == 2 and not targets.shape[1]:
        raise ShapeError(f"{name} has shape {targets.shape}, expected a target", argument=name)
    for row in np.flatnonzero(too_large(targets.reshape(len(targets), -1)).any(axis=1)):
        raise DataError(
            f"the target of {series.name(int(row))} is infinite, or above {LARGEST:g} in "
            f"magnitude. {name} contains infinity",
            argument=name,
            fix="drop the series, or limit the target",
        )
    return targets.reshape(len(targets), -1)


def check_step_targets(y: Any, series: Source, name: str = "y") -> list[Array]:
    """Check labels or values for each step; return an array for each series.

    A missing label (None, NaN) is allowed: the step has none.

    Raises:
        ShapeError: there is not one entry for each series, or for each step of one.
        DataError: no step has a target.

    >>> two = Series.of([[[1.0], [2.0]], [[3.0]]])
    >>> [each.tolist() for each in check_step_targets([["a", None], ["b"]], two)]
    [['a', None], ['b']]
    """
    if y is None or isinstance(y, str) or not hasattr(y, "__len__"):
        raise ShapeError(
            f"{name} is {y!r:.40}, expected a list with an array for each series", argument=name
        )
    if len(y) != len(series):
        raise ShapeError(
            f"{name} has {len(y)} entries for {len(series)} series",
            argument=name,
            fix="give one array of targets for each series",
        )
    read = []
    for n, (given, length) in enumerate(zip(y, series.lengths, strict=True)):
        targets = _plain(given)
        if targets.ndim < 1 or len(targets) != length:
            raise ShapeError(
                f"{series.name(n)} has {length} steps, but its targets have shape {targets.shape}",
                argument=name,
                fix="give one target for each step, None or NaN where there is none",
            )
        read.append(targets)
    if all(is_missing(cell) for each in read for cell in each.ravel()):
        raise DataError(f"{name} has no target at any step", argument=name)
    return read


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
    given = _one_per_series(weights, series, name)
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
    given = _one_per_series(groups, series, name)
    if given.ndim != 1:
        raise ShapeError(f"{name} has shape {given.shape}, expected [N]", argument=name)
    _refuse_missing(given, series, name, "group")
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


def _plain(given: Any) -> Array:
    """Convert labels to an array in which None stays None and text stays text.

    Masked cells become None.
    """
    if isinstance(given, np.ma.MaskedArray):
        plain = np.ma.getdata(given)
        if np.ma.getmaskarray(given).any():
            plain = plain.astype(object)
            plain[np.ma.getmaskarray(given)] = None
        return plain
    if isinstance(given, np.ndarray):
        return given
    if isinstance(given, Sequence) and not isinstance(given, str):
        cells = list(given)
        text = [isinstance(cell, str) for cell in cells]
        if any(text) and not all(text):
            out = np.empty(len(cells), object)
            out[:] = cells
            return out
    return np.asarray(given)


def _one_per_series(given: Any, series: Source, name: str) -> Array:
    if given is None:
        raise ShapeError(
            f"{name} is None, expected one entry for each series. The estimator requires {name} "
            f"to be passed, but the target {name} is None",
            argument=name,
        )
    try:
        array = _plain(given)
    except ValueError:
        raise ShapeError(
            f"{name} is ragged, expected one entry per series", argument=name
        ) from None
    if array.dtype.kind == "c":
        raise DataTypeError(f"{name}: Complex data not supported", argument=name)
    if array.ndim < 1 or len(array) != len(series):
        raise ShapeError(
            f"{name} has {len(array) if array.ndim else 0} entries for {len(series)} series",
            argument=name,
            fix="give one entry for each series",
        )
    return array


def _refuse_missing(given: Array, series: Source, name: str, noun: str) -> None:
    """Raise :class:`DataError` if an entry is missing; the message names its series."""
    if given.dtype.kind not in "fOMm":
        return
    missing = np.array([is_missing(cell) for cell in given.ravel()]).reshape(given.shape)
    rows = np.flatnonzero(missing.reshape(len(given), -1).any(axis=1))
    if len(rows):
        raise DataError(
            f"the {noun} of {series.name(int(rows[0]))} is missing. Input {name} contains NaN "
            f"({len(rows)} in all)",
            argument=name,
            fix="drop series without a " + noun,
        )
