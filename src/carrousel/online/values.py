"""Single values of rows: numbers, symbols, and plain Python objects in place of NumPy's."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from carrousel.shapes import DataError

LARGEST = 1e150
"""Of numbers in rows and targets: the squares of larger ones are not numbers."""


class Unseen(Exception):  # noqa: N818 - a signal between modules of this package, never an error
    """A row holds something new that a wider model could take."""


def number_of(what: str, value: Any, missing: bool) -> float:
    """A finite number, or NaN where a value is missing and may be; else DataError.

    >>> number_of("feature 'a'", "warm", missing=False)
    Traceback (most recent call last):
        ...
    carrousel.shapes.DataError: feature 'a' is 'warm', expected a number
    """
    if value is None:
        number = math.nan
    elif isinstance(value, numbers.Real | Decimal | np.bool_):
        try:
            number = float(value)
        except (OverflowError, ValueError):
            number = math.inf
    else:
        raise DataError(f"{what} is {value!r}, expected a number")
    if abs(number) <= LARGEST or (missing and number != number):
        return number
    if math.isfinite(number):
        raise DataError(f"{what} is {plain(value)!r}, expected a number of at most {LARGEST:g}")
    fix = ", or say missing='mean'" if number != number and not what.startswith("target") else ""
    raise DataError(f"{what} is {plain(value)!r}, expected a finite number{fix}")


def index_of(what: str, symbol: Any, places: Mapping[Any, Any] | Sequence[Any]) -> int | None:
    """The number of a symbol among known ones; None: it is new; DataError: it can be none.

    >>> index_of("x", "b", {"a": 0, "b": 1}), index_of("x", 7, range(5))
    (1, None)
    """
    try:
        if isinstance(places, Mapping):
            index = places.get(symbol)
        else:
            index = int(symbol) if symbol in places else None
        odd = index is None and bool(symbol != symbol)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{what} is a {type(symbol).__name__}, expected one text, number or other hashable"
        ) from error
    if odd:
        raise DataError(f"{what} is {symbol!r}, expected something that equals itself")
    return index


def plain(value: Any) -> Any:
    """A Python object in place of a NumPy scalar, within tuples too.

    >>> plain((np.int64(3), np.str_("a")))
    (3, 'a')
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return str(value) if type(value) is not str and isinstance(value, str) else value
