"""Rows of a stream as vectors: what is a number, what a category, and what has never been seen.

A reader is made by the first row and read by :meth:`read`; it never changes. Where a row holds
something new that is to be learned too, :meth:`wider` makes a reader that knows it: whatever is
refused on the way, nothing has been changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Annotated, Any, Protocol, cast, runtime_checkable

import numpy as np

from carrousel.errors import DataError, ShapeError
from carrousel.online.model.values import Unseen, absent, index_of, number_of, plain
from carrousel.shapes import Floats

_FLOAT = np.dtype(np.float64)


@runtime_checkable
class Reader(Protocol):
    """Turns rows into what a kernel takes."""

    n_columns: int
    """Inputs of the network."""
    n_features: int
    """Features of a row, as its owner counts them."""

    @property
    def scaled(self) -> np.ndarray:
        """Which inputs may be standardised, ``[n_columns]``."""
        ...

    def read(self, x: Any) -> Annotated[Floats, "X"]:
        """A row's numbers; raises Unseen where :meth:`wider` would help, or DataError."""
        ...

    def wider(self, x: Any) -> Reader:
        """A reader that knows what is new in a row; columns known before keep their places."""
        ...

    def complaint(self, row: Annotated[Floats, "X"]) -> str:
        """What is wrong with numbers that a kernel has refused."""
        ...


class Numbers:
    """Rows are sequences of ``n`` numbers.

    >>> Numbers(2, missing=False).read([1, 2.5]).tolist()
    [1.0, 2.5]
    """

    def __init__(self, n: int, missing: bool) -> None:
        self.n_columns = self.n_features = n
        self._missing = missing
        self._shape = (n,)

    @property
    def scaled(self) -> np.ndarray:
        return np.ones(self.n_columns, bool)

    def read(self, x: Any) -> Annotated[Floats, "X"]:
        try:
            row = np.asarray(x)
        except ValueError:  # rows within a row
            row = np.empty(len(x), object)
            row[:] = x
        if row.dtype is not _FLOAT or row.shape != self._shape:
            return self._converted(x, row)
        return row

    def _converted(self, x: Any, row: np.ndarray) -> Annotated[Floats, "X"]:
        if isinstance(x, Mapping):
            raise DataError(
                f"x is a {type(x).__name__}, but the first row was a sequence of numbers; expected "
                f"{self.n_features} numbers"
            )
        if row.shape != self._shape:
            raise ShapeError(
                f"x has shape {row.shape}, expected ({self.n_features},): as many numbers as the "
                "first row had"
            )
        if row.dtype.kind in "fiub":
            return row.astype(np.float64)
        return np.array([number_of(f"x[{i}]", v, self._missing) for i, v in enumerate(x)])

    def wider(self, x: Any) -> Numbers:
        self.read(x)
        return self

    def complaint(self, row: Annotated[Floats, "X"]) -> str:
        return _not_finite(row, [f"x[{i}]" for i in range(len(row))], self._missing)


