"""The most unusual rows of a stream."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

MOST = 5
"""Number of rows kept."""


@dataclass(frozen=True)
class UnusualRow:
    """A row with a column far from its forecast.

    Attributes:
        line: place of the row in its source.
        key: of its stream; None: there are no keys.
        column: that departed most.
        value, expected: of the column, and the forecast.
        deviations: the error over the usual size of the column's errors.
    """

    line: int
    key: str | None
    column: str
    value: float
    expected: float
    deviations: float


class MostUnusual:
    """The rows with the largest deviations so far; of equal ones, the earlier.

    >>> most = MostUnusual(most=1)
    >>> most.add([3, 4], None, {"departed": ["x", "x"], "deviations": np.array([9.0, 2.0]),
    ...          "expected": np.array([1.0, 1.0]), "target": np.array([10.0, 3.0])})
    >>> [(row.line, row.value) for row in most.rows]
    [(3, 10.0)]
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]] = (), most: int = MOST) -> None:
        self._most = most
        self.rows = tuple(UnusualRow(**row) for row in rows)

    def add(
        self, lines: Sequence[int], keys: Sequence[str | None] | None, columns: Mapping[str, Any]
    ) -> None:
        """Look at rows of predictions, which have the column ``"deviations"`` or none."""
        if "deviations" not in columns:
            return
        deviations = np.nan_to_num(columns["deviations"], nan=-1.0, posinf=np.finfo(float).max)
        least = self.rows[-1].deviations if len(self.rows) == self._most else -0.5
        found = []
        for row in np.flatnonzero(deviations > least).tolist():
            name = columns["departed"][row]
            target = columns.get("target", columns.get(f"target_{name}"))
            assert target is not None
            found.append(
                UnusualRow(
                    line=int(lines[row]),
                    key=None if keys is None else keys[row],
                    column=name,
                    value=float(target[row]),
                    expected=float(columns["expected"][row]),
                    deviations=float(deviations[row]),
                )
            )
        rows = [*self.rows, *found]
        self.rows = tuple(heapq.nlargest(self._most, rows, key=lambda each: each.deviations))

    def state(self) -> list[dict[str, Any]]:
        """Return the rows as values that JSON can hold."""
        return [asdict(row) for row in self.rows]
