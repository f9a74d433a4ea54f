"""Inputs from times: cycles of day, week and year, and the time since the row before."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import numpy as np

from carrousel.checks import check_int
from carrousel.errors import DataError, RowError, ShapeError
from carrousel.online.clean.values import seconds_of
from carrousel.shapes import Floats

DAY = 86400.0
CYCLES = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}
"""Name of a cycle -> its length in seconds. All start at 1970-01-01 in UTC."""
_UNITS = (1.0, 1e-3, 1e-6, 1e-9)
_DATES = (946_684_800.0, 4_102_444_800.0)  # 2000 to 2100, in seconds


def calendar_names(name: str, cycles: bool) -> list[str]:
    """Return the names of the inputs from a column of times.

    >>> calendar_names("at", cycles=True)[::3]
    ['at.day_sin', 'at.week_cos', 'at.since']
    """
    pairs = [f"{name}.{cycle}_{part}" for cycle in CYCLES for part in ("sin", "cos")]
    return [*(pairs if cycles else ()), f"{name}.since"]


def calendar_columns(
    name: str,
    seconds: Annotated[Floats, "N"],
    gaps: Annotated[Floats, "N"],
    cycles: bool = True,
) -> dict[str, Annotated[Floats, "N"]]:
    """Return the inputs from times.

    Args:
        name: of the column of times, with which the names of the inputs begin.
        seconds: since 1970.
        gaps: time since the row before, of at least 0.
        cycles: whether to return sine and cosine of each cycle. A cycle much longer than the stream
            is nearly constant, and one that the times do not resolve is constant; both do no harm.

    >>> columns = calendar_columns("at", np.array([0.0, 6 * 3600.0]), np.array([0.0, 1.0]))
    >>> columns["at.day_sin"].round(9).tolist(), columns["at.since"].round(3).tolist()
    ([0.0, 1.0], [0.0, 0.693])
    """
    found: dict[str, Annotated[Floats, "N"]] = {}
    for cycle, length in CYCLES.items() if cycles else ():
        angle = 2 * np.pi * (np.mod(seconds, length) / length)
        found[f"{name}.{cycle}_sin"], found[f"{name}.{cycle}_cos"] = np.sin(angle), np.cos(angle)
    return found | {f"{name}.since": np.log1p(gaps)}


def unit_of(time: float) -> float:
    """Return the seconds in the unit of a number that may be a time since 1970, or 0.

    Numbers are times from 2000 to 2100 in seconds, milli-, micro- or nanoseconds, or else have no
    known unit.

    >>> unit_of(1.7e9), unit_of(1.7e12), unit_of(300.0)
    (1.0, 0.001, 0.0)
    """
    return next((unit for unit in _UNITS if _DATES[0] <= time * unit < _DATES[1]), 0.0)


class Calendar:
    """Inputs for :class:`carrousel.OnlineLSTM` from the times of its rows.

    They are sine and cosine of the time of day, the time of the week and the time of the year (in
    UTC), and ``log(1 + seconds since the row before)`` of the same key. At the first row of a key,
    this is the value of the row before of any key, or 0. ``carrousel stream --time`` and
    :func:`carrousel.online.evaluate` add the same inputs.

    Args:
        name: with which the names of the inputs begin.
        most: number of keys whose last time is kept; the least recently used is dropped.

    >>> from datetime import datetime
    >>> calendar = Calendar("at")
    >>> row = {"level": 3.0} | calendar.one(datetime(2024, 5, 1, 12))
    >>> round(row["at.day_cos"], 9), row["at.since"]
    (-1.0, 0.0)
    >>> columns = calendar.many(["2024-05-01T12:00:01", "2024-05-01T13:00:01"])
    >>> np.expm1(columns["at.since"]).round(6).tolist()
    [1.0, 3600.0]
    """

    def __init__(self, name: str = "time", *, most: int = 100_000) -> None:
        self.name, self._most = name, check_int("most", most, minimum=1)
        self._last: OrderedDict[Any, float] = OrderedDict()
        self._gap = 0.0

    def one(self, time: Any, key: Hashable = None) -> dict[str, float]:
        """Return the inputs of the next row.

        Args:
            time: a datetime or date (in UTC without a zone), a text in ISO 8601, a time of NumPy or
                pandas, or seconds since 1970.
            key: the stream of the row.

        Raises:
            DataError: it is not a time, or earlier than that of the key's row before.
        """
        seconds = np.array([_seconds(time)])
        gaps = np.array([self._since(float(seconds[0]), key)])
        columns = calendar_columns(self.name, seconds, gaps)
        return {name: float(values[0]) for name, values in columns.items()}

    def many(
        self, times: Sequence[Any] | np.ndarray, keys: Sequence[Hashable] | None = None
    ) -> dict[str, Annotated[Floats, "N"]]:
        """Return the inputs of the next rows as columns.

        Args:
            times, keys: of each row, see :meth:`one`; ``keys`` None: all rows belong to one stream.

        Raises:
            RowError: a time is not a time, or earlier than that of the key's row before; the times
                before it have been used.
            ShapeError: there are not as many keys as times.
        """
        listed = list(times)
        if keys is not None and len(keys) != len(listed):
            expected = f"{len(listed)}, one for each time"
            problem = f"keys has {len(keys)} entries, expected {expected}"
            raise ShapeError(problem, argument="keys", got=len(keys), expected=expected)
        seconds, gaps = np.zeros((2, len(listed)))
        for row, time in enumerate(listed):
            try:
                seconds[row] = _seconds(time)
                gaps[row] = self._since(seconds[row], None if keys is None else keys[row])
            except DataError as error:
                raise error.recast(RowError, row=row) from error
        return calendar_columns(self.name, seconds, gaps)

    def _since(self, seconds: float, key: Hashable) -> float:
        before = self._last.get(key)
        if before is not None:
            if seconds < before:
                raise DataError(
                    f"time is {seconds - before:g} seconds after that of the row before, expected "
                    "at least 0",
                    argument="time",
                    got=seconds,
                    fix="sort the rows by time",
                )
            self._gap = seconds - before
            self._last.move_to_end(key)
        elif len(self._last) >= self._most:
            self._last.popitem(last=False)
        self._last[key] = float(seconds)
        return self._gap


def _seconds(time: Any) -> float:
    """Return seconds since 1970."""
    if isinstance(time, np.datetime64):
        found = float((time - np.datetime64(0, "s")) / np.timedelta64(1, "s"))
    elif isinstance(time, datetime):
        found = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    elif isinstance(time, date):
        found = datetime(time.year, time.month, time.day, tzinfo=UTC).timestamp()
    elif isinstance(time, str):
        found = seconds_of(time)
    else:
        try:
            found = float(time)
        except (TypeError, ValueError):
            found = math.nan
    if found is None or not math.isfinite(found):
        expected = "a datetime, a text in ISO 8601, or seconds since 1970"
        raise DataError(argument="time", got=time, expected=expected)
    return found
