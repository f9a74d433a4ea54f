"""Long tables: data frames with one row per step, read into arrays grouped by series.

pandas, polars and Arrow tables are read through narwhals, which is imported on first use.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.checks import suggestion
from carrousel.errors import DataError, MissingExtraError, ShapeError, UnknownNameError
from carrousel.shapes import Array, Floats, Ints


@dataclass(frozen=True, eq=False)
class LongTable:
    """Columns of a data frame, sorted by series and, within a series, by time.

    Args:
        ids: a name for each series, in order of first appearance, ``N`` of them.
        offsets: ``[N+1]``. Series ``n`` has rows ``offsets[n]`` to ``offsets[n + 1] - 1``.
        times: ``[steps]``, strictly increasing within a series, or None without a time column.
        columns: ``[steps]`` by name: floats (NaN: missing) or objects (None: missing).
    """

    ids: tuple[Hashable, ...]
    offsets: Annotated[Ints, "N+1"]
    times: Annotated[Floats, "steps"] | None
    columns: dict[str, Array]


def is_frame(given: object) -> bool:
    """Whether ``given`` is a pandas, polars or Arrow table."""
    package = type(given).__module__.split(".")[0]
    return package in ("pandas", "polars", "pyarrow") and type(given).__name__ in (
        *("DataFrame", "Table", "LazyFrame"),
    )


def as_frame(frame: Any, argument: str = "frame") -> Any:
    """Return an eager narwhals frame of a pandas, polars or Arrow table; lazy ones are collected.

    Raises:
        MissingExtraError: narwhals is not installed.
        ShapeError: ``frame`` is no data frame, or two columns have the same name.
    """
    try:
        import narwhals as nw
    except ImportError as error:
        raise MissingExtraError(
            "data frames are read through narwhals, which is not installed",
            fix="pip install 'carrousel[sklearn]'",
        ) from error
    try:
        found = nw.from_native(frame)
    except TypeError:
        raise ShapeError(
            f"{argument} is a {type(frame).__name__}, expected a data frame (pandas, polars, "
            "Arrow)",
            argument=argument,
        ) from None
    except nw.exceptions.NarwhalsError as error:  # for example two columns of one name
        raise ShapeError(f"{argument} cannot be read: {error}", argument=argument) from None
    return found.collect() if isinstance(found, nw.LazyFrame) else found


def read_long(
    frame: Any,
    *,
    id: str,
    time: str | None = None,
    columns: Sequence[str] | None = None,
    argument: str = "frame",
) -> LongTable:
    """Group the rows of a data frame by series and sort each series by time.

    Rows of a series need not be adjacent. Without a time column they keep their order.

    Args:
        frame: a pandas, polars or Arrow table with one row per step.
        id: name of the column that says to which series a row belongs.
        time: name of the column of times: numbers, dates or durations. Dates and durations are
            converted to seconds.
        columns: names of the columns to read; None: all but ``id`` and ``time``.

    Raises:
        UnknownNameError: there is no such column.
        DataError: there are no rows; an id or a time is missing; two rows of a series have the
            same time.

    >>> import pyarrow
    >>> rows = pyarrow.table({"who": ["a", "b", "a"], "t": [2, 1, 1], "x": [0.5, None, 0.25]})
    >>> long = read_long(rows, id="who", time="t")
    >>> long.ids, long.offsets.tolist(), long.columns["x"].tolist()
    (('a', 'b'), [0, 2, 3], [0.25, 0.5, nan])
    """
    data = as_frame(frame, argument)
    check_columns([id, *([] if time is None else [time]), *(columns or ())], data.columns, argument)
    if not len(data):
        raise DataError(f"{argument} has no rows", argument=argument, fix="pass at least one row")
    if columns is None:
        columns = [name for name in data.columns if name not in (id, time)]
    ids, codes = _series_of(as_objects(data[id]), id)
    times = None if time is None else as_times(as_array(data[time]), column=time)
    keys = (codes,) if times is None else (times, codes)
    order = np.lexsort(keys)  # stable: without times, rows keep their order
    in_order = bool((order[1:] > order[:-1]).all())
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.int64)
    if times is not None:
        times = times[order]
        check_ascending(times, offsets, ids, column=time)
    read = {name: as_array(data[name]) for name in columns}
    if not in_order:
        read = {name: values[order] for name, values in read.items()}
    return LongTable(ids, offsets, times, read)


def check_columns(wanted: Sequence[str], present: Sequence[str], argument: str) -> None:
    """Raise :class:`UnknownNameError` for the first column that a frame lacks."""
    for name in wanted:
        if name not in present:
            raise UnknownNameError(
                f"{argument} has no column {name!r}",
                argument=argument,
                got=name,
                fix=suggestion(str(name), [str(each) for each in present]),
            )


def _series_of(ids: np.ndarray, column: str) -> tuple[tuple[Hashable, ...], Ints]:
    """Return the distinct ids in order of appearance, and the number of each row's id."""
    missing = np.array([is_missing(each) for each in ids])
    if missing.any():
        raise DataError(
            "the name of the series is missing",
            row=int(np.argmax(missing)),
            column=column,
            fix="drop the row, or fill in to which series it belongs",
        )
    new = np.ones(len(ids), bool)
    new[1:] = ids[1:] != ids[:-1]
    starts = np.flatnonzero(new)
    number: dict[Hashable, int] = {}
    of_runs = [number.setdefault(each, len(number)) for each in ids[starts].tolist()]
    lengths = np.diff(np.append(starts, len(ids)))
    return tuple(number), np.repeat(np.array(of_runs, np.int64), lengths)


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
