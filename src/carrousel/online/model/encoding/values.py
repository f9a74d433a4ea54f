"""Checks and conversions of single values: numbers, symbols, NumPy scalars."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from carrousel.errors import DataError

LARGEST = 1e30
"""Largest magnitude of inputs and targets; float32 must hold them where they are not scaled."""


def number_of(
    value: Any, what: str, *, missing: bool = False, fix: str | None = None, **fields: Any
) -> float:
    """Return a value as a finite float.

    Args:
        value: any real number.
        what: the subject of the error message.
        missing: whether a missing value is allowed, which is returned as NaN.
        fix: remedy to propose where the value is missing and must not be.
        **fields: further fields of the error, such as ``column``.

    Raises:
        DataError: the value is not a number, is not finite, or exceeds :data:`LARGEST`.

    >>> number_of("warm", "the value", column="heat")
    Traceback (most recent call last):
        ...
    carrousel.errors.DataError: column 'heat': the value is 'warm', expected a number
    """
    if isinstance(value, numbers.Real | Decimal | np.bool_):
        try:
            number = float(value)
        except (OverflowError, ValueError):
            number = math.inf
    elif is_missing(value):
        number = math.nan
    else:
        raise _unexpected(what, value, "a number", fields)
    if abs(number) <= LARGEST or (missing and number != number):
        return number
    shown = value.item() if isinstance(value, np.generic) else value
    if math.isfinite(number):
        raise _unexpected(what, shown, f"a number of at most {LARGEST:g}", fields)
    if number != number:
        fields["fix"] = fix
    raise _unexpected(what, shown, "a finite number", fields)


def _unexpected(what: str, got: Any, expected: str, fields: Mapping[str, Any]) -> DataError:
    return DataError(
        f"{what} is {got!r}, expected {expected}", got=got, expected=expected, **fields
    )


def is_missing(value: Any) -> bool:
    """Return whether a value is None or does not equal itself, like NaN, NaT and NA.

    >>> [is_missing(value) for value in (None, math.nan, 0.0, "")]
    [True, True, False, False]
    """
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA has no truth value
        return True
    except ValueError:  # an array with several elements
        return False


def index_of(
    argument: Literal["x", "y"], symbol: Any, codes: Mapping[Any, Any] | Sequence[Any]
) -> int | None:
    """Return the code of a symbol or class, or None if it is new.

    Args:
        argument: the argument that holds the symbol, for messages.
        symbol: the symbol or class.
        codes: the code of each known symbol, or a range if symbols are their own codes.

    Raises:
        DataError: the value is not hashable, or does not equal itself.

    >>> index_of("x", "b", {"a": 0, "b": 1}), index_of("x", 7, range(5))
    (1, None)
    """
    what = "x" if argument == "x" else "target y"
    try:
        if isinstance(codes, Mapping):
            index = codes.get(symbol)
        else:
            hash(symbol)  # an empty range would accept anything
            index = int(symbol) if symbol in codes else None
        unequal = index is None and is_missing(symbol) and symbol is not None
    except (TypeError, ValueError) as error:
        expected = "one text, number or other hashable"
        raise DataError(
            f"{what} is a {type(symbol).__name__}, expected {expected}",
            argument=argument,
            got=symbol,
            expected=expected,
        ) from error
    if unequal:
        expected = "a value that equals itself"
        raise _unexpected(what, symbol, expected, {"argument": argument})
    return index


def to_python(value: Any) -> Any:
    """Convert NumPy scalars and members of enumerations, also in tuples, to plain Python objects.

    The result is equal to the value and has the same hash. Values that have no such equivalent are
    returned unchanged.

    >>> to_python((np.int64(3), np.str_("a"), np.datetime64("2020-01-01")))
    (3, 'a', np.datetime64('2020-01-01'))
    """
    if isinstance(value, np.generic):
        item = value.item()
        return item if hash(item) == hash(value) and item == value else value
    if isinstance(value, tuple):
        return tuple(map(to_python, value))
    if isinstance(value, str) and type(value) is not str:
        return str.__str__(value)  # str() of an enumeration's member is its name
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def listed(names: Sequence[Any], most: int = 8) -> str:
    """Return the first names of a list as text for messages.

    >>> listed("abc"), listed("abc", most=2)
    ("'a', 'b', 'c'", "'a', 'b' and 1 more")
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
