"""Networks that change with the gradient of several sequences: Adam, momentum, or plain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import Batches, Errors, Gradient, Kernel, Network, Training
from carrousel.contracts.initial import initial_weights
from carrousel.errors import SettingError
from carrousel.kernels import default_kernel, gradient_numbers
from carrousel.learners.gradient.learner import check_training
from carrousel.learners.gradient.rules import Rule
from carrousel.learners.lanes import check_lane, check_parts, generator_of, joined, words_of
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

SCALE = 2.0**60
"""Rate at which a kernel adds a gradient to a copy of the weights, from which it is then read.

A float32 next to a weight of size ``w`` keeps steps of ``6e-8 w``, so a gradient added at rate 1
would lose the digits below. At this rate one of 1e-17 stands clear of weights of size 10, one
of 1e20 does not overflow, and dividing it out again is exact.
"""

PIECE_STEPS = 4096
"""A piece of data whose gradient a kernel sums ends with the first sequence that reaches this."""


class BatchLearner:
    """Networks that change after each so many sequences, one in each lane.

    Kernels learn by plain gradient descent. So a copy of the weights learns a piece of data, all of
    whose sequences meet the same weights; how far it moved is their gradient. Pieces are counted
    from the first sequence of a lane: one ends where its batch is full, or where it has 4096 time
    steps. Gradients of pieces are added in float64, and so is all arithmetic of the change itself;
    weights have the kernel's type, and are rounded once a change.

    A lane's result does not depend on where its data are cut into calls of :meth:`learn`, to the
    last bit, nor on its neighbours. What lies behind the last whole piece of a call is therefore
    kept, and its gradient taken when the rest of the piece has come.

    Args:
        network: the net, the same for all lanes.
        training: the settings.
        n_lanes: independent copies, each with its own weights, data and state.
        kernel: where gradients are computed; by default the fastest that knows this gradient.

    Raises:
        SettingError: ``n_lanes`` is below 1, a lane number is out of range, the gradient cannot
            drive this network, or would need more than 64 GiB.
        ShapeError: ``data`` has another number of parts than there are lanes.
        DataError: data are not finite, or symbols are outside their alphabet.

    Source: Kingma & Ba, "Adam: a method for stochastic optimization", 2015.

    >>> from carrousel.contracts import Cell
    >>> learner = BatchLearner(Network(1, 1, Cell(1, 1), bias="all"), Batches(rate=0.05, size=2))
    >>> learner.begin(0, np.random.default_rng(1))
    >>> data = Sequences.from_lists([[0.5, 1.0]] * 200, [[1.0]] * 200)
    >>> [errors] = learner.learn([data])
    >>> bool(errors.max_abs[0] > 2 * errors.max_abs[-1])
    True
    """

    def __init__(
        self, network: Network, training: Batches, n_lanes: int = 1, kernel: Kernel | None = None
    ) -> None:
        if not isinstance(training, Batches):
            raise SettingError(f"training is {training!r}, expected a carrousel.contracts.Batches")
        self.network, self.training = network, training
        self.gradient = Gradient.named(training.gradient)
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        self._taught = Training(
            rate=SCALE,
            update="epoch",
            output_derivative=training.output_derivative,
            initial_activation=training.initial_activation,
        )
        check_training(network, self._taught, self.gradient, n_lanes)
        self.kernel: Kernel = default_kernel(self.gradient) if kernel is None else kernel
        shape, dtype = (n_lanes, network.n_weights), self.kernel.dtype
        self.weights: Annotated[Floats, "B W"] = np.zeros(shape, dtype)
        self._moved, self._gathered = np.zeros(shape, dtype), np.zeros(shape)
        self._counts = np.zeros(n_lanes, np.int64)  # sequences whose gradient is gathered
        self._rule = Rule(training, *shape)
        self._waiting: list[Sequences | None] = [None] * n_lanes
        self._rngs = [np.random.Generator(np.random.SFC64(0)) for _ in range(n_lanes)]
        self._rates = np.full(n_lanes, SCALE, dtype)
        self._from_first = np.zeros(n_lanes, np.int64)
        self._longest = 0

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and forget what it knew."""
        self.weights[self._lane(lane)] = initial_weights(self.network, rng)
        self._gathered[lane] = self._counts[lane] = 0
        self._rule.begin(lane)
        self._waiting[lane] = None
        self._rngs[lane] = np.random.Generator(np.random.SFC64(rng.integers(2**63)))

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of each sequence at the moment it was presented.
        """
        check_parts(data, self.n_lanes)
        runs = [self._run(lane, part) for lane, part in enumerate(data)]
        while True:
            pieces = [run.next_piece() for run in runs]
            if not any(pieces):
                break
            with np.errstate(all="ignore"):  # a lane may diverge: its errors will tell
                self._gather(runs, pieces)
                self._change()
        rests = [run.rest() for run in runs]
        if any(rests):  # of these only the errors are wanted by now
            self._teach(runs, rests, None)
        for lane, run in enumerate(runs):
            if data[lane] is not None:
                self._waiting[lane] = run.waiting()
                self._longest = max(self._longest, run.longest)
        return [run.errors() for run in runs]

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        check_parts(data, self.n_lanes)
        return self.kernel.predict(self.network, self._taught, self.weights, self._from_first, data)

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of all that a lane has learned, and of the sequences that wait for more."""
        lane = self._lane(lane)
        found = {
            "weights": self.weights[lane].copy(),
            "gathered": self._gathered[lane].copy(),
            "count": self._counts[lane].copy(),
            **self._rule.state(lane),
        }
        waiting = self._waiting[lane]
        if waiting is not None:
            for name in ("inputs", "offsets", "targets", "target_steps"):
                found[f"waiting_{name}"] = getattr(waiting, name).copy()
        if self.gradient.kind == "uoro":
            found["random"] = words_of(self._rngs[lane])
        return found

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Put a lane back into a state that :meth:`state` returned."""
        lane = self._lane(lane)
        self.weights[lane] = state["weights"]
        self._gathered[lane] = state["gathered"]
        self._counts[lane] = state["count"]
        self._rule.restore(lane, state)
        self._waiting[lane] = None
        if "waiting_inputs" in state:
            self._waiting[lane] = Sequences(
                inputs=state["waiting_inputs"].copy(),
                n_inputs=self.network.n_inputs,
                offsets=state["waiting_offsets"].copy(),
                targets=state["waiting_targets"].copy(),
                n_outputs=self.network.n_outputs,
                target_steps=state["waiting_target_steps"].copy(),
            )
        if self.gradient.kind == "uoro":
            self._rngs[lane] = generator_of(state["random"])

    def measures(self, lane: int) -> Mapping[str, float]:
        """Return nothing: weights and errors say it all."""
        check_lane(lane, self.n_lanes)
        return {}

    @property
    def nbytes(self) -> int:
        """Bytes of weights, of gathered gradients, and of what is kept between time steps.

        All lanes together; for what a gradient keeps see ``GradientLearner.nbytes``.
        """
        kept = gradient_numbers(self.network, self.gradient, self._longest)
        arrays = self.weights.nbytes + self._moved.nbytes + self._gathered.nbytes
        waiting = sum(part.nbytes for part in self._waiting if part is not None)
        between = self.n_lanes * kept * self.weights.itemsize
        return arrays + self._rule.nbytes + waiting + between

    def _run(self, lane: int, part: Sequences | None) -> _Run:
        if part is None:
            return _Run(None, 0, [])
        waiting = self._waiting[lane]
        if waiting is None:
            return _Run(part, 0, _ends(part, int(self._counts[lane]), self.training.size))
        joined = Sequences.concatenate([waiting, part])
        ends = _ends(joined, int(self._counts[lane]), self.training.size)
        return _Run(joined, len(waiting), ends)

    def _teach(
        self,
        runs: Sequence[_Run],
        pieces: Sequence[Sequences | None],
        rngs: Sequence[np.random.Generator] | None,
    ) -> None:
        """Let a copy of the weights learn a piece for each lane; note the errors."""
        np.copyto(self._moved, self.weights)
        errors = self.kernel.learn(
            self.network,
            self._taught,
            self._moved,
            self._rates,
            self._from_first,
            pieces,
            self.gradient,
            rngs,
        )
        for run, found in zip(runs, errors, strict=True):
            if found is not None:
                run.note(found)

    def _gather(self, runs: Sequence[_Run], pieces: Sequence[Sequences | None]) -> None:
        """Add the gradient of a piece for each lane to what is gathered."""
        self._teach(runs, pieces, self._rngs)
        lanes = [lane for lane, piece in enumerate(pieces) if piece is not None]
        rows = slice(None) if len(lanes) == self.n_lanes else lanes
        moved = np.subtract(self._moved[rows], self.weights[rows], dtype=np.float64)
        moved *= 1 / SCALE
        self._gathered[rows] += moved
        self._counts += [0 if piece is None else len(piece) for piece in pieces]

    def _change(self) -> None:
        """Change the weights of those lanes whose batch is full."""
        full = np.flatnonzero(self._counts == self.training.size)
        if len(full):
            change = self._rule.step(full, self._gathered[full])
            self.weights[full] = self.weights[full] + change
            self._gathered[full] = 0.0
            self._counts[full] = 0

    def _lane(self, lane: int) -> int:
        return check_lane(lane, self.n_lanes)


class _Run:
    """How far a lane has come with the data of one call."""

    def __init__(self, data: Sequences | None, known: int, ends: list[int]) -> None:
        self._data, self._known = data, known  # errors of the first ones were told before
        self._ends: Iterator[int] = iter(ends)
        self._done = 0
        self._found: list[Errors] = []

    def next_piece(self) -> Sequences | None:
        """The next whole piece."""
        end = next(self._ends, None)
        if end is None:
            return None
        assert self._data is not None
        first, self._done = self._done, end
        return self._data[first:end]

    def rest(self) -> Sequences | None:
        """What is new behind the last whole piece."""
        first = self._done or self._known  # a whole piece has in it all that waited for it
        if self._data is None or first == len(self._data):
            return None
        return self._data[first:]

    def waiting(self) -> Sequences | None:
        """A copy of all that lies behind the last whole piece."""
        if self._data is None or self._done == len(self._data):
            return None
        return self._data.take(np.arange(self._done, len(self._data)))

    def note(self, errors: Errors) -> None:
        """Note the errors of the next sequences."""
        self._found.append(errors)

    def errors(self) -> Errors | None:
        """The errors of all sequences of this call."""
        if self._data is None:
            return None
        found = joined(self._found)
        return found[self._known if self._done else 0 :]

    @property
    def longest(self) -> int:
        """Steps of the longest sequence."""
        return 0 if self._data is None else int(self._data.lengths.max(initial=0))


def _ends(data: Sequences, count: int, size: int) -> list[int]:
    """Where the pieces of a lane end, with ``count`` sequences of the batch gathered before."""
    ends, steps = [], 0
    for number, length in enumerate(data.lengths.tolist(), start=1):
        steps, count = steps + length, count + 1
        if count == size or steps >= PIECE_STEPS:
            ends.append(number)
            steps, count = 0, count % size
    return ends
