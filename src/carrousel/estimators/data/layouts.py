"""Layouts of data frames: long and wide tables, and sktime's nested and indexed ones."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from carrousel.columns import as_array, as_times, check_ascending
from carrousel.errors import DataError, DataTypeError, ShapeError
from carrousel.estimators.data.cells import as_floats, encode_symbols, has_text
from carrousel.estimators.data.series import Series
from carrousel.frames import LongTable, as_frame, read_long
from carrousel.shapes import Array, Floats

_LIKELY_IDS = {"id", "series", "series_id", "case", "case_id", "time", "timestamp"}


def is_pandas(given: object) -> bool:
    """Whether ``given`` is a pandas data frame or series (or a subclass), without importing it."""
    return type(given).__module__.split(".")[0] == "pandas" and hasattr(given, "index")


def read_frame(
    frame: Any,
    name: str,
    id: str | None,
    time: str | None,
    channels: Sequence[str] | None,
    symbols: bool | Sequence[Hashable] | None,
) -> Series:
    """Read a data frame in the layout that its settings, index and cells imply.

    With ``id`` a row is a step. With an index of two levels a row is a step, too. If cells are
    series, a row is a series and a column a channel. Otherwise a row is a series of one channel.
    """
    if id is not None:
        long = read_long(frame, id=id, time=time, columns=channels, argument=name)
        return series_of(long, name, symbols)
    if time is not None or channels is not None:
        given = "time" if time is not None else "channels"
        raise ShapeError(
            f"{given} names columns of a table with one row per step, which needs id",
            argument=given,
            fix="set {id} to the column that names the series",
        )
    levels = getattr(getattr(frame, "index", None), "nlevels", 1)
    if levels > 2:
        raise ShapeError(
            f"{name} has an index of {levels} levels, expected 2: series and time",
            argument=name,
            fix="join the outer levels to one",
        )
    if levels == 2:
        return _from_multiindex(frame, name, symbols)
    if is_pandas(frame) and len(frame) and _is_nested(frame):
        return _from_nested(frame, name)
    return _from_wide(frame, name)


def series_of(
    long: LongTable, name: str, symbols: bool | Sequence[Hashable] | None = None
) -> Series:
    """Convert the columns of a long table to channels; a single column of text to symbols."""
    columns = list(long.columns)
    if not columns:
        raise ShapeError(f"{name} has no channels other than its id and time", argument=name)
    fields: dict[str, Any] = {"named": True, "times": long.times, "ids": long.ids}
    first = long.columns[columns[0]]
    if symbols or (symbols is None and has_text(first)):
        if len(columns) > 1:
            raise DataTypeError(
                f"{name} holds text in one of {len(columns)} channels; a series of symbols has one",
                argument=name,
                column=columns[0],
                fix="choose the columns with {channels}, or convert text to numbers",
            )
        if symbols is None:
            _refuse_numbers_as_text(first, columns[0], name)
        alphabet = None if symbols in (True, None) else symbols
        values, found = encode_symbols([first], alphabet, name)  # type: ignore[arg-type]
        return Series(values, long.offsets, (columns[0],), symbols=found, **fields)
    return Series(
        _stack([_column(long.columns[each], each, name) for each in columns]),
        long.offsets,
        tuple(columns),
        **fields,
    )


def _refuse_numbers_as_text(cells: Array, column: str, name: str) -> None:
    """Raise DataTypeError if most texts are numbers: another text made symbols of all of them.

    Texts of one character each, such as digits of base 16, are symbols.
    """
    texts = [cell for cell in cells.tolist() if isinstance(cell, str)]
    others = [text for text in texts if not _is_number(text)]
    if 2 * len(others) >= len(texts) or all(len(text) == 1 for text in texts):
        return
    held = f"{others[0]!r:.40} among numbers" if others else f"numbers as text, {texts[0]!r:.40}"
    raise DataTypeError(
        f"{name} holds {held} ({len(others)} of {len(texts)} texts are not numbers)",
        argument=name,
        column=column,
        fix="correct the cells, leave them empty if they are missing, or rename the symbols",
    )


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _column(cells: Array, column: str, name: str) -> Floats:
    try:
        return as_floats(cells, "it", name)
    except DataTypeError as error:
        raise DataTypeError(
            f"{name} holds text or dates where numbers are expected",
            argument=name,
            column=column,
            fix="convert the column to numbers, name it with {time} if it holds times, or leave it "
            "out with {channels}",
        ) from error


def _stack(columns: Sequence[Floats]) -> Floats:
    """Join columns ``[steps]`` to ``[steps, I]``, float32 if all of them are."""
    return np.stack(columns, axis=1)


def _from_multiindex(frame: Any, name: str, symbols: bool | Sequence[Hashable] | None) -> Series:
    """Read sktime's ``pd-multiindex``: levels are series and time, columns are channels."""
    names = [str(column) for column in frame.columns]
    flat = frame.reset_index(names=["_series", "_time"])
    flat.columns = ["_series", "_time", *names]
    if flat["_time"].dtype.name.startswith("period"):
        flat["_time"] = flat["_time"].dt.to_timestamp()
    long = read_long(flat, id="_series", time="_time", columns=names, argument=name)
    return regular(series_of(long, name, symbols))


