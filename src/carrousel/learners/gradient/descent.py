"""Plain gradient descent, which the kernel applies while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from carrousel.contracts import Batches, Errors, Training
from carrousel.learners.gradient.schedule import Pieces, Schedule
from carrousel.learners.gradient.updates import GradientLanes
from carrousel.sequences import Sequences
from carrousel.shapes import Ints


class KernelUpdates:
    """Updates at each step, sequence or epoch inside the kernel, by plain gradient descent.

    Args:
        lanes: the networks.
        training: learning rate, its schedule, and when weights change.
    """

    def __init__(self, lanes: GradientLanes, training: Training) -> None:
        self._lanes, self._training = lanes, training
        self._schedule = Schedule(training, len(lanes.weights), lanes.kernel.dtype)

    @property
    def cells_from(self) -> Ints:
        """Sequences of the next call after which cells and gates take part, ``[B]``."""
        return self._schedule.cells_from

    def begin(self, lane: int) -> None:
        """Reset the schedule of a lane."""
        self._schedule.begin(lane)

    def assign(self, lane: int, training: Training | Batches) -> None:
        """Give a lane the rate and the schedule of some settings."""
        assert isinstance(training, Training)
        self._schedule.assign(lane, training)

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane; cut it where the schedule changes rates or cells."""
        if not self._schedule.cuts:
            return self._learn(data)
        runs = [Pieces(part) for part in data]
        while True:
            pieces = [run.piece(self._schedule.room(lane)) for lane, run in enumerate(runs)]
            if not any(pieces):
                return [run.errors() for run in runs]
            for run, found in zip(runs, self._learn(pieces), strict=True):
                run.note(found)

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of the schedule and its counts."""
        return self._schedule.state(lane)

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned."""
        self._schedule.restore(lane, state)

    def measures(self, lane: int) -> Mapping[str, float]:
        """``cells_added_at``, once a plateau has added them."""
        return self._schedule.measures(lane)

    @property
    def nbytes(self) -> int:
        """Zero: only weights and the gradient's state are counted."""
        return 0

    def _learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn at one rate for each lane."""
        lanes = self._lanes
        errors = lanes.kernel.learn(
            lanes.network,
            self._training,
            lanes.weights,
            self._schedule.rates,
            self._schedule.cells_from,
            data,
            lanes.gradient,
            lanes.rngs,
        )
        for lane, found in enumerate(errors):
            if found is not None:
                self._schedule.note(lane, found)
        lanes.note_lengths(data)
        return errors
