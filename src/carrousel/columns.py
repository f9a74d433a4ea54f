"""Columns of data frames as arrays: numbers, labels, times and missing cells."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError
from carrousel.shapes import Array, Floats, Ints


def is_missing(value: object) -> bool:
    """Whether a cell is None, NaN, NaT or pandas' NA.

    >>> [is_missing(value) for value in (None, float("nan"), 0.0, "")]
    [True, True, False, False]
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant"):
        return True
    return isinstance(value, float | np.floating | np.datetime64 | np.timedelta64) and bool(
        value != value
    )


def as_objects(column: Any) -> Array:
    """Return the cells of a narwhals column as Python objects, ``[rows]``."""
    cells = column.to_list()
    out = np.empty(len(cells), object)
    out[:] = cells  # not np.array(cells), which would join cells that are lists
    return out


def as_array(column: Any) -> Array:
    """Return a narwhals column as floats (NaN: missing), dates, or objects (None: missing)."""
    kind = column.dtype
    if kind.is_numeric() or str(kind) == "Boolean":
        import narwhals as nw

        wide = kind if kind == nw.Float32 else nw.Float64
        values = column.cast(wide).to_numpy()
        return values if values.dtype.kind == "f" else np.array(column.to_list(), np.float64)
    if str(kind).startswith(("Datetime", "Date", "Duration")):
        values = np.asarray(column.to_numpy())
        if values.dtype.kind in "mM":
            return values
    cells = as_objects(column)
    cells[[is_missing(each) for each in cells]] = None
    return cells


def as_labels(column: Any) -> Array:
    """Return a narwhals column like :func:`as_array`, but whole numbers without gaps as int64."""
    kind = str(column.dtype)
    if (kind.startswith(("Int", "UInt")) or kind == "Boolean") and not column.is_null().any():
        return np.array(column.to_list(), bool if kind == "Boolean" else np.int64)
    return as_array(column)


def as_times(values: Array, *, column: str | None = None, where: str = "") -> Floats:
    """Return times as float64; dates count as seconds since 1970 and durations as seconds.

    Raises:
        DataError: a time is missing, infinite, or neither a number nor a date.

    >>> as_times(np.array(["1970-01-01", "1970-01-02"], "datetime64[D]")).tolist()
    [0.0, 86400.0]
    """
    values = np.asarray(values)
    if values.dtype.kind == "O":
        missing = np.array([is_missing(each) for each in values.ravel()], bool)
        times = np.zeros(values.shape) if missing.any() else _from_objects(values, column, where)
    elif values.dtype.kind in "mM":
        missing = np.isnat(values)
        kind = "timedelta64" if values.dtype.kind == "m" else "datetime64"
        times = values.astype(f"{kind}[us]").astype(np.int64) / 1e6
    elif values.dtype.kind in "fiub":
        times = values.astype(np.float64)
        missing = ~np.isfinite(times)
    else:
        return _from_objects(values.astype(object), column, where)
    if missing.any():
        raise DataError(
            f"{where}a time is missing or infinite",
            row=int(np.argmax(missing)),
            column=column,
            fix="drop the step, or fill in its time",
        )
    return times


def _from_objects(values: Array, column: str | None, where: str) -> Floats:
    """Convert objects (numbers, dates, pandas' timestamps) to times."""
    first = values.ravel()[0] if values.size else 0.0
    try:
        if isinstance(first, int | float | np.number) and not isinstance(first, bool):
            return as_times(values.astype(np.float64), column=column, where=where)
        if not isinstance(first, str):
            kind = "timedelta64[us]" if hasattr(first, "days") else "datetime64[us]"
            return as_times(values.astype(kind), column=column, where=where)
    except (TypeError, ValueError):
        pass
    raise DataError(
        f"{where}times contain {first!r:.40}, expected numbers, dates or durations",
        column=column,
        fix="convert the column, for example by pandas.to_datetime",
    )


def check_ascending(
    times: Floats,
    offsets: Annotated[Ints, "N+1"],
    ids: Sequence[Hashable] | None,
    column: str | None = None,
) -> None:
    """Raise :class:`DataError` unless times increase strictly within each series."""
    if len(times) < 2:
        return
    bad = times[1:] <= times[:-1]
    inner = np.asarray(offsets[1:-1]) - 1
    bad[inner[(0 <= inner) & (inner < len(bad))]] = False
    if not bad.any():
        return
    at = int(np.argmax(bad))
    n = int(np.searchsorted(offsets, at, side="right")) - 1
    name = f"series {n}" if ids is None else f"series {ids[n]!r}"
    same = times[at] == times[at + 1]
    problem = "two steps have the time" if same else "times do not increase: after"
    raise DataError(
        f"{name}: {problem} {times[at]:.15g}" + ("" if same else f" comes {times[at + 1]:.15g}"),
        argument="times",
        column=column,
        fix="average or drop the repeated steps" if same else "sort the steps by time",
    )
