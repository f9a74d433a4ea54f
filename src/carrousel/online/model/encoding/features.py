"""Encoders of rows: numbers, named features with one-hot categories, symbols.

The first row creates an encoder, which never changes. Where a row holds a new feature, category or
symbol, :meth:`Features.extended` returns a larger encoder. A refused row changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Annotated, Any, Protocol, cast, runtime_checkable

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.encoding.values import (
    index_of,
    is_missing,
    listed,
    number_of,
    to_python,
)
from carrousel.shapes import Floats

_FLOAT = np.dtype(np.float64)
_USE_MEAN = "set {missing=mean}"
_GROW = "set {unseen=grow}"


@runtime_checkable
class Features(Protocol):
    """Encoder of rows as inputs of a kernel."""

    n_columns: int
    """Inputs of the network."""
    n_features: int
    """Features of a row."""

    @property
    def scaled(self) -> np.ndarray:
        """Which inputs may be standardised, ``[n_columns]`` bool."""
        ...

    def encode(self, x: Any) -> Annotated[Floats, "columns"] | None:
        """Encode a row; None if :meth:`extended` is needed first.

        Raises:
            DataError, ShapeError: the row cannot be learned.
        """
        ...

    def extended(self, x: Any) -> Features:
        """Return an encoder that includes the new names; known columns keep their indices."""
        ...

    def refusal(self, row: Annotated[Floats, "columns"]) -> DataError:
        """Return the error for an encoded row that the kernel has refused."""
        ...


class VectorFeatures:
    """Rows are sequences of ``n`` numbers.

    >>> VectorFeatures(2, missing=False).encode([1, 2.5]).tolist()
    [1.0, 2.5]
    """

    def __init__(self, n: int, missing: bool) -> None:
        self.n_columns = self.n_features = n
        self._missing = missing
        self._shape = (n,)

    @property
    def scaled(self) -> np.ndarray:
        return np.ones(self.n_columns, bool)

    def encode(self, x: Any) -> Annotated[Floats, "columns"]:
        try:
            row = np.asarray(x)
        except ValueError:  # nested sequences of unequal lengths
            row = np.empty(len(x), object)
            row[:] = x
        if row.dtype is not _FLOAT or row.shape != self._shape:
            return self._converted(x, row)
        return row

    def _converted(self, x: Any, row: np.ndarray) -> Annotated[Floats, "columns"]:
        if isinstance(x, Mapping):
            expected = f"a sequence of {self.n_features} numbers"
            raise DataError(
                f"x is a {type(x).__name__}, expected {expected} like the first row",
                argument="x",
                got=x,
                expected=expected,
            )
        if row.shape != self._shape:
            raise ShapeError(
                f"x has shape {row.shape}, expected {self._shape}, the shape of the first row",
                argument="x",
                got=row.shape,
                expected=str(self._shape),
            )
        if row.dtype.kind in "fiub":
            return row.astype(np.float64)
        return np.array([self._number(i, value) for i, value in enumerate(x)])

    def _number(self, i: int, value: Any) -> float:
        return number_of(value, f"x[{i}]", missing=self._missing, fix=_USE_MEAN, argument=f"x[{i}]")

    def extended(self, x: Any) -> VectorFeatures:
        self.encode(x)
        return self

    def refusal(self, row: Annotated[Floats, "columns"]) -> DataError:
        return _first_error(row, self._number)


class NamedFeatures:
    """Rows are mappings from feature names to numbers or texts; texts are encoded one-hot.

    The first value of a feature decides whether it is a number or a category. Features and
    categories that are new in the same row get columns in the order of their names.

    Args:
        columns: column of each numeric feature, or column of each category of a feature.
        missing: whether a missing feature, None or NaN is replaced by the running mean.
        grow: whether new features and categories are accepted.
    """

    def __init__(
        self, columns: Mapping[Hashable, int | Mapping[str, int]], missing: bool, grow: bool
    ) -> None:
        self.columns = dict(columns)
        self.n_features = len(self.columns)
        self.missing, self._grow = missing, grow
        n_numbers = sum(isinstance(column, int) for column in self.columns.values())
        categories = [c for c in self.columns.values() if not isinstance(c, int)]
        self.n_columns = n_numbers + sum(map(len, categories))
        self._get = self._getter() if n_numbers and not categories else None

    def _getter(self) -> Callable[[Any], tuple[Any, ...]]:
        names = sorted(self.columns, key=lambda name: cast(int, self.columns[name]))
        if len(names) == 1:
            (name,) = names
            return partial(_only, name)  # a lambda could not be pickled
        return itemgetter(*names)

    @property
    def scaled(self) -> np.ndarray:
        marks = np.zeros(self.n_columns, bool)
        marks[[column for column in self.columns.values() if isinstance(column, int)]] = True
        return marks

    def encode(self, x: Any) -> Annotated[Floats, "columns"] | None:
        if self._get is not None:
            try:
                row = np.array(self._get(x))
            except (LookupError, TypeError, ValueError):
                pass
            else:
                if row.ndim == 1 and row.dtype.kind in "fiub" and len(x) == self.n_features:
                    return row if row.dtype is _FLOAT else row.astype(np.float64)
        row, new = self._encoded(x)
        return None if new else row

    def extended(self, x: Any) -> NamedFeatures:
        _, new = self._encoded(x)
        columns = self._copied()
        fresh = [name for name, _ in new if name not in columns]
        columns |= {name: {} if isinstance(x[name], str) else 0 for name in fresh}
        for column, (name, value) in enumerate(sorted(new, key=_by_name), self.n_columns):
            if isinstance(value, str):
                columns[name][to_python(value)] = column
            else:
                columns[name] = column
        return NamedFeatures(columns, self.missing, self._grow)

    @classmethod
    def of(cls, x: Mapping[Hashable, Any], missing: bool, grow: bool) -> NamedFeatures:
        """Create the encoder for a first row."""
        if not x:
            expected = "at least one feature"
            raise DataError(
                f"x is an empty row, expected {expected}", argument="x", got=x, expected=expected
            )
        return cls(cls({}, missing, True).extended(x).columns, missing, grow)

    def with_categories(self, categories: Mapping[Hashable, Iterable[str]]) -> NamedFeatures:
        """Return an encoder that also knows further categories of its features."""
        columns = self._copied()
        column = self.n_columns
        for name in sorted(categories, key=str):
            known = columns.get(name)
            if not isinstance(known, dict):
                continue
            for category in sorted(map(str, categories[name])):
                if category not in known:
                    known[category] = column
                    column += 1
        return NamedFeatures(columns, self.missing, self._grow)

    def _copied(self) -> dict[Hashable, Any]:
        return {n: c if isinstance(c, int) else dict(c) for n, c in self.columns.items()}

    def _encoded(self, x: Any) -> tuple[Annotated[Floats, "columns"], list[tuple[Hashable, Any]]]:
        """Encode a row; also return its new features and categories."""
        if not isinstance(x, Mapping):
            expected = "a mapping from feature names to values"
            raise DataError(
                f"x is a {type(x).__name__}, expected {expected} like the first row",
                argument="x",
                got=x,
                expected=expected,
            )
        row, new = np.zeros(self.n_columns), []
        for name, value in x.items():
            column = self.columns.get(name)
            if column is None:
                if not isinstance(value, str):
                    self._number(name, value)
                new.append((name, value))
            elif isinstance(column, int):
                row[column] = self._number(name, value)
            elif isinstance(value, str):
                if value in column:
                    row[column[value]] = 1.0
                else:
                    new.append((name, value))
            elif not (self.missing and is_missing(value)):
                raise _not_a_text(name, value, next(iter(column)))
        if len(x) - len({name for name, _ in new} - self.columns.keys()) < self.n_features:
            absent = [name for name in self.columns if name not in x]
            if not self.missing:
                raise DataError("the feature is missing", column=_text(absent[0]), fix=_USE_MEAN)
            columns = map(self.columns.get, absent)
            row[[column for column in columns if isinstance(column, int)]] = np.nan
        if new and not self._grow:
            raise self._unseen(*new[0])
        return row, new

    def _number(self, name: Hashable, value: Any) -> float:
        return number_of(
            value, "the value", missing=self.missing, fix=_USE_MEAN, column=_text(name)
        )

    def _unseen(self, name: Hashable, value: Any) -> DataError:
        column = self.columns.get(name)
        if column is None:
            known = listed(list(self.columns))
            return DataError(
                f"the feature is unknown, expected only {known}",
                column=_text(name),
                expected=known,
                fix=f"leave it out, or {_GROW}",
            )
        assert not isinstance(column, int)
        known = f"one of {listed(list(column))}"
        return DataError(
            f"the category {value!r} is new, expected {known}",
            column=_text(name),
            got=value,
            expected=known,
            fix=_GROW,
        )

    def refusal(self, row: Annotated[Floats, "columns"]) -> DataError:
        names: list[Hashable] = [None] * self.n_columns
        for name, column in self.columns.items():
            if isinstance(column, int):
                names[column] = name
        return _first_error(row, lambda i, value: self._number(names[i], value))


class SymbolFeatures:
    """Rows are single symbols, encoded one-hot as their index.

    >>> SymbolFeatures("abc", grow=False).encode("c")
    array([2.])
    """

    def __init__(self, alphabet: Iterable[Hashable] | int, grow: bool) -> None:
        whole = isinstance(alphabet, int)
        self.given = alphabet if whole else tuple(alphabet)
        self.alphabet: Sequence[Hashable] = range(alphabet) if whole else tuple(alphabet)
        self.codes = {} if whole else {symbol: i for i, symbol in enumerate(self.alphabet)}
        self.n_columns = max(1, len(self.alphabet))
        self.n_features = 1
        self._grow = grow

    @property
    def scaled(self) -> np.ndarray:
        return np.zeros(self.n_columns, bool)

    def encode(self, x: Any) -> Annotated[Floats, "columns"] | None:
        index = index_of("x", x, self.codes or self.alphabet)
        if index is None:
            self._check_new(x)
            return None
        return np.array((index,), np.float64)

    def extended(self, x: Any) -> SymbolFeatures:
        if index_of("x", x, self.codes or self.alphabet) is not None:
            return self
        self._check_new(x)
        return SymbolFeatures((*self.alphabet, to_python(x)), self._grow)

    def _check_new(self, x: Any) -> None:
        if not self._grow:
            known = f"a symbol of the alphabet: {listed(self.alphabet)}"
            raise DataError(
                f"x is {x!r}, expected {known}", argument="x", got=x, expected=known, fix=_GROW
            )
        if x is None:
            raise DataError(
                "x is None, expected a symbol",
                argument="x",
                got=x,
                expected="a symbol",
                fix="leave out rows without a symbol",
            )

    def refusal(self, row: Annotated[Floats, "columns"]) -> DataError:
        problem = f"x is symbol number {row[0]:g}, expected at most {self.n_columns - 1}"
        return DataError(problem, argument="x")


def _only(name: Hashable, x: Any) -> tuple[Any]:
    return (x[name],)


def _by_name(item: tuple[Hashable, Any]) -> tuple[str, str, str]:
    name, value = item
    return type(name).__name__, str(name), value if isinstance(value, str) else ""


def _text(name: Hashable) -> str:
    return str(to_python(name))


def _not_a_text(name: Hashable, value: Any, category: str) -> DataError:
    return DataError(
        f"the value is {value!r}, expected a text such as {category!r}",
        column=_text(name),
        got=value,
        expected="a text",
    )


def _first_error(
    row: Annotated[Floats, "columns"], check: Callable[[int, Any], float]
) -> DataError:
    """Return the error that a check raises for the first bad number of an encoded row."""
    try:
        for i, value in enumerate(row.tolist()):
            check(i, value)
    except DataError as error:
        return error
    return DataError(f"the kernel refused the row {row}", argument="x")
