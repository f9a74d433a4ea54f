"""Many rows at once: what each form of table gives a kernel, as far as its rows are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol, runtime_checkable

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.features import Named, Numbers, Reader, Symbols
from carrousel.online.model.heads import Head
from carrousel.online.model.values import Unseen, absent, index_of
from carrousel.shapes import Floats


@runtime_checkable
class Table(Protocol):
    """Rows in order."""

    def __len__(self) -> int: ...

    def row(self, n: int) -> Any:
        """A row as a step would get it."""
        ...

    def first(self) -> Any:
        """A row to begin with: the first, with values in place of those it lacks."""
        ...

    def categories(self) -> dict[Any, set[str]]:
        """The texts of each named feature."""
        ...

    def fill(self, reader: Reader, start: int, stop: int) -> Annotated[Floats, "N X"]:
        """Numbers of rows from ``start`` on, up to one that a reader does not take as it is."""
        ...


class Rows:
    """Any sequence of rows, read one by one."""

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

    def fill(self, reader: Reader, start: int, stop: int) -> Annotated[Floats, "N X"]:
        return read_each(self, reader, start, stop)


class Matrix:
    """A row for each row of an array of numbers, ``[N, I]``."""

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

    def fill(self, reader: Reader, start: int, stop: int) -> Annotated[Floats, "N X"]:
        if not isinstance(reader, Numbers) or self._values.shape[1] != reader.n_columns:
            return np.empty((0, reader.n_columns))
        return self._values[start:stop].astype(np.float64, copy=False)


class Columns:
    """A column of values for each feature: a mapping, or a data frame."""

    def __init__(self, columns: Mapping[Any, Any], length: int) -> None:
        self._columns, self._length = columns, length

    def __len__(self) -> int:
        return self._length

    def row(self, n: int) -> dict[Any, Any]:
        return {name: values[n] for name, values in self._columns.items()}

    def first(self) -> dict[Any, Any]:
        return {
            name: next((value for value in values if not absent(value)), None)
            for name, values in self._columns.items()
        }

    def categories(self) -> dict[Any, set[str]]:
        return {
            name: {value for value in values if isinstance(value, str)}
            for name, values in self._columns.items()
            if not isinstance(values, np.ndarray)
        }

    def fill(self, reader: Reader, start: int, stop: int) -> Annotated[Floats, "N X"]:
        if not isinstance(reader, Named) or self._columns.keys() != reader.places.keys():
            return read_each(self, reader, start, stop)
        n = min(stop, len(self)) - start
        rows = np.zeros((n, reader.n_columns + 1))  # the last one is of categories that are missing
        for name, place in reader.places.items():
            column = self._columns[name][start : start + n]
            if isinstance(place, int):
                if not isinstance(column, np.ndarray):
                    return read_each(self, reader, start, stop)
                rows[:n, place] = column
                continue
            known = {**place, None: reader.n_columns} if reader.missing else place
            codes = [known.get(value, -1) for value in column]
            n = codes.index(-1) if -1 in codes else n
            rows[np.arange(n), codes[:n]] = 1.0
        return rows[:n, :-1]


class Series:
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

    def fill(self, reader: Reader, start: int, stop: int) -> Annotated[Floats, "N X"]:
        if not isinstance(reader, Symbols):
            return read_each(self, reader, start, stop)
        return codes_of(self._symbols, reader.places, len(reader.alphabet), start, stop)[:, None]


def codes_of(
    symbols: Sequence[Any] | np.ndarray, places: Mapping[Any, int], n: int, start: int, stop: int
) -> Annotated[Floats, "N"]:
    """Numbers of symbols from ``start`` on, up to the first that is not known."""
    values = symbols[start:stop]
    if not places:  # 0 .. n - 1
        array = np.asarray(values)
        if array.dtype.kind in "iu" and array.ndim == 1:
            bad = (array < 0) | (array >= n)
            return array[: int(bad.argmax()) if bad.any() else None].astype(np.float64)
    codes = []
    try:
        for value in values.tolist() if isinstance(values, np.ndarray) else values:
            index = places[value] if places else index_of("x", value, range(n))
            if index is None:
                break
            codes.append(index)
    except (LookupError, TypeError, DataError):  # the caller looks closer
        pass
    return np.array(codes, np.float64)


def read_each(
    table: Table, reader: Reader | Head, start: int, stop: int
) -> Annotated[Floats, "N X"]:
    """Rows from ``start`` on, up to the first that is refused or new."""
    found = []
    try:
        for n in range(start, stop):
            found.append(reader.read(table.row(n)))
    except (Unseen, DataError, ShapeError):
        pass
    width = len(found[0]) if found else 1
    return np.array(found, np.float64).reshape(len(found), width)


def as_table(X: Any, symbols: bool) -> Table:
    """The table that rows were given as."""
    if symbols:
        if isinstance(X, str | Sequence) or (isinstance(X, np.ndarray) and X.ndim == 1):
            return Series(X)
        if np.ndim(X) == 1:  # a column of a frame
            return Series(np.asarray(X))
        raise ShapeError(
            f"X is a {type(X).__name__} of shape {np.shape(X)}, expected a sequence of symbols"
        )
    if hasattr(X, "columns") and not isinstance(X, Mapping):
        names = getattr(X, "column_names", X.columns)  # Arrow's columns are no names
        return _columns({name: X[name] for name in names})
    if isinstance(X, Mapping):
        return _columns(X)
    if isinstance(X, str):
        raise DataError("X is a text; where rows are single symbols, say symbols= or task='next'")
    if isinstance(X, np.ndarray):
        return _of_array(X)
    if not isinstance(X, Sequence):
        X = list(X) if hasattr(X, "__iter__") else X
    if not isinstance(X, Sequence):
        raise ShapeError(f"X is a {type(X).__name__}, expected rows")
    if X and not any(isinstance(row, Mapping) for row in X):
        try:
            values = np.asarray(X)
        except ValueError:  # rows of different lengths: each says so itself
            return Rows(X)
        if values.dtype.kind in "fiub":
            return _of_array(values)
    return Rows(X)


def _of_array(values: np.ndarray) -> Table:
    if values.ndim != 2:
        raise ShapeError(
            f"X has shape {values.shape}, expected (rows, features)"
            + ("; one row is X[None]" if values.ndim == 1 else "")
        )
    return Matrix(values) if values.dtype.kind in "fiub" else Rows(list(values))


def _columns(given: Mapping[Any, Any]) -> Columns:
    columns, lengths = {}, {}
    for name, values in given.items():
        array = _column(values)
        if isinstance(array, np.ndarray) and array.ndim != 1:
            raise ShapeError(f"column {name!r} has shape {array.shape}, expected one value a row")
        if isinstance(array, np.ndarray) and array.dtype.kind in "mM":
            raise DataError(
                f"column {name!r} holds times, expected numbers or texts; leave it out, or give it "
                "as a number, such as seconds since a row that is fixed"
            )
        columns[name], lengths[name] = array, len(array)
    if not columns:
        raise DataError("X has no columns, expected at least one feature")
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise ShapeError(
                f"column {name!r} has {length} rows, but {first!r} has {lengths[first]}"
            )
    return Columns(columns, lengths[first])


def _column(values: Any) -> np.ndarray | list[Any]:
    """Numbers in an array, NaN where there is none; anything else in a list, with None there."""
    if not isinstance(values, list | tuple):
        array = np.asarray(values)
        if array.ndim != 1 or array.dtype.kind in "fiubmM":
            return array
        values = array.tolist()
    if not any(isinstance(value, str) for value in values):
        array = np.array([np.nan if absent(value) else value for value in values])
        if array.dtype.kind in "fiub":
            return array
    return [None if absent(value) else value for value in values]
