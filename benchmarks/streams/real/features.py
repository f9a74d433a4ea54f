"""What the baselines know when they predict a row.

For a forecast of the next value, they get 24 values of the same series, the other columns at the
row before, and the hour and the weekday of the row before where the time is known. For other
targets, they get the row's own columns, its hour and weekday, and for numbers the 24 targets before
it. The name of a series is a feature where there are several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from benchmarks.streams.real.stream import Stream

LAGS = 24
_DAY = 86_400


class Features(NamedTuple):
    """Features of each row's prediction.

    Args:
        numbers: ``[N, F]``, without missing values.
        names: of the numbers.
        texts: ``[N]`` by name.
        usable: ``[N]``, False at the first row of a series that is forecast.
    """

    numbers: np.ndarray
    names: tuple[str, ...]
    texts: Mapping[str, np.ndarray]
    usable: np.ndarray

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row as a mapping from names to numbers and texts."""
        texts = list(self.texts)
        for n, row in enumerate(self.numbers.tolist()):
            found: dict[str, Any] = dict(zip(self.names, row, strict=True))
            for name in texts:
                found[name] = self.texts[name][n]
            yield found

    def ordinal(self) -> Features:
        """Turn texts into numbers: those of digits by their value, others into columns of 0 and 1.

        River's regression trees and naive Bayes refuse texts.
        """
        parts, names = [self.numbers], [*self.names]
        for name, column in self.texts.items():
            values = np.unique(column)
            if all(value.isdigit() for value in values if value):
                parts.append(np.where(column == "", "0", column).astype(float)[:, None])
                names.append(name)
            else:
                parts.append((column[:, None] == values[None]).astype(float))
                names += [f"{name}={value}" for value in values]
        return Features(np.column_stack(parts), tuple(names), {}, self.usable)

    def encoded(self) -> np.ndarray:
        """Return numbers, texts as 0 and 1 for each of their values, and a constant, ``[N, F]``."""
        parts = [self.numbers]
        for column in self.texts.values():
            parts.append((column[:, None] == np.unique(column)[None]).astype(float))
        return np.column_stack([*parts, np.ones(len(self.numbers))])


def features(stream: Stream, lags: int = LAGS, columns: bool = True) -> Features:
    """Collect features; without ``columns``, earlier targets only."""
    number = stream.task in ("forecast", "regression")
    parts: dict[str, np.ndarray] = {}
    texts: dict[str, np.ndarray] = {}
    before = _shifted if stream.forecast else _same
    if columns:
        target = stream.target
        for name, column in stream.columns.items():
            if name == target:
                continue
            if column.dtype == object:
                texts[name] = before(stream, column.astype(str), "")
            else:
                parts[name] = before(stream, filled(stream, column), 0.0)
        for name, column in calendar(stream).items():
            texts[name] = before(stream, column.astype(str), "")
        if stream.keys is not None:
            texts["key"] = stream.keys.astype(str)
    if number:
        known = filled(stream, stream.y)
        for lag in range(1, lags + 1):
            parts[f"{lag} before"] = _shifted(stream, known, 0.0, lag)
    usable = np.ones(len(stream), bool)
    if stream.forecast:
        usable[[rows[0] for rows in stream.places]] = False
    numbers = np.column_stack([*parts.values()]) if parts else np.zeros((len(stream), 0))
    return Features(numbers, tuple(parts), texts, usable)


def calendar(stream: Stream) -> dict[str, np.ndarray]:
    """Return the hour and the weekday of each row where they are known and vary, ``[N]`` each."""
    if stream.time is None:
        return {}
    seconds = stream.time.astype("datetime64[s]").astype(np.int64)
    step = np.median(np.diff(np.unique(seconds)))
    found = {"hour": seconds // 3600 % 24} if step < _DAY else {}
    if step < 7 * _DAY:
        found["weekday"] = (seconds // _DAY + 3) % 7  # 1 January 1970 was a Thursday
    return {f"{name} of day" if name == "hour" else name: part for name, part in found.items()}


def filled(stream: Stream, column: np.ndarray) -> np.ndarray:
    """Replace missing numbers by the last one of the same series, 0 before the first."""
    found = column.astype(np.float64)
    for rows in stream.places:
        part = found[rows]
        last = np.maximum.accumulate(np.where(np.isnan(part), 0, np.arange(len(part))))
        found[rows] = np.nan_to_num(part[last])
    return found


def _same(stream: Stream, column: np.ndarray, none: Any) -> np.ndarray:
    return column


def _shifted(stream: Stream, column: np.ndarray, none: Any, by: int = 1) -> np.ndarray:
    """Return the value of ``by`` rows before in the same series; ``none`` where there is none."""
    found = np.full(len(column), none, column.dtype)
    for rows in stream.places:
        found[rows[by:]] = column[rows[:-by]]
    return found
