"""Updates by the gradient of several sequences: plain, with momentum, or Adam."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from carrousel.contracts import Batches, Errors, Training
from carrousel.learners.gradient.rules import update_rule
from carrousel.learners.gradient.updates import GradientLanes
from carrousel.learners.lanes import joined_errors
from carrousel.sequences import Sequences
from carrousel.shapes import Ints

RESOLUTION = 2.0**-60
"""Gradients are rounded next to this fraction of their weight, as they were in stored trials.

Those read a gradient from a weight that had learned at a rate of 2**60; they repeat to the last
bit. The rounding is below 6e-8 of a gradient above 1e-18 of its weight.
"""

PIECE_STEPS = 4096
"""A piece of data whose gradient a kernel sums ends with the first sequence that reaches this."""


class BatchUpdates:
    """Updates after each ``settings.size`` sequences, by an update rule.

    The kernel computes gradients of pieces: chunks of data whose sequences all use the same
    weights. Pieces are counted from the first sequence of a lane: one ends where its batch is full,
    or where it has 4096 time steps. Gradients of pieces are added in float64, and so is all
    arithmetic of the update rule. Weights have the kernel's type, and are rounded once an update.

    A lane's result does not depend on where its data are cut into calls of :meth:`learn`, to the
    last bit, nor on its neighbours. So sequences after the last whole piece of a call are kept, and
    their gradient is computed once the rest of the piece has arrived.

    Args:
        lanes: the networks.
        settings: size of a batch, the update rule and its constants.
        training: the part of ``settings`` that the kernel needs.
    """

    def __init__(self, lanes: GradientLanes, settings: Batches, training: Training) -> None:
        self._lanes, self._training, self._size = lanes, training, settings.size
        shape = lanes.weights.shape
        self._gathered = np.zeros(shape)  # gradient of the current batch so far
        self._counts = np.zeros(shape[0], np.int64)  # its sequences
        self._rule = update_rule(settings, *shape)
        self._waiting: list[Sequences | None] = [None] * shape[0]

    @property
    def cells_from(self) -> Ints:
        """Zeros ``[B]``: cells and gates take part from the first sequence on."""
        return np.zeros(len(self._counts), np.int64)

    def begin(self, lane: int) -> None:
        """Reset a lane."""
        self._gathered[lane] = self._counts[lane] = 0
        self._rule.begin(lane)
        self._waiting[lane] = None

    def assign(self, lane: int, training: Training | Batches) -> None:
        """Give a lane the rate and the schedule of some settings."""
        assert isinstance(training, Batches)
        self._rule.assign(lane, training)

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone."""
        runs = [self._pieces(lane, part) for lane, part in enumerate(data)]
        while True:
            pieces = [run.next_piece() for run in runs]
            if not any(pieces):
                break
            with np.errstate(all="ignore"):  # a lane that diverges shows it in its errors
                self._gather(runs, pieces)
                self._change()
        rests = [run.rest() for run in runs]
        if any(rests):  # only their errors are needed now
            self._gradient(runs, rests, None)
        for lane, run in enumerate(runs):
            if data[lane] is not None:
                self._waiting[lane] = run.waiting()
        self._lanes.note_lengths(data)
        return [run.errors() for run in runs]

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of gathered gradients, of the rule's averages, and of waiting sequences."""
        found = {
            "gathered": self._gathered[lane].copy(),
            "count": self._counts[lane].copy(),
            **self._rule.state(lane),
        }
        waiting = self._waiting[lane]
        if waiting is not None:
            for name in ("inputs", "offsets", "targets", "target_steps"):
                found[f"waiting_{name}"] = getattr(waiting, name).copy()
        return found

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned."""
        self._gathered[lane] = state["gathered"]
        self._counts[lane] = state["count"]
        self._rule.restore(lane, state)
        self._waiting[lane] = None
        if "waiting_inputs" in state:
            self._waiting[lane] = Sequences(
                inputs=state["waiting_inputs"].copy(),
                n_inputs=self._lanes.network.n_inputs,
                offsets=state["waiting_offsets"].copy(),
                targets=state["waiting_targets"].copy(),
                n_outputs=self._lanes.network.n_outputs,
                target_steps=state["waiting_target_steps"].copy(),
            )

    def measures(self, lane: int) -> Mapping[str, float]:
        """Return an empty mapping: there are no further figures."""
        return {}

    @property
    def nbytes(self) -> int:
        """Bytes of gradients, of the rule's averages and of waiting sequences."""
        waiting = sum(part.nbytes for part in self._waiting if part is not None)
        of_a_piece = self._lanes.weights.nbytes
        return of_a_piece + self._gathered.nbytes + self._rule.nbytes + waiting

    def _pieces(self, lane: int, part: Sequences | None) -> _BatchPieces:
        if part is None:
            return _BatchPieces(None, 0, [])
        waiting, known = self._waiting[lane], 0
        if waiting is not None:
            part, known = Sequences.concatenate([waiting, part]), len(waiting)
        return _BatchPieces(part, known, _ends(part, int(self._counts[lane]), self._size))

    def _gradient(
        self,
        runs: Sequence[_BatchPieces],
        pieces: Sequence[Sequences | None],
        rngs: Sequence[np.random.Generator] | None,
    ) -> np.ndarray:
        """Return the gradient ``[B, W]`` of one piece per lane; note the errors."""
        lanes = self._lanes
        gradient, errors = lanes.kernel.gradient(
            lanes.network,
            self._training,
            lanes.weights,
            self.cells_from,
            pieces,
            lanes.gradient,
            rngs,
        )
        for run, found in zip(runs, errors, strict=True):
            if found is not None:
                run.note(found)
        return gradient

    def _gather(self, runs: Sequence[_BatchPieces], pieces: Sequence[Sequences | None]) -> None:
        """Add the gradient of one piece per lane to what is gathered."""
        gradient = self._gradient(runs, pieces, self._lanes.rngs)
        lanes = [lane for lane, piece in enumerate(pieces) if piece is not None]
        shift = self._lanes.weights[lanes] * RESOLUTION
        self._gathered[lanes] += np.subtract(gradient[lanes] + shift, shift, dtype=np.float64)
        self._counts += [0 if piece is None else len(piece) for piece in pieces]

    def _change(self) -> None:
        """Change the weights of those lanes whose batch is full."""
        full = np.flatnonzero(self._counts == self._size)
        if len(full):
            change = self._rule.step(full, self._gathered[full])
            self._lanes.weights[full] = self._lanes.weights[full] + change
            self._gathered[full] = 0.0
            self._counts[full] = 0


