"""Conversion of raw values to numbers, labels and times.

Every function takes one column and returns its values with a dictionary of problems: index of a row
-> (kind, why). A column without problems is converted as a whole; only bad values are converted one
by one.
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

Problems = dict[int, tuple[str, str]]

MISSING = ("missing", "the value is missing")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORTH_ARROW = 256  # values; for fewer, creating an Arrow array costs more than it saves
_NUMERIC = {int, float, bool}


def numbers(column: Column) -> tuple[Annotated[Floats, "N"], Problems]:
    """Convert values to numbers, NaN where they are not numbers.

    A number is finite and written with digits, sign, point and exponent, as in ``-1.5e-3``. Blanks
    around it are allowed; ``nan``, ``inf``, underscores, commas and digits of other scripts are
    not. Booleans count as 0 and 1.

    >>> values, problems = numbers(["1", " 2.5 ", "", "1_000", "inf", "3,5"])
    >>> values.tolist()
    [1.0, 2.5, nan, nan, nan, nan]
    >>> for row, (kind, why) in problems.items():
    ...     print(row, kind, "-", why)
    2 missing - the value is missing
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
    problems: Problems = {}
    for row in doubtful:
        value, reason = _number(column[row])
        values[row] = value
        if reason is not None:
            problems[row] = reason
    return values, problems


def _at_once(column: Column) -> Annotated[Floats, "N"] | None:
    """Convert a whole column, NaN for missing values; None: it needs a look at each value."""
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    try:
        joined = "".join(column)
    except TypeError:
        return _mixed_at_once(column)
    if "_" in joined or not joined.isascii():  # float() accepts these as digits
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


def _mixed_at_once(column: Sequence[Any]) -> Annotated[Floats, "N"] | None:
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


def _by_arrow(column: Sequence[str]) -> Annotated[Floats, "N"] | None:
    """Convert in a third of the time; None: pyarrow is missing, or not all values are numbers."""
    if not _has_arrow():
        return None
    import pyarrow as pa

    try:
        return pa.array(column, pa.string()).cast(pa.float64()).to_numpy().copy()
    except pa.ArrowInvalid:
        return None


def _number(value: Any) -> tuple[float, tuple[str, str] | None]:
    """Convert one value to a number, or NaN with its problem."""
    if value is None:
        return np.nan, MISSING
    if isinstance(value, str):
        if not value.strip():
            return np.nan, MISSING
        if "_" in value or not value.isascii():
            return np.nan, _not_a_number(value)
    elif not isinstance(value, int | float | np.number):
        return np.nan, _not_a_number(value)
    try:
        number = float(value)
    except ValueError:
        return np.nan, _not_a_number(value)
    except OverflowError:
        number = np.inf
    if np.isfinite(number):
        return number, None
    large = np.isinf(number) and any(each.isdigit() for each in str(value))
    what = "too large" if large else "not a finite number"
    return np.nan, ("not finite", f"value {shown(value)} is {what}")


def _not_a_number(value: Any) -> tuple[str, str]:
    hint = ""
    one = isinstance(value, str) and value.count(",") == 1
    if one and _number(value.replace(",", "."))[1] is None:
        hint = " (write decimals with a point)"
    return "not a number", f"value {shown(value)} is not a number{hint}"


def spells_number(value: Any) -> bool:
    """Whether a value is a number or text that spells one, including ``nan`` and ``inf``.

    >>> [spells_number(each) for each in ("1e3", 7, True, "nan", "n/a", "1_0", None)]
    [True, True, True, True, False, False, False]
    """
    problems = _number(value)[1]
    return problems is None or problems[0] == "not finite"


def labels(
    column: Column, allowed: frozenset[str] | None = None
) -> tuple[list[str | None], Problems]:
    """Convert values to texts, None where they are missing.

    Texts stay as they are. Numbers and booleans of JSON and Arrow become text, so that the same
    data give the same labels in every format.

    >>> labels(["red", "", "blue"], frozenset(["red"]))[1]
    {1: ('missing', 'the value is missing'), 2: ('unseen', "'blue' is none of its categories")}
    >>> labels([3, True, None, 0.5])[0]
    ['3', 'true', None, '0.5']
    """
    if isinstance(column, np.ndarray):
        column = column.tolist()
    problems: Problems = {}
    if set(map(type, column)) <= {str}:
        values: list[str | None] = list(column)
        if "" in column:
            for row, value in enumerate(column):
                if not value:
                    values[row], problems[row] = None, MISSING
    else:
        values = [None] * len(column)
        for row, value in enumerate(column):
            values[row], reason = _label(value)
            if reason is not None:
                problems[row] = reason
    if allowed is not None and not allowed.issuperset(values):
        for row, value in enumerate(values):
            if value is not None and value not in allowed:
                values[row] = None
                problems[row] = ("unseen", f"{shown(value)} is none of its categories")
    return values, dict(sorted(problems.items()))


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


def times(column: Column, *, timestamps: bool) -> tuple[Annotated[Floats, "N"], Problems]:
    """Convert times to numbers; ISO 8601 timestamps become seconds since 1970.

    A timestamp without a time zone is in UTC.

    >>> times(["1970-01-02", "1970-01-01T01:00:00+01:00", "noon"], timestamps=True)
    (array([86400.,     0.,    nan]), {2: ('not a time', "value 'noon' is not an ISO 8601 time")})
    """
    if not timestamps:
        return numbers(column)
    values, problems = np.full(len(column), np.nan), {}
    for row, value in enumerate(column):
        seconds = seconds_of(value)
        if seconds is None:
            if value is None or value == "" or (isinstance(value, str) and not value.strip()):
                problems[row] = MISSING
            else:
                problems[row] = ("not a time", f"value {shown(value)} is not an ISO 8601 time")
            continue
        values[row] = seconds
    return values, problems


def seconds_of(text: Any) -> float | None:
    """Return the seconds since 1970 of an ISO 8601 time (in UTC without a zone), or None.

    >>> seconds_of("1970-01-02"), seconds_of("noon")
    (86400.0, None)
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, AttributeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds()


def shown(value: Any) -> str:
    """Format a value for a message, cut if it is long."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of very many digits
        return "of very many digits"
    return text if len(text) <= 60 else f"{text[:50]}..."