def regular(series: Series) -> Series:
    """Drop times that count the steps by whole numbers one apart, as an index does."""
    if series.times is None:
        return series
    inner = np.ones(series.n_steps, bool)
    inner[series.offsets[:-1]] = False
    if (np.diff(series.times, prepend=0.0)[inner] == 1.0).all():
        return replace(series, times=None)
    return series


def _is_nested(frame: Any) -> bool:
    """Whether the cells of the first row are series rather than numbers."""
    first = frame.iloc[0]
    return any(is_pandas(cell) or isinstance(cell, np.ndarray | list) for cell in first)


def _from_nested(frame: Any, name: str) -> Series:
    """Read sktime's ``nested_univ``: a row is a series, a cell one channel of it."""
    rows, times = [], []
    columns = [str(column) for column in frame.columns]
    for n, cells in enumerate(frame.itertuples(index=False, name=None)):
        read = [as_floats(cell, f"series {n}", name) for cell in cells]
        if len({each.shape for each in read}) > 1 or read[0].ndim != 1:
            shapes = {column: each.shape for column, each in zip(columns, read, strict=True)}
            raise ShapeError(
                f"series {n}: channels differ in length or have several axes: {shapes}",
                argument=name,
                fix="give the cells of a row the same number of steps",
            )
        rows.append(_stack(read))
        times.append(_index_times(cells[0], f"series {n}: "))
    return _indexed(rows, times, columns, name, ids=_ids_of(frame))


def _ids_of(frame: Any) -> tuple[Hashable, ...] | None:
    """Return the row names of a pandas frame; None if they only count the rows."""
    index = frame.index
    plain = type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1
    return None if plain else tuple(index.tolist())


def read_indexed(frames: Sequence[Any], name: str) -> Series:
    """Read sktime's ``df-list``: data frames or series of pandas, whose index holds the times."""
    rows, times = [], []
    columns = _columns_of(frames[0])
    for n, frame in enumerate(frames):
        if not is_pandas(frame):
            raise ShapeError(
                f"series {n} is a {type(frame).__name__}, but others are of pandas", argument=name
            )
        if _columns_of(frame) != columns:
            raise ShapeError(
                f"series {n} has the channels {_columns_of(frame)}, but series 0 has {columns}",
                argument=name,
                fix="give every series the same columns in the same order",
            )
        values = as_floats(frame.to_numpy(), f"series {n}", name)
        rows.append(values.reshape(len(values), -1))
        times.append(_index_times(frame, f"series {n}: "))
    return _indexed(rows, times, columns, name)


def _columns_of(frame: Any) -> list[str]:
    return [str(each) for each in frame.columns] if frame.ndim == 2 else ["x0"]


def _index_times(cell: Any, where: str) -> Floats | None:
    """Return the times in the index of a pandas object; None for other series."""
    if not is_pandas(cell):
        return None
    index = cell.index
    if hasattr(index, "to_timestamp"):  # periods
        index = index.to_timestamp()
    return as_times(index.to_numpy(), where=where)


def _indexed(
    rows: Sequence[Floats],
    times: Sequence[Floats | None],
    columns: Sequence[str],
    name: str,
    ids: tuple[Hashable, ...] | None = None,
) -> Series:
    for n, row in enumerate(rows):
        if not len(row):
            raise DataError(f"series {n} is empty", argument=name, fix="drop it")
    # pandas names columns 0, 1, ... by itself: these are positions, not names.
    named = list(columns) != [str(k) for k in range(len(columns))] and columns != ["x0"]
    fields: dict[str, Any] = {"named": named, "ids": ids}
    if named:
        fields["channels"] = tuple(columns)
    series = Series.of(rows, **fields)
    if any(each is None for each in times):
        return series
    joined = np.concatenate([each for each in times if each is not None])
    check_ascending(joined, series.offsets, ids)
    return regular(replace(series, times=joined))


def _from_wide(frame: Any, name: str) -> Series:
    """Read a table whose rows are series of one channel and whose columns are steps."""
    data = as_frame(frame, name)
    likely = [column for column in data.columns if str(column).lower() in _LIKELY_IDS]
    if likely:
        raise ShapeError(
            f"{name} has the column {likely[0]!r}: is a row a step, or a whole series?",
            argument=name,
            fix="set {id} to the column that names the series, or drop that column",
        )
    if not len(data):
        raise DataError(f"{name} holds no series", argument=name, fix="pass at least one series")
    if not data.columns:
        raise ShapeError(
            f"{name} has 0 feature(s) (shape={data.shape}) while a minimum of 1 is required",
            argument=name,
        )
    columns = [_column(as_array(each), str(each.name), name) for each in data.iter_columns()]
    values = _stack(columns)
    offsets = np.arange(len(values) + 1, dtype=np.int64) * len(columns)
    ids = _ids_of(frame) if is_pandas(frame) else None
    return Series(values.reshape(-1, 1), offsets, ("x0",), ids=ids)
