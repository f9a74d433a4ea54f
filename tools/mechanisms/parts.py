"""Measurements by name, and their results as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Parts = Mapping[str, Callable[[], Any]]
"""Parts of a mechanism's measurements by name; each returns plain data for JSON."""

DIGITS = 4


def rounded(value: Any) -> Any:
    """Round all numbers of plain data to four significant digits.

    >>> rounded({"a": [0.123456, 7, None]})
    {'a': [0.1235, 7, None]}
    """
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
