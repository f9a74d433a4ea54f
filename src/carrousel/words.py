"""Numbers as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from carrousel.shapes import Interval

ABSENT = "–"  # noqa: RUF001  (an en dash: the usual sign for "not given" in tables)


def number(value: float | None) -> str:
    """Whole numbers with commas, others with three significant digits.

    >>> [number(value) for value in (74000.0, 1234.56, 0.000195, 2.5, None)]
    ['74,000', '1,235', '0.000195', '2.5', '–']
    """
    if value is None or math.isnan(value):
        return ABSENT
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"


def small(value: float | None) -> str:
    """A number that may be small, with three significant digits and without an exponent.

    >>> [small(value) for value in (0.0000781, 0.25, 7.94, 12_345.6, None)]
    ['0.0000781', '0.25', '7.94', '12,346', '–']
    """
    if value is None or not 0 < abs(value) < 1:
        return number(value)
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def percent(value: float | None) -> str:
    """A share of 0 to 100.

    >>> percent(100.0), percent(97.4), percent(None)
    ('100 %', '97 %', '–')
    """
    return ABSENT if value is None else f"{value:.0f} %"


def share(value: float) -> str:
    """A share of any size: in percent, below 0.001 % as a number, from 10 on in times.

    >>> share(0.214), share(0.0000153), share(1.7e-16), share(0.0), share(12.34)
    ('21 %', '0.0015 %', '1.7e-16', 'none', '12 times')
    """
    if value == 0.0:
        return "none"
    if not 1e-5 <= value < 10.0:
        return f"{value:.1e}" if value < 10.0 else f"{value:.2g} times"
    return f"{small(float(f'{100.0 * value:.2g}'))} %"


def rate_interval(interval: Interval | None) -> str:
    """An interval of a rate, in percent.

    >>> rate_interval((0.7225, 1.0))
    '72–100 %'
    """
    if interval is None:
        return ABSENT
    return f"{100 * interval[0]:.0f}–{100 * interval[1]:.0f} %"  # noqa: RUF001


def bounded(value: float | None, least: float | None) -> str:
    """A number, or its lower bound if it is unknown.

    >>> bounded(20.0, 50.0), bounded(None, 50.0), bounded(None, None)
    ('20', '> 50', '–')
    """
    return f"> {number(least)}" if value is None and least is not None else number(value)


def duration(seconds: float) -> str:
    """A time span in the two units that matter.

    >>> [duration(seconds) for seconds in (0.42, 12.3, 125, 11_400, 200_000)]
    ['0.4 s', '12 s', '2 min 05 s', '3 h 10 min', '2 d 7 h']
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def big(value: float) -> str:
    """A large number by its order of magnitude.

    >>> big(950), big(12_345_678), big(4.2e9)
    ('950', '12.3 million', '4.2 billion')
    """
    for unit, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= unit:
            return f"{value / unit:.3g} {name}"
    return number(round(value))


def count(amount: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "trial"), count(1200, "trial")
    ('1 trial', '1,200 trials')
    """
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Join names to a list.

    >>> listed(["4-1", "6a", "6b"]), listed(["4-1"])
    ('4-1, 6a and 6b', '4-1')
    """
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def printable(text: str) -> str:
    r"""Return a text from data with control characters replaced by their escape sequences.

    >>> printable("red\x1b[31m, \u202eright to left"), printable("Zürich")
    ('red\\x1b[31m, \\u202eright to left', 'Zürich')
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
