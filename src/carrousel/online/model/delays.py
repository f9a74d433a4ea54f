"""Targets that come some rows after their own."""

from __future__ import annotations

import heapq
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
        due: the row of the model before which it is learned; or, with label times, the time.
        place: the place of its stream.
        begun: how often that place had been reset; the target is lost if it has been since.
        row: the row of the stream that it belongs to.
        target: encoded numbers.
        weight: factor of its errors.
    """

    due: float
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


@dataclass(frozen=True, eq=False)
class LabelTimes:
    """Times of ``N`` rows, and the times at which their targets become known.

    A target is learned before the first later row whose time has reached its label time.
    """

    times: Annotated[Floats, "N"]
    label_times: Annotated[Floats, "N"]

    def part(self, start: int, stop: int) -> LabelTimes:
        """Return the times of some rows."""
        return LabelTimes(self.times[start:stop], self.label_times[start:stop])


class LateTargets:
    """Targets on their way, in the order in which they are learned, and counts of rows by place.

    Args:
        places: number of places.
    """

    def __init__(self, places: int) -> None:
        self.waiting: deque[LateTarget] = deque()
        self.timed: list[tuple[float, int, LateTarget]] = []  # a heap, by time and order
        self.n_timed = 0  # targets with label times so far
        self.lost = 0  # targets whose stream had been reset, or had lost its place
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

    def add_timed(self, late: LateTarget) -> None:
        """Add a target whose ``due`` is a label time."""
        heapq.heappush(self.timed, (late.due, self.n_timed, late))
        self.n_timed += 1

    def due_at(self, time: float) -> list[LateTarget]:
        """Remove the targets whose label time has come, but return only those not lost."""
        found = []
        while self.timed and self.timed[0][0] <= time:
            late = heapq.heappop(self.timed)[2]
            if self.belongs(late):
                found.append(late)
        return found

    def back(self, late: LateTarget) -> int:
        """Return how many rows of its stream have followed the row of a target."""
        return int(self.rows[late.place]) - 1 - late.row

    def belongs(self, late: LateTarget) -> bool:
        """Return whether the stream of a target still has its state; count the target if not."""
        kept = late.begun == self.begun[late.place]
        self.lost += not kept
        return bool(kept)

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
            if self.belongs(late):
                at = int(late.due) - start
                targets[at], weights[at] = late.target, late.weight
                owners[at], rows[at] = late.place, late.row
        return targets, weights, owners, rows

    def state(self) -> dict[str, Any]:
        """Return values for JSON."""
        return {
            "waiting": [list(vars(late).values()) for late in self.waiting],
            "timed": [[order, *vars(late).values()] for _, order, late in sorted(self.timed)],
            "n_timed": self.n_timed,
            "lost": self.lost,
            "rows": self.rows.tolist(),
            "begun": self.begun.tolist(),
        }

    def restore(self, state: dict[str, Any], width: int) -> None:
        """Restore what :meth:`state` returned, with targets of ``width`` numbers.

        Raises:
            SettingError, LookupError, TypeError, ValueError: that is not possible.
        """
        for name, counts in (("rows", self.rows), ("begun", self.begun)):
            if len(state[name]) != len(counts):
                expected = f"{len(counts)} numbers, one for each place"
                raise SettingError(argument=name, got=len(state[name]), expected=expected)
            counts[:] = [_count(name, n) for n in state[name]]
        self.n_timed, self.lost = _count("n_timed", state["n_timed"]), _count("lost", state["lost"])
        self.waiting = deque(self._restored(each, width) for each in state["waiting"])
        for late in self.waiting:
            _count("due", late.due)
        timed = [(_count("order", n), self._restored(each, width)) for n, *each in state["timed"]]
        if len({order for order, _ in timed}) < len(timed):
            raise SettingError(argument="order", got="one twice", expected="each number once")
        self.timed = sorted((late.due, order, late) for order, late in timed)  # a heap

    def _restored(self, stored: Sequence[Any], width: int) -> LateTarget:
        due, place, begun, row, target, weight = stored
        check_number("due", due)
        self.check_row(place, begun, row)
        numbers = tuple(_target_number(value) for value in target)
        if len(numbers) != width:
            raise SettingError(argument="target", got=len(numbers), expected=f"{width} numbers")
        weight = check_number("weight", weight, least=0.0)
        return LateTarget(due, place, begun, row, numbers, weight)

    def check_row(self, place: Any, begun: Any, row: Any) -> None:
        """Raise SettingError unless these numbers, of a file, can be those of a row that waits."""
        check_int("place", place, minimum=0, maximum=len(self.rows) - 1)
        check_int("begun", begun, minimum=0, maximum=int(self.begun[place]))
        last = _MOST if begun < self.begun[place] else int(self.rows[place]) - 1
        check_int("row", row, minimum=0, maximum=max(last, 0))


def _count(name: str, value: Any) -> int:
    """Return a count of rows of a file."""
    return check_int(name, value, minimum=0, maximum=_MOST)


def _target_number(value: Any) -> float:
    """Return a number of a target, NaN where there is none."""
    return value if isinstance(value, float) and value != value else check_number("target", value)
