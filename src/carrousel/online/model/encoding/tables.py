"""Tables of rows in all accepted forms: arrays, lists, columns, sequences of symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol, runtime_checkable

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.encoding.features import (
    Features,
    NamedFeatures,
    SymbolFeatures,
    VectorFeatures,
)
from carrousel.online.model.encoding.values import index_of, is_missing
from carrousel.shapes import Floats

_SYMBOLS = "set {symbols} or {task=next} where rows are single symbols"


@runtime_checkable
class InputTable(Protocol):
    """Rows in order."""

    def __len__(self) -> int: ...

    def row(self, n: int) -> Any:
        """Return a row in the form that ``step`` accepts."""
        ...

    def first(self) -> Any:
        """Return the first row, its missing values replaced by the first ones that are present."""
        ...

    def categories(self) -> dict[Any, set[str]]:
        """Return the texts of each named feature."""
        ...

    def encode(self, features: Features, start: int, stop: int) -> Annotated[Floats, "N columns"]:
        """Encode rows from ``start`` up to ``stop`` or the first that is new or bad."""
        ...


class RowList:
    """A sequence of rows of any kind, encoded one by one."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, n: int) -> Any:
        return self._rows[n]

    def first(self) -> Any:
        return self.row(0)

    def categories(self) -> dict[Any, set[str]]:
        found: dict[Any, set[str]] = {}
        for row in self._rows:
            for name, value in row.items() if isinstance(row, Mapping) else ():
                if isinstance(value, str):
                    found.setdefault(name, set()).add(value)
        return found

    def encode(self, features: Features, start: int, stop: int) -> Annotated[Floats, "N columns"]:
        return _encode_each(self, features, start, stop)


