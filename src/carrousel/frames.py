"""Long tables: data frames with one row per step, read into arrays grouped by series.

pandas, polars and Arrow tables are read through narwhals, which is imported on first use.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.checks import suggestion
from carrousel.columns import as_array, as_labels, as_objects, as_times, check_ascending, is_missing
from carrousel.errors import (
    DataError,
    MissingExtraError,
    SettingError,
    ShapeError,
    UnknownNameError,
)
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
    id: str | None,
    time: str | None = None,
    columns: Sequence[str] | None = None,
    labels: Sequence[str] = (),
    argument: str = "frame",
) -> LongTable:
    """Group the rows of a data frame by series and sort each series by time.

    Rows of a series need not be adjacent. Without a time column they keep their order. If the cells
    of the first of ``columns`` are lists, a row is a whole series (see :func:`_read_records`).

    Args:
        frame: a pandas, polars or Arrow table with one row per step.
        id: name of the column that says to which series a row belongs.
        time: name of the column of times: numbers, dates or durations. Dates and durations are
            converted to seconds.
        columns: names of the columns to read as floats or text; None: all others.
        labels: names of columns to read as they are: whole numbers stay whole numbers.

    Raises:
        UnknownNameError: there is no such column.
        DataError: there are no rows; an id or a time is missing; two rows of a series have the
            same time.
        SettingError: ``id`` is None, but a row is a step.

    >>> import pyarrow
    >>> rows = pyarrow.table({"who": ["a", "b", "a"], "t": [2, 1, 1], "x": [0.5, None, 0.25]})
    >>> long = read_long(rows, id="who", time="t")
    >>> long.ids, long.offsets.tolist(), long.columns["x"].tolist()
    (('a', 'b'), [0, 2, 3], [0.25, 0.5, nan])
    """
    data = as_frame(frame, argument)
    special = [name for name in (id, time) if name is not None]
    check_columns([*special, *(columns or ()), *labels], data.columns, argument)
    if not len(data):
        raise DataError(f"{argument} has no rows", argument=argument, fix="pass at least one row")
    if columns is None:
        columns = [name for name in data.columns if name not in (*special, *labels)]
    if columns and _holds_lists(data[columns[0]]):
        return _read_records(data, id, time, columns, labels, argument)
    if id is None:
        raise SettingError(
            "id is not given, but a row is a step",
            argument="id",
            fix="set {id} to the column that names the series",
        )
    ids, codes = _series_of(as_objects(data[id]), id)
    times = None if time is None else as_times(as_array(data[time]), column=time)
    order = np.lexsort((codes,) if times is None else (times, codes))  # stable
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.int64)
    if times is not None:
        times = times[order]
        check_ascending(times, offsets, ids, column=time)
    read = {name: as_array(data[name]) for name in columns}
    read |= {name: as_labels(data[name]) for name in labels}
    if (order[1:] < order[:-1]).any():
        read = {name: values[order] for name, values in read.items()}
    return LongTable(ids, offsets, times, read)


def _holds_lists(column: Any) -> bool:
    if str(column.dtype).startswith(("List", "Array")):
        return True
    if str(column.dtype) != "Object":
        return False
    first = next((cell for cell in column.to_list() if not is_missing(cell)), None)
    return isinstance(first, list | tuple | np.ndarray)


def _read_records(
    data: Any,
    id: str | None,
    time: str | None,
    columns: Sequence[str],
    labels: Sequence[str],
    argument: str,
) -> LongTable:
    """Read a table with one row per series, whose cells are lists with one entry per step.

    Columns of labels hold one label or a list of them. A single label is repeated for all steps.
    """
    ids = tuple(range(len(data)) if id is None else as_objects(data[id]).tolist())
    cells = {name: as_objects(data[name]) for name in (*columns, *([time] if time else []))}
    lengths = np.array([np.size(cell) for cell in cells[columns[0]]], np.int64)
    joined = {}
    for name, lists in cells.items():
        sizes = [-1 if np.isscalar(cell) or cell is None else len(cell) for cell in lists]
        for n in np.flatnonzero(np.array(sizes) != lengths):
            raise ShapeError(
                f"series {ids[n]!r} has {lengths[n]} steps in {columns[0]!r}, but {name!r} is not "
                "a list of as many entries",
                argument=argument,
                column=name,
            )
        joined[name] = _plain([value for cell in lists for value in cell])
    for n in np.flatnonzero(lengths == 0):
        raise DataError(f"series {ids[n]!r} is empty", argument=argument, fix="drop it")
    for name in labels:
        values = as_objects(data[name])
        if _holds_lists(data[name]):
            joined[name] = _plain([value for cell in values for value in cell])
        else:
            joined[name] = np.repeat(as_labels(data[name]), lengths)
        if len(joined[name]) != lengths.sum():
            raise ShapeError(f"{argument}: labels and steps differ in number", column=name)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    times = None if time is None else as_times(joined.pop(time), column=time)
    if times is not None:
        check_ascending(times, offsets, ids, column=time)
    return LongTable(ids, offsets, times, joined)


def _plain(cells: list[Any]) -> Array:
    """Return numbers as an array of their type (missing: NaN), anything else as objects."""
    cells = [None if is_missing(cell) else cell for cell in cells]
    if all(cell is None or isinstance(cell, int | float | np.number) for cell in cells):
        return np.array(cells, np.float64) if None in cells else np.array(cells)
    out = np.empty(len(cells), object)
    out[:] = cells
    return out


def read_units(
    frame: Any,
    *,
    id: str,
    time: str | None,
    inputs: str | Sequence[str],
    target: str | Sequence[str],
) -> dict[str, Array]:
    """Read inputs, offsets, targets and target steps of :class:`carrousel.Sequences`."""
    inputs = [inputs] if isinstance(inputs, str) else list(inputs)
    targets = [target] if isinstance(target, str) else list(target)
    long = read_long(frame, id=id, time=time, columns=(), labels=[*inputs, *targets])
    x = _as_units([long.columns[name] for name in inputs], inputs)
    goal = _as_units([long.columns[name] for name in targets], targets, missing=True)
    present = goal >= 0 if goal.ndim == 1 else ~np.isnan(goal).any(axis=1)
    steps = np.flatnonzero(present).astype(np.int64)
    return {"inputs": x, "offsets": long.offsets, "targets": goal[steps], "target_steps": steps}


def _as_units(columns: Sequence[Array], names: Sequence[str], missing: bool = False) -> Array:
    """Return float32 ``[steps, I]``, or int32 ``[steps]`` for one column of text or numbers."""
    if len(columns) == 1 and columns[0].dtype.kind in "iub":
        numbers = columns[0].astype(np.int64)
        for row in np.flatnonzero((numbers < 0) | (numbers > np.iinfo(np.int32).max)):
            raise DataError(
                f"the symbol {numbers[row]} is outside 0..{np.iinfo(np.int32).max}",
                column=names[0],
                fix="convert the column to float if its numbers are values",
            )
        return numbers.astype(np.int32)
    if len(columns) == 1 and columns[0].dtype.kind == "O":
        cells = columns[0].tolist()
        known = sorted({str(cell) for cell in cells if cell is not None})
        number: dict[Any, int] = {cell: k for k, cell in enumerate(known)}
        if None in cells and not missing:
            raise DataError(
                "a symbol is missing", row=cells.index(None), column=names[0], fix="drop the step"
            )
        return np.array([-1 if c is None else number[str(c)] for c in cells], np.int32)
    for values, name in zip(columns, names, strict=True):
        if values.dtype.kind not in "fiub":
            raise ShapeError(
                "the column holds text or dates, expected numbers",
                column=name,
                fix="choose one column of text, or columns of numbers",
            )
    if not columns:
        raise ShapeError("no columns are named", argument="inputs", fix="name at least one")
    return np.stack(columns, axis=1).astype(np.float32)


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
