"""Single values of rows: numbers, symbols, and plain Python objects in place of NumPy's."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from carrousel.errors import DataError

LARGEST = 1e30
"""Of numbers in rows and targets: what is not standardised must be a number in float32 too."""


class Unseen(Exception):  # noqa: N818 - a signal between modules of this package, never an error
    """A row holds something new that a wider model could take."""


def number_of(what: str, value: Any, missing: bool) -> float:
    """A finite number, or NaN where a value is missing and may be; else DataError.

    >>> number_of("feature 'a'", "warm", missing=False)
    Traceback (most recent call last):
        ...
    carrousel.errors.DataError: feature 'a' is 'warm', expected a number
    """
    if isinstance(value, numbers.Real | Decimal | np.bool_):
        try:
            number = float(value)
        except (OverflowError, ValueError):
            number = math.inf
    elif absent(value):
        number = math.nan
    else:
        raise DataError(f"{what} is {value!r}, expected a number")
    if abs(number) <= LARGEST or (missing and number != number):
        return number
    told = value.item() if isinstance(value, np.generic) else value
    if math.isfinite(number):
        raise DataError(f"{what} is {told!r}, expected a number of at most {LARGEST:g}")
    fix = "None where there is none" if what.startswith("target") else "say missing='mean'"
    or_else = f", or {fix}" if number != number else ""
    raise DataError(f"{what} is {told!r}, expected a finite number{or_else}")


def absent(value: Any) -> bool:
    """Whether there is no value: None, or what does not equal itself, as NaN, NaT and NA.

    >>> [absent(value) for value in (None, math.nan, 0.0, "")]
    [True, True, False, False]
    """
    try:
        return value is None or bool(value != value)
    except TypeError:  # of pandas' NA nothing can be told
        return True
    except ValueError:  # an array of several
        return False


def index_of(what: str, symbol: Any, places: Mapping[Any, Any] | Sequence[Any]) -> int | None:
    """The number of a symbol among known ones; None: it is new; DataError: it can be none.

    >>> index_of("x", "b", {"a": 0, "b": 1}), index_of("x", 7, range(5))
    (1, None)
    """
    try:
        if isinstance(places, Mapping):
            index = places.get(symbol)
        else:
            hash(symbol)  # before the first is known, nothing else asks
            index = int(symbol) if symbol in places else None
        odd = index is None and absent(symbol) and symbol is not None
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{what} is a {type(symbol).__name__}, expected one text, number or other hashable"
        ) from error
    if odd:
        raise DataError(f"{what} is {symbol!r}, expected something that equals itself")
    return index


def plain(value: Any) -> Any:
    """A Python object in place of a NumPy scalar, within tuples too.

    It is found in a dictionary wherever the value itself is: what has no such object stays.

    >>> plain((np.int64(3), np.str_("a"), np.datetime64("2020-01-01")))
    (3, 'a', np.datetime64('2020-01-01'))
    """
    if isinstance(value, np.generic):
        item = value.item()
        return item if hash(item) == hash(value) and item == value else value
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, str) and type(value) is not str:
        return str.__str__(value)  # str() of an enumeration's member is its name
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
