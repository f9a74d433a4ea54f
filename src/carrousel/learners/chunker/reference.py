"""The neural sequence chunker in NumPy: the reference of the compiled one, written to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from carrousel.contracts import Errors, Network, Simple
from carrousel.learners.chunker.data import Round, Tally, rounds
from carrousel.learners.chunker.nets import LaneNets, Lanes, lanes_where
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


class ReferenceChunker:
    """Pair of nets, an automatizer below and a chunker above; see :class:`NativeChunker`.

    After a call, ``nets`` holds both as the last steps of the lanes left them.

    Args:
        below: the automatizer.
        above: the chunker.
        rate: learning rate of both nets.
        threshold: an input was predicted if every output was off by less than this.
        depth: steps of back-propagation in both nets, including the current one.
        dtype: of weights and activations.

    >>> net = Network(3, 3, Simple(1), wiring="direct")
    >>> data = Sequences.from_lists([[0, 1, 2]], [[1, 2]], n_inputs=3, n_outputs=3)
    >>> weights = np.zeros((1, net.n_weights))
    >>> pair = ReferenceChunker(net, net, rate=1.0, threshold=0.25, depth=3, dtype=np.float64)
    >>> [(errors, received)] = pair.learn(weights, weights.copy(), [data])
    >>> round(float(errors.max_abs[0]), 3), received.tolist()  # all inputs are surprises
    (0.508, [3])
    """

    name = "reference"

    def __init__(
        self,
        below: Network,
        above: Network,
        *,
        rate: float,
        threshold: float,
        depth: int,
        dtype: type[np.floating] = np.float32,
    ) -> None:
        self.below, self.above, self.dtype = below, above, dtype
        self._rate, self._threshold, self._depth = rate, threshold, depth
        self._digits = above.n_inputs - below.n_inputs
        self._n_targets = above.n_outputs - self._digits
        self._symmetric = isinstance(above.cell, Simple) and above.cell.f == "tanh"
        self.nets = self._nets(1)

    def _nets(self, n_lanes: int) -> tuple[LaneNets, LaneNets]:
        below, above = (
            LaneNets(network, n_lanes, self._depth, self.dtype)
            for network in (self.below, self.above)
        )
        return below, above

    def learn(
        self,
        below: Annotated[Floats, "B W"],
        above: Annotated[Floats, "B W"],
        data: Sequence[Sequences | None],
    ) -> list[tuple[Errors, Annotated[Ints, "N"]] | None]:
        """Learn one ragged batch per lane; see :meth:`NativeChunker.learn`."""
        parts = [part for part in data if part is not None]
        if not parts:
            return [None] * len(data)
        self.nets = self._nets(len(data))
        for net, weights in zip(self.nets, (below, above), strict=True):
            for lane in range(len(data)):
                net.load(lane, weights[lane])
        values = 0 if parts[0].symbolic else self.below.n_inputs
        self.nets[0].start(values)
        self.nets[1].start(values + self._digits)
        tally, received = Tally(len(data)), []
        with np.errstate(all="ignore"):  # a net that diverges shows in its errors
            for each in rounds(data):
                received.append(self._learn(each, tally))
        for net, weights in zip(self.nets, (below, above), strict=True):
            for lane in range(len(data)):
                weights[lane] = net.flat(lane)
        return [
            None
            if part is None
            else (tally.errors(b), np.array([r[b] for r in received[: len(part)]], np.int64))
            for b, part in enumerate(data)
        ]

    def _learn(self, data: Round, tally: Tally) -> Annotated[Ints, "B"]:
        """Learn one round; return the number of inputs of the chunker, by lane."""
        below, above = self.nets
        O, B = self._n_targets, below.n_lanes  # noqa: E741
        T, watched = data.n_steps, below.n_outputs - O
        all_errors = np.zeros((T, B, O), below.dtype)
        surprising = np.ones(B, bool)
        received = np.zeros(B, np.int64)
        below.reset(data.here[0])
        above.reset(data.here[0])
        for t in range(T):
            lanes = data.here[t]
            surprised = lanes_where(surprising, lanes)
            if surprised is None or len(surprised):
                above.step(surprised, *self._to_chunker(data, t, surprised))
                received[slice(None) if surprised is None else surprised] += 1
            error = below.step(lanes, *data.inputs(t, lanes, self.below.n_inputs)).copy()
            goal = error[:, :O]
            data.miss(t, lanes, goal)
            aimed = data.aimed[t]
            if aimed is not None:
                goal[~(aimed if lanes is None else aimed[lanes])] = 0.0
            error[:, O:] -= self._state(lanes)[:, :watched]
            whole = slice(None) if lanes is None else lanes
            all_errors[t, whole] = goal
            below.learn(lanes, error, self._rate)
            # NaN is a miss.
            missed = ~(np.abs(all_errors[t]).max(axis=1) < self._threshold)
            if aimed is not None:
                surprising = missed | ~aimed
                missed &= aimed
            else:
                surprising = missed
            if missed.any():
                self._teach_chunker(data, t, lanes_where(missed, lanes))
        tally.note(all_errors, data)
        return received

    def _state(self, lanes: Lanes) -> Annotated[Floats, "n H+O"]:
        """Hidden units and outputs of the chunker, as numbers from 0 to 1."""
        above, whole = self.nets[1], slice(None) if lanes is None else lanes
        hidden = above.h[whole]
        hidden = 0.5 * (hidden + 1.0) if self._symmetric else hidden
        return np.concatenate([hidden, above.y[whole]], axis=1)

    def _to_chunker(
        self, data: Round, t: int, lanes: Lanes
    ) -> tuple[np.ndarray, np.ndarray | None]:
        rows, values = data.inputs(t, lanes, self.above.n_inputs)
        if self._digits:
            code = np.broadcast_to(self._code(t), (len(rows), self._digits))
            values = code if values is None else np.concatenate([values, code], axis=1)
        return rows, values

    def _teach_chunker(self, data: Round, t: int, lanes: Lanes) -> None:
        above = self.nets[1]
        error = above.y.copy() if lanes is None else above.y[lanes]
        data.miss(t, lanes, error[:, : self._n_targets])
        if self._digits:
            error[:, self._n_targets :] -= self._code(t + 1)
        above.learn(lanes, error, self._rate)

    def _code(self, t: int) -> np.ndarray:
        """Binary digits of a time step."""
        return (t >> np.arange(self._digits) & 1).astype(np.float32)

    def predict(
        self, below: Annotated[Floats, "B W"], data: Sequence[Sequences | None]
    ) -> list[Annotated[Floats, "M O"] | None]:
        """Return the automatizer's predictions at the steps that have a target."""
        net = LaneNets(self.below, len(data), self._depth, self.dtype)
        for lane in range(len(data)):
            net.load(lane, below[lane])
        return [
            None if part is None else net.outputs(lane, part)[:, : self._n_targets]
            for lane, part in enumerate(data)
        ]

    @property
    def nbytes(self) -> int:
        """Bytes of both nets of the last call, and of the steps stored for back-propagation."""
        return sum(net.nbytes for net in self.nets)