class NumberMatrix:
    """An array of numbers ``[N, I]``."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def row(self, n: int) -> Any:
        return self._values[n]

    def first(self) -> Any:
        return self.row(0)

    def categories(self) -> dict[Any, set[str]]:
        return {}

    def encode(self, features: Features, start: int, stop: int) -> Annotated[Floats, "N columns"]:
        vectors = isinstance(features, VectorFeatures)
        if not vectors or self._values.shape[1] != features.n_columns:
            return np.empty((0, features.n_columns))
        return self._values[start:stop].astype(np.float64, copy=False)


class ColumnTable:
    """A column of values for each feature, from a mapping or a data frame."""

    def __init__(self, columns: Mapping[Any, Any], length: int) -> None:
        self._columns, self._length = columns, length

    def __len__(self) -> int:
        return self._length

    def row(self, n: int) -> dict[Any, Any]:
        return {name: values[n] for name, values in self._columns.items()}

    def first(self) -> dict[Any, Any]:
        return {
            name: next((value for value in values if not is_missing(value)), None)
            for name, values in self._columns.items()
        }

    def categories(self) -> dict[Any, set[str]]:
        return {
            name: {value for value in values if isinstance(value, str)}
            for name, values in self._columns.items()
            if not isinstance(values, np.ndarray)
        }

    def encode(self, features: Features, start: int, stop: int) -> Annotated[Floats, "N columns"]:
        named = isinstance(features, NamedFeatures)
        if not named or self._columns.keys() != features.columns.keys():
            return _encode_each(self, features, start, stop)
        n = min(stop, len(self)) - start
        rows = np.zeros((n, features.n_columns + 1))  # the last column: missing categories
        for name, column in features.columns.items():
            values = self._columns[name][start : start + n]
            if isinstance(column, int):
                if not isinstance(values, np.ndarray):
                    return _encode_each(self, features, start, stop)
                rows[:n, column] = values
                continue
            known = {**column, None: features.n_columns} if features.missing else column
            codes = [known.get(value, -1) for value in values]
            n = codes.index(-1) if -1 in codes else n
            rows[np.arange(n), codes[:n]] = 1.0
        return rows[:n, :-1]


class SymbolSequence:
    """A sequence of single symbols."""

    def __init__(self, symbols: Sequence[Any] | np.ndarray) -> None:
        self._symbols = symbols

    def __len__(self) -> int:
        return len(self._symbols)

    def row(self, n: int) -> Any:
        return self._symbols[n]

    def first(self) -> Any:
        return self.row(0)

    def categories(self) -> dict[Any, set[str]]:
        return {}

    def encode(self, features: Features, start: int, stop: int) -> Annotated[Floats, "N columns"]:
        if not isinstance(features, SymbolFeatures):
            return _encode_each(self, features, start, stop)
        n = len(features.alphabet)
        return _codes_of(self._symbols[start:stop], features.codes, n)[:, None]


def _codes_of(
    symbols: Sequence[Any] | np.ndarray, known: Mapping[Any, int], n: int
) -> Annotated[Floats, "N"]:
    """Return the codes of symbols up to the first unknown one; no ``known`` ones: 0 .. n - 1."""
    if not known:
        array = np.asarray(symbols)
        if array.dtype.kind in "iu" and array.ndim == 1:
            bad = (array < 0) | (array >= n)
            return array[: int(bad.argmax()) if bad.any() else None].astype(np.float64)
    codes = []
    try:
        for symbol in symbols.tolist() if isinstance(symbols, np.ndarray) else symbols:
            index = known[symbol] if known else index_of("x", symbol, range(n))
            if index is None:
                break
            codes.append(index)
    except (LookupError, TypeError, DataError):
        pass  # the caller encodes this row again, and raises the error with its place
    return np.array(codes, np.float64)


def _encode_each(
    table: InputTable, features: Features, start: int, stop: int
) -> Annotated[Floats, "N columns"]:
    """Encode rows one by one, up to the first that is new or bad."""
    found = []
    try:
        for n in range(start, stop):
            row = features.encode(table.row(n))
            if row is None:
                break
            found.append(row)
    except (DataError, ShapeError):
        pass  # the caller encodes this row again, and raises the error with its place
    width = len(found[0]) if found else 1
    return np.array(found, np.float64).reshape(len(found), width)


def as_table(X: Any, symbols: bool) -> InputTable:
    """Wrap rows as a table.

    Args:
        X: rows in any form.
        symbols: whether rows are single symbols.

    Raises:
        DataError, ShapeError: ``X`` is not a table of rows.
    """
    if symbols:
        if isinstance(X, str | Sequence) or (isinstance(X, np.ndarray) and X.ndim == 1):
            return SymbolSequence(X)
        if np.ndim(X) == 1:  # a data frame's column
            return SymbolSequence(np.asarray(X))
        shape = f"a {type(X).__name__} of shape {np.shape(X)}"
        raise _not_rows(shape, X, "a sequence of symbols")
    if isinstance(X, Mapping) or is_frame(X):
        columns = named_columns(X, "X")
        return ColumnTable(columns, len(next(iter(columns.values()))))
    if isinstance(X, str):
        raise DataError("X is a text, expected rows", argument="X", got=X, fix=_SYMBOLS)
    if isinstance(X, np.ndarray):
        return _of_array(X)
    if not isinstance(X, Sequence):
        X = list(X) if hasattr(X, "__iter__") else X
    if not isinstance(X, Sequence):
        raise _not_rows(f"a {type(X).__name__}", X, "rows")
    if X and not any(isinstance(row, Mapping) for row in X):
        try:
            values = np.asarray(X)
        except ValueError:  # rows of different lengths: encoding finds the bad one
            return RowList(X)
        if values.dtype.kind in "fiub":
            return _of_array(values)
    return RowList(X)


def _not_rows(what: str, got: Any, expected: str) -> ShapeError:
    problem = f"X is {what}, expected {expected}"
    return ShapeError(problem, argument="X", got=got, expected=expected)


def _of_array(values: np.ndarray) -> InputTable:
    if values.ndim != 2:
        raise ShapeError(
            f"X has shape {values.shape}, expected (rows, features)",
            argument="X",
            got=values.shape,
            expected="(rows, features)",
            fix="give one row as X[None]" if values.ndim == 1 else None,
        )
    return NumberMatrix(values) if values.dtype.kind in "fiub" else RowList(list(values))


def is_frame(given: Any) -> bool:
    """Return whether an object is a data frame (pandas, polars, Arrow)."""
    return hasattr(given, "columns") and not isinstance(given, Mapping)


def named_columns(given: Any, argument: str) -> dict[Any, np.ndarray | list[Any]]:
    """Return the columns of a mapping or a data frame, equally long.

    Args:
        given: name -> values, or a data frame.
        argument: its name, for messages.

    Returns:
        Numbers as arrays, NaN where missing; other columns as lists, None where missing.
    """
    if is_frame(given):
        names = getattr(given, "column_names", given.columns)  # Arrow's columns are not names
        given = {name: given[name] for name in names}
    columns: dict[Any, Any] = {}
    for name, values in given.items():
        array = _column(values)
        if isinstance(array, np.ndarray) and array.ndim != 1:
            raise ShapeError(
                f"the column has shape {array.shape}, expected one value for each row",
                column=str(name),
                got=array.shape,
            )
        if isinstance(array, np.ndarray) and array.dtype.kind in "mM":
            raise DataError(
                "the column holds times, expected numbers or texts",
                column=str(name),
                fix="leave it out, or give it as numbers, such as seconds since a fixed date",
            )
        columns[name] = array
    if not columns:
        what = "at least one feature" if argument == "X" else "at least one target"
        raise DataError(f"{argument} has no columns, expected {what}", argument=argument)
    first, *others = columns
    for name in others:
        if len(columns[name]) != len(columns[first]):
            raise ShapeError(
                f"the column has {len(columns[name])} rows, expected {len(columns[first])} like "
                f"column {first!r}",
                column=str(name),
                got=len(columns[name]),
                expected=str(len(columns[first])),
            )
    return columns


def _column(values: Any) -> np.ndarray | list[Any]:
    """Return numbers as an array with NaN for missing ones, anything else as a list with None."""
    if not isinstance(values, list | tuple):
        array = np.asarray(values)
        if array.ndim != 1 or array.dtype.kind in "fiubmM":
            return array
        values = array.tolist()
    if not any(isinstance(value, str) for value in values):
        array = np.array([np.nan if is_missing(value) else value for value in values])
        if array.dtype.kind in "fiub":
            return array
    return [None if is_missing(value) else value for value in values]
