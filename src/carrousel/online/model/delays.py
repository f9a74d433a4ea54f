"""Targets that come some rows after their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.checks import check_int, check_number
from carrousel.errors import SettingError
from carrousel.shapes import Floats, Ints

_MOST = 2**50
"""Most rows that a file may count."""


@dataclass(frozen=True)
class LateTarget:
    """A target that has not been learned.

    Args:
        due: the row of the model before which it is learned.
        place: the place of its stream.
        begun: how often that place had been reset; the target is lost if it has been since.
        row: the row of the stream that it belongs to.
        target: encoded numbers.
        weight: factor of its errors.
    """

    due: int
    place: int
    begun: int
    row: int
    target: tuple[float, ...]
    weight: float


@dataclass(frozen=True, eq=False)
class RememberedRow:
    """A row that was predicted, and whose target will come with the same row.

    Args:
        x: the row.
        place, begun, row: as in :class:`LateTarget`.
    """

    x: Any
    place: int
    begun: int
    row: int

    def is_of(self, x: Any) -> bool:
        """Return whether this is the row ``x``."""
        if x is self.x:
            return True
        if isinstance(x, np.ndarray) or isinstance(self.x, np.ndarray):
            return np.array_equal(x, self.x)
        return type(x) is type(self.x) and bool(x == self.x)


class LateTargets:
    """Targets on their way, in the order in which they are learned, and counts of rows by place.

    Args:
        places: number of places.
    """

    def __init__(self, places: int) -> None:
        self.waiting: deque[LateTarget] = deque()
        self.rows = np.zeros(places, np.int64)  # since the last reset
        self.begun = np.zeros(places, np.int64)  # resets

    def widen(self, places: int) -> None:
        """Add places."""
        more = (0, places - len(self.rows))
        self.rows, self.begun = np.pad(self.rows, more), np.pad(self.begun, more)

    def reset(self, place: int) -> None:
        """Begin a new stream at a place."""
        self.rows[place] = 0
        self.begun[place] += 1

    def count(self, places: Annotated[Ints, "N"]) -> Annotated[Ints, "N"]:
        """Count rows, and return the number of each within its stream.

        >>> LateTargets(2).count(np.array([0, 1, 0])).tolist()
        [0, 0, 1]
        """
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        first = np.flatnonzero(np.diff(ordered, prepend=-1))
        within = np.arange(len(places)) - np.repeat(first, np.diff(np.append(first, len(places))))
        numbers = np.empty(len(places), np.int64)
        numbers[order] = self.rows[ordered] + within
        np.add.at(self.rows, places, 1)
        return numbers

    def add(
        self,
        due: int,
        places: Annotated[Ints, "N"],
        rows: Annotated[Ints, "N"],
        targets: Annotated[Floats, "N V"],
        weights: Sequence[float] | None,
    ) -> None:
        """Add targets of consecutive rows, the first of which is due before row ``due``."""
        there = np.flatnonzero(~np.isnan(targets).all(1) & (rows >= 0)).tolist()
        values = targets.tolist()
        for n in there:
            place = int(places[n])
            begun, weight = int(self.begun[place]), 1.0 if weights is None else float(weights[n])
            self.waiting.append(
                LateTarget(due + n, place, begun, int(rows[n]), tuple(values[n]), weight)
            )

    def taken(
        self, start: int, stop: int, width: int
    ) -> tuple[
        Annotated[Floats, "N V"],
        Annotated[Floats, "N"],
        Annotated[Ints, "N"],
        Annotated[Ints, "N"],
    ]:
        """Remove the targets that are due before rows ``start`` to ``stop``, one a row at most.

        Returns:
            Targets, their weights, the place of each (-1: no target), and its row of that stream.
        """
        n = stop - start
        targets, weights = np.full((n, width), np.nan), np.ones(n)
        owners, rows = np.full(n, -1, np.int64), np.zeros(n, np.int64)
        while self.waiting and self.waiting[0].due < stop:
            late = self.waiting.popleft()
            if late.begun == self.begun[late.place]:
                at = late.due - start
                targets[at], weights[at] = late.target, late.weight
                owners[at], rows[at] = late.place, late.row
        return targets, weights, owners, rows

    def state(self) -> dict[str, Any]:
        """Return values for JSON."""
        return {
            "waiting": [list(vars(late).values()) for late in self.waiting],
            "rows": self.rows.tolist(),
            "begun": self.begun.tolist(),
        }

    def restore(self, state: dict[str, Any], width: int) -> None:
        """Restore what :meth:`state` returned, with targets of ``width`` numbers.

        Raises:
            SettingError, TypeError, ValueError: that is not possible.
        """
        for name, counts in (("rows", self.rows), ("begun", self.begun)):
            if len(state[name]) != len(counts):
                expected = f"{len(counts)} numbers, one for each place"
                raise SettingError(argument=name, got=len(state[name]), expected=expected)
            counts[:] = [check_int(name, n, minimum=0, maximum=_MOST) for n in state[name]]
        self.waiting = deque()
        for due, place, begun, row, target, weight in state["waiting"]:
            check_int("due", due, minimum=0, maximum=_MOST)
            self.check_row(place, begun, row)
            numbers = tuple(_target_number(value) for value in target)
            if len(numbers) != width:
                expected = f"{width} numbers"
                raise SettingError(argument="target", got=len(numbers), expected=expected)
            factor = check_number("weight", weight, least=0.0)
            self.waiting.append(LateTarget(due, place, begun, row, numbers, factor))

    def check_row(self, place: Any, begun: Any, row: Any) -> None:
        """Raise SettingError unless these numbers, of a file, can be those of a row that waits."""
        check_int("place", place, minimum=0, maximum=len(self.rows) - 1)
        check_int("begun", begun, minimum=0, maximum=int(self.begun[place]))
        last = _MOST if begun < self.begun[place] else int(self.rows[place]) - 1
        check_int("row", row, minimum=0, maximum=max(last, 0))


def _target_number(value: Any) -> float:
    """Return a number of a target, NaN where there is none."""
    return value if isinstance(value, float) and value != value else check_number("target", value)
