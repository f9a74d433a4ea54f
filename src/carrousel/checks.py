"""Checks of arguments."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np

from carrousel.errors import SettingError, UnknownNameError


def check_int(name: str, value: object, *, minimum: int, maximum: int = 2**63 - 1) -> int:
    """Return ``value`` as an int if it is a whole number in a range (both ends included).

    Raises:
        SettingError: it is not; ``error.argument`` is ``name``, ``error.got`` is ``value``.

    >>> check_int("trials", 3, minimum=1)
    3
    >>> check_int("trials", 0, minimum=1)
    Traceback (most recent call last):
        ...
    carrousel.errors.SettingError: trials is 0, expected a whole number of at least 1
    """
    wanted = f"a whole number of at least {minimum}"
    if maximum < 2**63 - 1:
        wanted = f"a whole number from {minimum} to {maximum}"
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SettingError(argument=name, got=value, expected=wanted)
    if not minimum <= value <= maximum:
        raise SettingError(argument=name, got=_plain(value), expected=wanted)
    return int(value)


def _plain(value: Any) -> Any:
    """Convert a NumPy scalar to the Python number that a user would write."""
    return value.item() if isinstance(value, np.generic) else value


def check_number(
    name: str, value: object, *, above: float | None = None, least: float | None = None
) -> float:
    """Return ``value`` as a float if it is a finite number, ``> above`` or ``>= least``.

    Raises:
        SettingError: it is not; ``error.argument`` is ``name``, ``error.got`` is ``value``.

    >>> check_number("rate", 0.5, above=0.0)
    0.5
    >>> check_number("rate", float("nan"), above=0.0)
    Traceback (most recent call last):
        ...
    carrousel.errors.SettingError: rate is nan, expected a finite number above 0.0
    """
    bound = f" above {above}" if above is not None else ""
    bound = f" of at least {least}" if least is not None else bound
    number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not number or not _is_finite(value):
        raise SettingError(argument=name, got=value, expected=f"a finite number{bound}")
    if (above is not None and not value > above) or (least is not None and not value >= least):
        raise SettingError(argument=name, got=_plain(value), expected=f"a finite number{bound}")
    return float(value)


def _is_finite(value: Any) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except OverflowError:  # a whole number beyond all floats
        return False


def check_choice(name: str, value: object, allowed: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``allowed``.

    Raises:
        UnknownNameError: it is not; ``error.fix`` offers the nearest names.

    >>> check_choice("update", "sequence", ("step", "sequence"))
    'sequence'
    >>> check_choice("update", "sequenc", ("step", "sequence"))
    Traceback (most recent call last):
        ...
    carrousel.errors.UnknownNameError: update 'sequenc' is unknown; did you mean 'sequence'?
    """
    names = list(dict.fromkeys(allowed))
    if isinstance(value, str) and value in names:
        return value
    raise UnknownNameError(
        f"{name} {value!r} is unknown",
        argument=name,
        got=value,
        fix=suggestion(str(value), names),
    )


MOST_NAMES = 12
"""Names that a message lists."""


def suggestion(wrong: str, names: Iterable[str]) -> str:
    """Return a question with the names nearest to a wrong one, or a list of names.

    >>> suggestion("4_1", ["4-1", "4-2", "6a"])
    "did you mean '4-1'?"
    """
    names = list(names)
    near = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    first = ", ".join(repr(name) for name in names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return f"expected one of {first}" + (f", or {more} others" if more > 0 else "")
