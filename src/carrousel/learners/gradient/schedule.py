"""Schedules: rates that halve, and cells that join later, by the sequences a lane has seen.

They are followed in Python, so each lane may have its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import numpy as np

from carrousel.contracts import Batches, Errors, Training
from carrousel.learners.lanes import joined_errors
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints

STOPPED = 0.98
"""An error above this fraction of the one before has stopped decreasing."""

_NEVER = 2**62


def without_schedule(training: Training | Batches) -> Training | Batches:
    """Return the settings that all lanes of a learner share: those without rate and schedule.

    >>> without_schedule(Training(rate=0.5, plateau=9)) == Training(rate=0.0)
    True
    """
    if isinstance(training, Batches):
        return replace(training, rate=0.0, halves_every=0)
    return replace(training, rate=0.0, halves_every=0, plateau=0, cells_added_after=0)


class Schedule:
    """Counts the sequences of each lane, halves its rate, and decides when its cells join.

    Decisions fall at multiples of ``training.halves_every`` and ``training.plateau`` sequences, the
    latter from mean errors over ``plateau`` sequences. Errors are summed one by one, so that the
    result does not depend on how sequences are split into calls.

    Args:
        training: the settings of all lanes, until :meth:`assign` gives a lane its own.
        n_lanes: independent lanes.
        dtype: of learning rates.

    >>> schedule = Schedule(Training(rate=0.5, halves_every=3), 1)
    >>> schedule.room(0)
    3
    >>> schedule.note(0, Errors(*np.zeros((3, 3)), np.ones(3, np.int64)))
    >>> schedule.rates.tolist()
    [0.25]
    """

    def __init__(
        self, training: Training, n_lanes: int, dtype: type[np.floating] = np.float64
    ) -> None:
        self._dtype = dtype
        self._rate = np.full(n_lanes, training.rate)
        self._halves = np.full(n_lanes, training.halves_every)
        self._plateau = np.full(n_lanes, training.plateau)
        self._added_after = np.full(n_lanes, training.cells_added_after)
        self.seen = np.zeros(n_lanes, np.int64)
        self._sums = np.zeros(n_lanes)  # of mean errors in the current stretch
        self._before = np.full(n_lanes, np.nan)  # the sum of the previous stretch
        self._added_at = np.full(n_lanes, -1, np.int64)  # with -1: not yet

    def assign(self, lane: int, training: Training) -> None:
        """Give a lane the rate and the schedule of some settings."""
        self._rate[lane], self._halves[lane] = training.rate, training.halves_every
        self._plateau[lane] = training.plateau
        self._added_after[lane] = training.cells_added_after

    @property
    def cuts(self) -> bool:
        """Whether anything may happen between two sequences of one call."""
        return bool(self._halves.any() or self._plateau.any())

    @property
    def rates(self) -> Annotated[Floats, "B"]:
        """The learning rate of each lane's next sequence."""
        halved = [
            0.5 ** (seen // every) if every else 1.0
            for seen, every in zip(self.seen.tolist(), self._halves.tolist(), strict=True)
        ]
        return (self._rate * np.array(halved)).astype(self._dtype)

    @property
    def cells_from(self) -> Annotated[Ints, "B"]:
        """Sequences of the next call after which cells and gates take part."""
        watched = np.where(self._added_at < 0, _NEVER, 0)
        return np.where(self._plateau > 0, watched, np.maximum(self._added_after - self.seen, 0))

    def room(self, lane: int) -> int:
        """Sequences of a lane until its rate may change or its cells may join."""
        watched = int(self._plateau[lane]) if self._added_at[lane] < 0 else 0
        spans = [every for every in (int(self._halves[lane]), watched) if every]
        return min((every - int(self.seen[lane]) % every for every in spans), default=_NEVER)

    def note(self, lane: int, errors: Errors) -> None:
        """Count the sequences a lane has learned, at most :meth:`room`."""
        self.seen[lane] += len(errors.n_values)
        every = int(self._plateau[lane])
        if not every or self._added_at[lane] >= 0:
            return
        # Summed one by one: pairwise sums would depend on the number of terms.
        terms = np.concatenate([self._sums[lane : lane + 1], errors.mean_abs.astype(np.float64)])
        self._sums[lane] = np.cumsum(terms)[-1]
        if len(errors.n_values) and self.seen[lane] % every == 0:
            if self._sums[lane] > STOPPED * self._before[lane]:  # False for the first
                self._added_at[lane] = self.seen[lane]
            self._before[lane], self._sums[lane] = self._sums[lane], 0.0

    @property
    def _counts(self) -> tuple[Ints, Ints, Ints]:
        return self._halves, self._plateau, self._added_after

    def begin(self, lane: int) -> None:
        """Reset a lane; its settings are kept."""
        self.seen[lane] = self._sums[lane] = 0
        self._before[lane], self._added_at[lane] = np.nan, -1

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of a lane's settings and counts, and of its sums if there is a plateau rule."""
        found = {
            "seen": self.seen[lane].copy(),
            "rate": self._rate[lane].copy(),
            "schedule": np.array([table[lane] for table in self._counts]),
        }
        if self._plateau[lane]:
            found["stretches"] = np.array([self._sums[lane], self._before[lane]])
            found["added_at"] = self._added_at[lane].copy()
        return found

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned."""
        self.seen[lane], self._rate[lane] = state["seen"], state["rate"]
        for table, value in zip(self._counts, state["schedule"], strict=True):
            table[lane] = value
        if self._plateau[lane]:
            self._sums[lane], self._before[lane] = state["stretches"]
            self._added_at[lane] = state["added_at"]

    def measures(self, lane: int) -> Mapping[str, float]:
        """``cells_added_at``, once a plateau has added them."""
        added = int(self._added_at[lane])
        return {"cells_added_at": float(added)} if added >= 0 else {}


class Pieces:
    """One lane's data of a call, returned piece by piece, and their errors."""

    def __init__(self, data: Sequences | None) -> None:
        self._data, self._done = data, 0
        self._found: list[Errors] = []

    def piece(self, most: int) -> Sequences | None:
        """Return the next sequences, at most ``most``."""
        if self._data is None or self._done == len(self._data):
            return None
        first, self._done = self._done, min(self._done + most, len(self._data))
        return self._data[first : self._done]

    def note(self, errors: Errors | None) -> None:
        """Note the errors of the piece."""
        if errors is not None:
            self._found.append(errors)

    def errors(self) -> Errors | None:
        """Return the errors of all sequences."""
        return None if self._data is None else joined_errors(self._found)
