"""Arguments that have one entry for each series, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from carrousel.columns import is_missing
from carrousel.errors import DataError, DataTypeError, ShapeError
from carrousel.estimators.data.series import Source
from carrousel.shapes import Array


def plain(given: Any) -> Array:
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


def one_per_series(given: Any, series: Source, name: str) -> Array:
    if given is None:
        raise ShapeError(
            f"{name} is None, expected one entry for each series. The estimator requires {name} "
            f"to be passed, but the target {name} is None",
            argument=name,
        )
    try:
        array = plain(given)
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


def refuse_missing(given: Array, series: Source, name: str, noun: str) -> None:
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
