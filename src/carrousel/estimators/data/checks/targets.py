"""Checks of labels and targets of training."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Annotated, Any

import numpy as np

from carrousel.columns import is_missing
from carrousel.errors import DataError, DataTypeError, ShapeError
from carrousel.estimators.data.checks.entries import one_per_series, plain, refuse_missing
from carrousel.estimators.data.containers import (
    LARGEST,
    refuse_tiny,
    too_large,
)
from carrousel.estimators.data.series import Source
from carrousel.shapes import Array, Floats


def check_labels(y: Any, series: Source, name: str = "y", *, one_class: bool = False) -> Array:
    """Check one label for each series; return them as an array ``[N]``.

    All series may have the same label if ``one_class`` is set.

    Raises:
        ShapeError: ``y`` is not one-dimensional or has another length than there are series.
        DataError: a label is missing, or all are the same.
        DataTypeError: labels are neither text, whole numbers, nor truth values.

    >>> from carrousel.estimators.data.series import Series
    >>> check_labels(["a", "b"], Series.of([[[1.0]], [[2.0]]])).tolist()
    ['a', 'b']
    """
    labels = one_per_series(y, series, name)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ShapeError(f"{name} has shape {labels.shape}, expected [N] labels", argument=name)
    refuse_missing(labels, series, name, "label")
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
        DataError: a target is missing, infinite or above 1e150 in magnitude; targets differ by less
            than 1e-150.
        DataTypeError: a target is not a number.

    >>> from carrousel.estimators.data.series import Series
    >>> check_targets([1, 2.5], Series.of([[[1.0]], [[2.0]]])).tolist()
    [[1.0], [2.5]]
    """
    given = one_per_series(y, series, name)
    if given.dtype.kind not in "fiubO" or given.ndim not in (1, 2):
        raise DataTypeError(
            f"{name} has type {given.dtype} and shape {given.shape}, expected [N] or [N, targets] "
            "numbers",
            argument=name,
        )
    refuse_missing(given, series, name, "target")
    try:
        targets = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise DataTypeError(f"{name} holds what is not a number", argument=name) from None
    if targets.ndim == 2 and not targets.shape[1]:
        raise ShapeError(f"{name} has shape {targets.shape}, expected a target", argument=name)
    targets = targets.reshape(len(targets), -1)
    check_magnitudes(targets, series.name, name)
    return targets


def check_magnitudes(
    targets: Annotated[Floats, "rows K"], owner: Callable[[int], str], name: str = "y"
) -> None:
    """Check that targets, NaN where there is none, can be standardised.

    Args:
        targets: numbers.
        owner: returns what a message calls the owner of a row.
        name: what a message calls the targets.

    Raises:
        DataError: a target is infinite or above 1e150 in magnitude, or those of a column differ by
            less than 1e-150.
    """
    for row in np.flatnonzero(too_large(targets).any(axis=1)):
        raise DataError(
            f"the target of {owner(int(row))} is infinite, or above {LARGEST:g} in magnitude. "
            f"{name} contains infinity",
            argument=name,
            fix="drop it, or limit the target",
        )
    for column in targets.T:
        known = column[np.isfinite(column)]
        if len(known):
            refuse_tiny(known.min(), known.max(), name)


def check_step_targets(y: Any, series: Source, name: str = "y") -> list[Array]:
    """Check labels or values for each step; return an array for each series.

    A missing label (None, NaN) is allowed: the step has none.

    Raises:
        ShapeError: there is not one entry for each series, or for each step of one.
        DataError: no step has a target.

    >>> from carrousel.estimators.data.series import Series
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
        targets = plain(given)
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