class Named:
    """Rows are mappings from the names of features to numbers or, one-hot, to texts.

    A feature is a number or a category by what it is at first. Features and categories that come
    together take columns in the order of their names, whatever their order in the row.

    Args:
        places: for each feature, in order of first sight, its column or those of its categories.
        missing: whether an absent feature, None or NaN stands for the mean.
        grow: whether :meth:`wider` may help.
    """

    def __init__(
        self, places: Mapping[Hashable, int | Mapping[str, int]], missing: bool, grow: bool
    ) -> None:
        self.places = dict(places)
        self.n_features = len(self.places)
        self.missing, self._grow = missing, grow
        columns = [p for p in self.places.values() if isinstance(p, int)]
        self.n_columns = len(columns) + sum(
            len(p) for p in self.places.values() if not isinstance(p, int)
        )
        numeric = bool(columns) and len(columns) == self.n_features
        self._get = self._getter() if numeric else None

    def _getter(self) -> Callable[[Any], tuple[Any, ...]]:
        names = sorted(self.places, key=lambda name: cast(int, self.places[name]))
        if len(names) == 1:
            (name,) = names
            return partial(_only, name)  # no lambda: models are pickled
        return itemgetter(*names)

    @property
    def scaled(self) -> np.ndarray:
        marks = np.zeros(self.n_columns, bool)
        marks[[p for p in self.places.values() if isinstance(p, int)]] = True
        return marks

    def read(self, x: Any) -> Annotated[Floats, "X"]:
        if self._get is not None:
            try:
                row = np.array(self._get(x))
            except (LookupError, TypeError, ValueError):
                pass
            else:
                if row.ndim == 1 and row.dtype.kind in "fiub" and len(x) == self.n_features:
                    return row if row.dtype is _FLOAT else row.astype(np.float64)
        row, new = self._encoded(x)
        if new:
            raise Unseen
        return row

    def wider(self, x: Any) -> Named:
        _, new = self._encoded(x)
        places = self._copied()
        fresh = [name for name, _ in new if name not in places]
        places |= {name: {} if isinstance(x[name], str) else 0 for name in fresh}
        column = self.n_columns
        for name, value in sorted(new, key=_by_name):
            if isinstance(value, str):
                places[name][plain(value)] = column
            else:
                places[name] = column
            column += 1
        return Named(places, self.missing, self._grow)

    @classmethod
    def of(cls, x: Mapping[Hashable, Any], missing: bool, grow: bool) -> Named:
        """The reader that a first row makes."""
        if not x:
            raise DataError("x is an empty row, expected at least one feature")
        return cls(cls({}, missing, True).wider(x).places, missing, grow)

    def declared(self, categories: Mapping[Hashable, Iterable[str]]) -> Named:
        """A reader that also knows categories which are still to come."""
        places = self._copied()
        column = self.n_columns
        for name in sorted(categories, key=str):
            known = places.get(name)
            if not isinstance(known, dict):
                continue
            for category in sorted(map(str, categories[name])):
                if category not in known:
                    known[category] = column
                    column += 1
        return Named(places, self.missing, self._grow)

    def _copied(self) -> dict[Hashable, Any]:
        return {n: p if isinstance(p, int) else dict(p) for n, p in self.places.items()}

    def _encoded(self, x: Any) -> tuple[Annotated[Floats, "X"], list[tuple[Hashable, Any]]]:
        """A row's numbers, and the features and categories that are new in it."""
        if not isinstance(x, Mapping):
            raise DataError(
                f"x is a {type(x).__name__}, expected a mapping from the names of features to "
                "values, as the first row was"
            )
        row, new = np.zeros(self.n_columns), []
        for name, value in x.items():
            place = self.places.get(name)
            if place is None:
                if not isinstance(value, str):
                    number_of(f"feature {name!r}", value, self.missing)
                new.append((name, value))
            elif isinstance(place, int):
                row[place] = number_of(f"feature {name!r}", value, self.missing)
            elif isinstance(value, str):
                if value in place:
                    row[place[value]] = 1.0
                else:
                    new.append((name, value))
            elif not (self.missing and absent(value)):
                raise DataError(
                    f"feature {name!r} is {value!r}, expected a text: it was {next(iter(place))!r} "
                    "at first"
                )
        if len(x) - len({name for name, _ in new} - self.places.keys()) < self.n_features:
            lacks = [name for name in self.places if name not in x]
            if not self.missing:
                raise DataError(
                    f"feature {lacks[0]!r} is missing; expected all of {_some(self.places)}, or "
                    "say missing='mean'"
                )
            row[[p for p in map(self.places.get, lacks) if isinstance(p, int)]] = np.nan
        if new and not self._grow:
            self._refuse(*new[0])
        return row, new

    def _refuse(self, name: Hashable, value: Any) -> None:
        place = self.places.get(name)
        if place is None:
            raise DataError(
                f"feature {name!r} is unknown; expected {_some(self.places)}; leave it out, or say "
                "unseen='grow'"
            )
        assert not isinstance(place, int)
        raise DataError(
            f"feature {name!r} is {value!r}, a category never seen; expected one of "
            f"{_some(place)}, or say unseen='grow'"
        )

    def complaint(self, row: Annotated[Floats, "X"]) -> str:
        names = [""] * self.n_columns
        for name, place in self.places.items():
            if isinstance(place, int):
                names[place] = f"feature {name!r}"
        return _not_finite(row, names, self.missing)


class Symbols:
    """Rows are single symbols, inputs that are one-hot.

    >>> Symbols("abc", grow=False).read("c")
    array([2.])
    """

    def __init__(self, alphabet: Iterable[Hashable] | int, grow: bool) -> None:
        whole = isinstance(alphabet, int)
        self.given = alphabet if whole else tuple(alphabet)
        self.alphabet: Sequence[Hashable] = range(alphabet) if whole else tuple(alphabet)
        self.places = {} if whole else {symbol: i for i, symbol in enumerate(self.alphabet)}
        self.n_columns = max(1, len(self.alphabet))
        self.n_features = 1
        self._grow = grow

    @property
    def scaled(self) -> np.ndarray:
        return np.zeros(self.n_columns, bool)

    def read(self, x: Any) -> Annotated[Floats, "X"]:
        index = index_of("x", x, self.places or self.alphabet)
        if index is None:
            self._check_new(x)
            raise Unseen
        return np.array((index,), np.float64)

    def wider(self, x: Any) -> Symbols:
        if index_of("x", x, self.places or self.alphabet) is not None:
            return self
        self._check_new(x)
        return Symbols((*self.alphabet, plain(x)), self._grow)

    def _check_new(self, x: Any) -> None:
        if not self._grow:
            raise DataError(
                f"x is {x!r}, a symbol off the alphabet; expected one of {_some(self.alphabet)}, "
                "or say unseen='grow'"
            )
        if x is None:
            raise DataError("x is None, expected a symbol; leave rows out that have none")

    def complaint(self, row: Annotated[Floats, "X"]) -> str:
        return f"x is symbol number {row[0]:g} of {self.n_columns}"


def _only(name: Hashable, x: Any) -> tuple[Any]:
    return (x[name],)


def _by_name(item: tuple[Hashable, Any]) -> tuple[str, str, str]:
    name, value = item
    return type(name).__name__, str(name), value if isinstance(value, str) else ""


def _not_finite(row: Annotated[Floats, "X"], names: Sequence[str], missing: bool) -> str:
    try:
        for name, value in zip(names, row.tolist(), strict=True):
            number_of(name, value, missing)
    except DataError as error:
        return str(error)
    return f"x is {row}, which the kernel refuses"


def _some(names: Iterable[Hashable]) -> str:
    names = list(names)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(map(repr, names[:8])) + more