class _BatchPieces:
    """One lane's data of a call, returned piece by piece, and their errors."""

    def __init__(self, data: Sequences | None, known: int, ends: list[int]) -> None:
        self._data = data
        self._known = known  # leading sequences whose errors an earlier call has returned
        self._ends: Iterator[int] = iter(ends)
        self._done = 0
        self._found: list[Errors] = []

    def next_piece(self) -> Sequences | None:
        """Return the next whole piece."""
        end = next(self._ends, None)
        if end is None:
            return None
        assert self._data is not None
        first, self._done = self._done, end
        return self._data[first:end]

    def rest(self) -> Sequences | None:
        """Return the new sequences after the last whole piece."""
        first = self._done or self._known  # the first whole piece includes all that waited
        if self._data is None or first == len(self._data):
            return None
        return self._data[first:]

    def waiting(self) -> Sequences | None:
        """Return a copy of all sequences after the last whole piece."""
        if self._data is None or self._done == len(self._data):
            return None
        return self._data.take(np.arange(self._done, len(self._data)))

    def note(self, errors: Errors) -> None:
        """Note the errors of the next sequences."""
        self._found.append(errors)

    def errors(self) -> Errors | None:
        """Return the errors of all sequences of this call."""
        if self._data is None:
            return None
        found = joined_errors(self._found)
        return found[self._known if self._done else 0 :]


def _ends(data: Sequences, count: int, size: int) -> list[int]:
    """Return where the pieces of a lane end if the current batch has ``count`` sequences."""
    ends, steps = [], 0
    for number, length in enumerate(data.lengths.tolist(), start=1):
        steps, count = steps + length, count + 1
        if count == size or steps >= PIECE_STEPS:
            ends.append(number)
            steps, count = 0, count % size
    return ends
