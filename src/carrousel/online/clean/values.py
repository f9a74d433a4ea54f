"""Raw values as numbers, labels and times, and in words why some of them are none.

Every function takes one column and returns its values with a dictionary of what is wrong: index of
a row -> (kind, why). A column in which nothing is wrong is converted as a whole; only values that
turn out wrong are looked at one by one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

import numpy as np

from carrousel.online.sources.types import Column
from carrousel.shapes import Floats

Wrong = dict[int, tuple[str, str]]

MISSING = ("missing", "there is no value")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORTH_ARROW = 256  # values; below, making an Arrow array costs more than it saves
_NUMERIC = {int, float, bool}


def numbers(column: Column) -> tuple[Annotated[Floats, "rows"], Wrong]:
    """Values as numbers, NaN where they are none.

    A number is finite, written with digits, sign, point and exponent as in ``-1.5e-3``, blanks
    around it allowed; not ``nan`` or ``inf``, no underscores, no digits of other scripts, no comma.
    Booleans count as 0 and 1.

    >>> values, wrong = numbers(["1", " 2.5 ", "", "1_000", "inf", "3,5"])
    >>> values.tolist()
    [1.0, 2.5, nan, nan, nan, nan]
    >>> for row, (kind, why) in wrong.items():
    ...     print(row, kind, "-", why)
    2 missing - there is no value
    3 not a number - value '1_000' is not a number
    4 not finite - value 'inf' is not a finite number
    5 not a number - value '3,5' is not a number (write decimals with a point)
    """
    values = _at_once(column)
    if values is None:
        values = np.full(len(column), np.nan)
        doubtful = range(len(column))
    else:
        finite = np.isfinite(values)
        if finite.all():
            return values, {}
        doubtful = np.flatnonzero(~finite).tolist()
    wrong: Wrong = {}
    for row in doubtful:
        value, reason = _number(column[row])
        values[row] = value
        if reason is not None:
            wrong[row] = reason
    return values, wrong


def _at_once(column: Column) -> Annotated[Floats, "rows"] | None:
    """All values if they are numbers, NaN for missing ones; None: look at each."""
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    try:
        joined = "".join(column)
    except TypeError:
        return _mixed_at_once(column)
    if "_" in joined or not joined.isascii():  # float() takes these for digits
        return None
    if len(column) >= _WORTH_ARROW:
        values = _by_arrow(column)
        if values is not None:
            return values
    try:
        return np.array(column, dtype=np.float64)
    except ValueError:
        pass
    try:
        return np.array([each.strip() or "nan" for each in column], dtype=np.float64)
    except ValueError:
        return None


def _mixed_at_once(column: Sequence[Any]) -> Annotated[Floats, "rows"] | None:
    kinds = set(map(type, column))
    if kinds <= {str, type(None)}:
        return _at_once(["" if each is None else each for each in column])
    if not kinds <= {*_NUMERIC, type(None)}:
        return None
    try:
        return np.array(column, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        return None


@cache
def _has_arrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def _by_arrow(column: Sequence[str]) -> Annotated[Floats, "rows"] | None:
    """The same numbers, in a third of the time; None: not installed, or not all are numbers."""
    if not _has_arrow():
        return None
    import pyarrow as pa

    try:
        return pa.array(column, pa.string()).cast(pa.float64()).to_numpy().copy()
    except pa.ArrowInvalid:
        return None


def _number(value: Any) -> tuple[float, tuple[str, str] | None]:
    """One value as a number, or NaN and what is wrong with it."""
    if value is None:
        return np.nan, MISSING
    if isinstance(value, str):
        if not value.strip():
            return np.nan, MISSING
        if "_" in value or not value.isascii():
            return np.nan, _no_number(value)
    elif not isinstance(value, int | float | np.number):
        return np.nan, _no_number(value)
    try:
        number = float(value)
    except ValueError:
        return np.nan, _no_number(value)
    except OverflowError:
        number = np.inf
    if np.isfinite(number):
        return number, None
    large = np.isinf(number) and any(each.isdigit() for each in str(value))
    what = "too large" if large else "not a finite number"
    return np.nan, ("not finite", f"value {shown(value)} is {what}")


def _no_number(value: Any) -> tuple[str, str]:
    comma = isinstance(value, str) and value.replace(",", ".", 1).strip() != value.strip()
    hint = ""
    if comma and _number(value.replace(",", ".", 1))[1] is None:
        hint = " (write decimals with a point)"
    return "not a number", f"value {shown(value)} is not a number{hint}"


def spells_number(value: Any) -> bool:
    """Whether a value is a number or the text of one, ``nan`` and ``inf`` included.

    >>> [spells_number(each) for each in ("1e3", 7, True, "nan", "n/a", "1_0", None)]
    [True, True, True, True, False, False, False]
    """
    wrong = _number(value)[1]
    return wrong is None or wrong[0] == "not finite"


def labels(column: Column, allowed: frozenset[str] | None = None) -> tuple[list[str | None], Wrong]:
    """Values as texts, None where there is none.

    Texts stay as they are; whole numbers and booleans of JSON and Arrow are written out, so that
    the same data mean the same in every format.

    >>> labels(["red", "", "blue"], frozenset(["red"]))[1]
    {1: ('missing', 'there is no value'), 2: ('unseen', "'blue' is none of its categories")}
    >>> labels([3, True, None, 0.5])[0]
    ['3', 'true', None, '0.5']
    """
    if isinstance(column, np.ndarray):
        column = column.tolist()
    wrong: Wrong = {}
    if set(map(type, column)) <= {str}:
        values: list[str | None] = list(column)
        if "" in column:
            for row, value in enumerate(column):
                if not value:
                    values[row], wrong[row] = None, MISSING
    else:
        values = [None] * len(column)
        for row, value in enumerate(column):
            values[row], reason = _label(value)
            if reason is not None:
                wrong[row] = reason
    if allowed is not None and not allowed.issuperset(values):
        for row, value in enumerate(values):
            if value is not None and value not in allowed:
                values[row] = None
                wrong[row] = ("unseen", f"{shown(value)} is none of its categories")
    return values, dict(sorted(wrong.items()))


def _label(value: Any) -> tuple[str | None, tuple[str, str] | None]:
    if value is None or value == "" or value != value:  # NaN equals nothing
        return None, MISSING
    if isinstance(value, str):
        return value, None
    if isinstance(value, bool):
        return str(value).lower(), None
    if isinstance(value, int | float):
        return str(value), None
    return None, ("not a label", f"value {shown(value)} is neither text nor a number")


def times(column: Column, *, timestamps: bool) -> tuple[Annotated[Floats, "rows"], Wrong]:
    """Times as numbers: as they are, or ISO-8601 timestamps as seconds since 1970.

    A timestamp without a zone counts as UTC.

    >>> times(["1970-01-02", "1970-01-01T01:00:00+01:00", "noon"], timestamps=True)
    (array([86400.,     0.,    nan]), {2: ('not a time', "value 'noon' is no ISO-8601 time")})
    """
    if not timestamps:
        return numbers(column)
    values, wrong = np.full(len(column), np.nan), {}
    for row, value in enumerate(column):
        try:
            moment = datetime.fromisoformat(value.strip())
        except (ValueError, AttributeError):
            if value is None or value == "" or (isinstance(value, str) and not value.strip()):
                wrong[row] = MISSING
            else:
                wrong[row] = ("not a time", f"value {shown(value)} is no ISO-8601 time")
            continue
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        values[row] = (moment - _EPOCH).total_seconds()
    return values, wrong


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of very many digits
        return "of very many digits"
    return text if len(text) <= 60 else f"{text[:50]}..."
