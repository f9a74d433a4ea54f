"""Random weight guessing: draw all weights again until a network happens to be right.

Schmidhuber, Hochreiter & Bengio, "Evaluating benchmark problems by random guessing", in Kolen &
Kremer (eds.), A Field Guide to Dynamical Recurrent Networks, 2001, sections 2 to 4; Hochreiter &
Schmidhuber, "LSTM can solve hard long time lag problems", NIPS 9, 1997.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, NamedTuple

import numpy as np

from carrousel.checks import check_int, check_number
from carrousel.contracts import Errors, Kernel, Network, Simple, Training
from carrousel.contracts.initial import initial_weights
from carrousel.errors import SettingError, ShapeError
from carrousel.kernels import default_kernel
from carrousel.learners.guess.run import run_outputs_last
from carrousel.learners.lanes import check_lane, check_parts, generator_words, restored_generator
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

AHEAD = 8
"""Guesses of a lane that run together, and the number of sequences in one such run."""


@dataclass(frozen=True)
class GuessTraining:
    """When a guess is discarded, and which weights are fixed.

    Args:
        tolerance: a guess is kept while all outputs at all targets are off by less than this.
        held: pairs of an index into the flat weight vector and its fixed value, such as 0 for a
            missing connection.
        outputs_last: in a net whose outputs are among its units, whether the other units change
            first, and outputs see their new activations; else all units change at once.

    Raises:
        SettingError: the tolerance is not above 0, a held place is negative or named twice, or a
            held value is not finite.

    >>> GuessTraining(tolerance=0.1, held=((2, 1.0),)).held
    ((2, 1.0),)
    """

    tolerance: float
    held: tuple[tuple[int, float], ...] = ()
    outputs_last: bool = False

    def __post_init__(self) -> None:
        check_number("tolerance", self.tolerance, above=0.0)
        for place, value in self.held:
            check_int("held place", place, minimum=0)
            check_number("held value", value)
        places = [place for place, _ in self.held]
        if len(set(places)) < len(places):
            raise SettingError(
                f"held names a place twice: {places}",
                argument="held",
                got=self.held,
                fix="name each weight once",
            )


class GuessLearner:
    """Networks with guessed weights, one guess in each lane; errors never change a weight.

    A guess draws all weights uniformly from ``[-range, range]`` (``network.init.range``; the
    authors took 100). Sequences are presented one after another. The first one on which an output
    is off by ``tolerance`` or more discards the guess, and the next sequence meets a new one. With
    a stop rule over the 100 most recent sequences, a trial ends with the first guess that gets 100
    sequences in a row right. The authors tested each guess on the same 100 training sequences;
    fresh sequences make lucky guesses less likely.

    Every wiring is guessed: ``"united"`` (the authors' architecture A1) and ``"sparse"`` (A2), but
    memory cells as well. Kernels run sparse networks in united wiring, with missing weights at
    zero. Nets whose outputs change last are run by
    :func:`carrousel.learners.guess.run.run_outputs_last`.

    Args:
        network: the net, the same for all lanes.
        training: when a guess is discarded.
        n_lanes: independent copies, each with its own guesses, data and state.
        kernel: runs the network; by default the fastest one.

    Raises:
        SettingError: ``n_lanes`` is below 1, a lane number is out of range, a held place is
            beyond the last weight, or ``outputs_last`` is set and outputs are not among the units.
        ShapeError: ``data`` has another number of parts than there are lanes, or other numbers of
            inputs and outputs than the network.
        DataError: data are not finite, or symbols are outside their alphabet.

    >>> from carrousel.contracts import Init, Simple
    >>> from carrousel.kernels import ReferenceKernel
    >>> network = Network(1, 1, Simple(1), wiring="united", bias="all", init=Init(100.0))
    >>> learner = GuessLearner(network, GuessTraining(tolerance=0.1), kernel=ReferenceKernel())
    >>> learner.begin(0, np.random.default_rng(1))
    >>> both = Sequences.from_lists([[1.0, 0.0], [-1.0, 0.0]] * 100, [[1.0], [0.0]] * 100)
    >>> [errors] = learner.learn([both])
    >>> bool((errors.max_abs[-50:] < 0.1).all()), learner.measures(0)["guesses"] < 100
    (True, True)
    """

    def __init__(
        self,
        network: Network,
        training: GuessTraining,
        n_lanes: int = 1,
        kernel: Kernel | None = None,
    ) -> None:
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        if not isinstance(training, GuessTraining):
            raise SettingError(argument="training", got=training, expected="a GuessTraining")
        for place, _ in training.held:
            if place >= network.n_weights:
                raise SettingError(
                    f"held place is {place}, expected 0..{network.n_weights - 1}: "
                    f"the network has {network.n_weights} weights",
                    argument="held",
                    got=training.held,
                )
        if training.outputs_last and not (isinstance(network.cell, Simple) and network.united):
            raise SettingError(
                f"outputs_last is True, but in {network.wiring!r} wiring outputs are no units of "
                "the hidden layer and change last anyway",
                argument="outputs_last",
                got=True,
                fix="leave it False",
            )
        self.network, self.training = network, training
        self.kernel: Kernel = default_kernel() if kernel is None else kernel
        self._places = np.array([place for place, _ in training.held], np.int64)
        self._held = np.array([value for _, value in training.held])
        self._run_as = replace(network, wiring="united") if network.wiring == "sparse" else network
        self._expand = _Expansion(network, self._run_as)
        self.weights: Annotated[Floats, "B W"] = np.zeros(
            (n_lanes, network.n_weights), self.kernel.dtype
        )
        self._guesses = np.zeros(n_lanes, np.int64)
        self._rngs = [np.random.Generator(np.random.SFC64(0)) for _ in range(n_lanes)]
        # Guesses drawn ahead, each with the generator's state after drawing it.
        self._ahead: list[deque[_Drawn]] = [deque() for _ in range(n_lanes)]
        self._words = [generator_words(rng) for rng in self._rngs]

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw a lane's first guess."""
        self._rngs[self._lane(lane)] = np.random.Generator(np.random.SFC64(rng.integers(2**63)))
        self._ahead[lane].clear()
        self._guesses[lane] = 0
        self._next(lane)

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Present one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Most guesses fail within a few sequences. So the next guesses are drawn ahead and run
        together with the current one: of the next eight sequences, the current guess runs all, the
        following one all but the first, and so on. A guess that got eight right runs alone, on the
        next 16, 32, ... The results do not depend on this.

        Returns:
            the errors of each sequence under the guess that met it.
        """
        self._check(data)
        found: list[Errors | None] = [None if part is None else _no_errors(part) for part in data]
        runs = [_GuessRun(part, into) for part, into in zip(data, found, strict=True)]
        while True:
            if not any(run.width for run in runs):
                return found
            parts = [part for run in runs for part in run.parts()]
            weights = [
                each for lane, run in enumerate(runs) for each in self._candidates(lane, run)
            ]
            outputs = iter(self._predict(np.array(weights), parts))
            for lane, run in enumerate(runs):
                failed = run.note(
                    [next(outputs) for _ in range(run.width)], self.training.tolerance
                )
                for _ in range(failed):
                    self._next(lane)

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs of the current guesses at the steps that have a target."""
        self._check(data)
        return self._predict(self.weights, data)

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of a lane's guess, their number, and the random generator's state."""
        lane = self._lane(lane)
        return {
            "weights": self.weights[lane].copy(),
            "guesses": self._guesses[lane].copy(),
            "random": self._words[lane].copy(),
        }

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore a lane's state from what :meth:`state` returned."""
        self.weights[self._lane(lane)] = state["weights"]
        self._guesses[lane] = state["guesses"]
        self._words[lane] = state["random"].copy()
        self._rngs[lane] = restored_generator(state["random"])
        self._ahead[lane].clear()

    def measures(self, lane: int) -> Mapping[str, float]:
        """Return the number of guesses of a lane, including the current one."""
        return {"guesses": float(self._guesses[self._lane(lane)])}

    @property
    def nbytes(self) -> int:
        """Bytes of all lanes' guesses, including those drawn ahead."""
        ahead = sum(drawn.weights.nbytes for queue in self._ahead for drawn in queue)
        return self.weights.nbytes + ahead

    def _candidates(self, lane: int, run: _GuessRun) -> Iterator[np.ndarray]:
        """Yield the current guess and the following ones that run with it."""
        queue = self._ahead[lane]
        while len(queue) < run.width - 1:
            queue.append(self._draw(lane))
        if run.width:
            yield self.weights[lane]
        yield from (drawn.weights for drawn in islice(queue, max(run.width - 1, 0)))

    def _draw(self, lane: int) -> _Drawn:
        weights = initial_weights(self.network, self._rngs[lane]).astype(self.kernel.dtype)
        weights[self._places] = self._held
        return _Drawn(weights, generator_words(self._rngs[lane]))

    def _next(self, lane: int) -> None:
        queue = self._ahead[lane]
        drawn = queue.popleft() if queue else self._draw(lane)
        self.weights[lane], self._words[lane] = drawn
        self._guesses[lane] += 1

    def _predict(
        self, weights: np.ndarray, data: Sequence[Sequences | None]
    ) -> list[np.ndarray | None]:
        dense = self._expand(weights)
        if self.training.outputs_last:
            return run_outputs_last(self._run_as, dense, data)
        from_first = np.zeros(len(data), np.int64)
        return self.kernel.predict(self._run_as, Training(rate=0.0), dense, from_first, data)

    def _lane(self, lane: int) -> int:
        return check_lane(lane, self.n_lanes)

    def _check(self, data: Sequence[Sequences | None]) -> None:
        check_parts(data, self.n_lanes)
        expected = self.network.n_inputs, self.network.n_outputs
        for part in data:
            if part is None:
                continue
            if (part.n_inputs, part.n_outputs) != expected:
                raise ShapeError(
                    f"data have {part.n_inputs} inputs and {part.n_outputs} outputs, "
                    f"the network has {expected[0]} and {expected[1]}",
                    argument="data",
                )
            part.check_contents()


class _Drawn(NamedTuple):
    weights: np.ndarray
    words: np.ndarray  # the generator's state after drawing


class _GuessRun:
    """Progress of one lane through its sequences, and how the next ones are run."""

    def __init__(self, data: Sequences | None, errors: Errors | None) -> None:
        self._data, self._errors = data, errors
        self._done, self._size = 0, AHEAD

    @property
    def width(self) -> int:
        """Guesses that run together: several until the current one has got eight right."""
        left = 0 if self._data is None else len(self._data) - self._done
        return min(left, AHEAD if self._size == AHEAD else 1)

    def parts(self) -> Iterator[Sequences]:
        """Yield the sequences of each guess; each part begins one sequence later than the last."""
        for place in range(self.width):
            assert self._data is not None
            yield self._data[self._done + place : self._done + self._size]

    def note(self, outputs: Sequence[np.ndarray | None], tolerance: float) -> int:
        """Store the errors of each guess; return how many guesses failed."""
        if not outputs:
            return 0
        given, failed, met = list(self.parts()), 0, 0
        while failed < len(given) and met < len(given[0]):
            found = outputs[failed]
            assert found is not None
            assert self._errors is not None
            errors = _errors_of(found, given[failed])[met - failed :]
            wrong = ~(errors.max_abs < tolerance)
            more = int(np.argmax(wrong)) + 1 if wrong.any() else len(wrong)
            for column, new in zip(self._errors, errors, strict=True):
                column[self._done + met : self._done + met + more] = new[:more]
            met += more
            failed += bool(wrong.any())
        self._done += met
        self._size = AHEAD if failed else 2 * self._size
        return failed


class _Expansion:
    """Copies weights into the layout of the network that the kernel runs."""

    def __init__(self, given: Network, dense: Network) -> None:
        self._width = dense.n_weights
        self._into = np.arange(given.n_weights)
        if given is dense:
            return
        units, outs = given.cell.n_units, given.n_outputs
        inner = np.arange(units - outs)
        place = dense.views(np.arange(dense.n_weights))
        among = place["hidden_recurrent"]
        sparse = {
            **place,
            "hidden_self": among[inner, inner],
            "hidden_outputs": among[: units - outs, units - outs :],
            "output_recurrent": among[units - outs :],
        }
        self._into = np.concatenate([sparse[name].ravel() for name in given.layout])

    def __call__(self, weights: Annotated[Floats, "B W"]) -> np.ndarray:
        dense = np.zeros((len(weights), self._width), weights.dtype)
        dense[:, self._into] = weights  # missing connections stay zero
        return dense


def _no_errors(part: Sequences) -> Errors:
    n = len(part)
    return Errors(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.int64))


def _errors_of(outputs: np.ndarray, data: Sequences) -> Errors:
    """Errors of each sequence; one without a target has none."""
    found = _no_errors(data)
    off = np.abs(outputs - data.dense_targets(), dtype=np.float64)
    counts = np.diff(data.target_offsets)
    some = counts > 0
    starts = data.target_offsets[:-1][some]
    if len(starts):
        found.max_abs[some] = np.maximum.reduceat(off.max(axis=1), starts)
        found.sum_abs[some] = np.add.reduceat(off.sum(axis=1), starts)
        found.sum_sq[some] = np.add.reduceat(np.square(off).sum(axis=1), starts)
        found.n_values[:] = counts * data.n_outputs
    return found
