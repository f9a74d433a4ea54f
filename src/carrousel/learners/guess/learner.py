"""Random weight guessing: draw all weights anew until a network happens to be right.

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
from carrousel.contracts import TRUNCATED, Errors, Kernel, Network, Simple, Training
from carrousel.contracts.initial import initial_weights
from carrousel.errors import SettingError, ShapeError
from carrousel.kernels import default_kernel
from carrousel.learners.guess.run import run_outputs_last
from carrousel.learners.lanes import check_lane, check_parts, generator_of, words_of
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

AHEAD = 8
"""Guesses of a lane that are run side by side, and sequences that they are sure to get through."""


@dataclass(frozen=True)
class GuessTraining:
    """When a guess is discarded, and which weights are not guessed at all.

    Args:
        tolerance: a guess is kept while all outputs at all targets are off by less than this.
        held: pairs of a place in the flat weight vector and the value that is held there, such as
            a missing connection's 0.
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
            raise SettingError(f"held names a place twice: {places}; name each weight once")


class GuessLearner:
    """Networks with guessed weights, one guess in each lane; nothing is ever changed by an error.

    A guess draws all weights uniformly from ``[-range, range]`` (``network.init.range``; the
    authors took 100). Sequences are presented one after another. The first one on which an output
    is off by ``tolerance`` or more discards the guess, and the next sequence meets a new one. So
    with a rule that asks for the 100 most recent sequences to be right, a trial ends with the first
    guess that gets 100 sequences in a row right. The authors drew a set of 100 training sequences
    once and showed it to each guess from its start; fresh sequences leave less room for luck.

    Every wiring is guessed: ``"united"`` (the authors' architecture A1) and ``"sparse"`` (A2), but
    memory cells as well. Kernels do not know sparse wiring; they get the same network united, its
    missing weights at zero. Nor do they know nets whose outputs change last: see
    :func:`carrousel.learners.guess.run.run_outputs_last`.

    Args:
        network: the net, the same for all lanes.
        training: when a guess is discarded.
        n_lanes: independent copies, each with its own guesses, data and state.
        kernel: where the arithmetic is done; by default the fastest there is.

    Raises:
        SettingError: ``n_lanes`` is below 1, a lane number is out of range, a held place is
            beyond the last weight, or outputs are to change last but are not among the units.
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
            raise SettingError(
                f"training is {training!r}, expected a carrousel.learners.guess.learner.GuessTraining"
            )
        for place, _ in training.held:
            if place >= network.n_weights:
                raise SettingError(
                    f"held place is {place}, expected 0..{network.n_weights - 1}: "
                    f"the network has {network.n_weights} weights"
                )
        if training.outputs_last and not (isinstance(network.cell, Simple) and network.united):
            raise SettingError(
                f"outputs_last is True, but in {network.wiring!r} wiring outputs are no units of "
                "the hidden layer and change last anyway; leave it False"
            )
        self.network, self.training = network, training
        self.kernel: Kernel = default_kernel(TRUNCATED) if kernel is None else kernel
        self._places = np.array([place for place, _ in training.held], np.int64)
        self._held = np.array([value for _, value in training.held])
        self._run_as = replace(network, wiring="united") if network.wiring == "sparse" else network
        self._expand = _Expansion(network, self._run_as)
        self.weights: Annotated[Floats, "B W"] = np.zeros(
            (n_lanes, network.n_weights), self.kernel.dtype
        )
        self._guesses = np.zeros(n_lanes, np.int64)
        self._rngs = [np.random.Generator(np.random.SFC64(0)) for _ in range(n_lanes)]
        # Guesses drawn ahead; with each guess, where the generator stood once it was drawn.
        self._ahead: list[deque[_Drawn]] = [deque() for _ in range(n_lanes)]
        self._stands = [words_of(rng) for rng in self._rngs]

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw a lane's first guess."""
        self._rngs[self._lane(lane)] = np.random.Generator(np.random.SFC64(rng.integers(2**63)))
        self._ahead[lane].clear()
        self._guesses[lane] = 0
        self._next(lane)

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Present one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Most guesses fall within a few sequences. So those to come are drawn ahead and run beside
        the current one: of the next eight sequences, it on all, the guess after it on all but the
        first, and so on. A guess that got eight right is run alone, on the next 16, 32, ... What a
        sequence meets depends on none of this.

        Returns:
            the errors of each sequence under the guess that met it.
        """
        self._check(data)
        found: list[Errors | None] = [None if part is None else _no_errors(part) for part in data]
        runs = [_Run(part, into) for part, into in zip(data, found, strict=True)]
        while True:
            if not any(run.width for run in runs):
                return found
            questions = [part for run in runs for part in run.questions()]
            weights = [
                each for lane, run in enumerate(runs) for each in self._candidates(lane, run)
            ]
            answers = iter(self._predict(np.array(weights), questions))
            for lane, run in enumerate(runs):
                fallen = run.hear(
                    [next(answers) for _ in range(run.width)], self.training.tolerance
                )
                for _ in range(fallen):
                    self._next(lane)

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs of the current guesses at the steps that have a target."""
        self._check(data)
        return self._predict(self.weights, data)

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of a lane's guess and of what the next ones depend on."""
        lane = self._lane(lane)
        return {
            "weights": self.weights[lane].copy(),
            "guesses": self._guesses[lane].copy(),
            "random": self._stands[lane].copy(),
        }

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Put a lane back into a state that :meth:`state` returned."""
        self.weights[self._lane(lane)] = state["weights"]
        self._guesses[lane] = state["guesses"]
        self._stands[lane] = state["random"].copy()
        self._rngs[lane] = generator_of(state["random"])
        self._ahead[lane].clear()

    def measures(self, lane: int) -> Mapping[str, float]:
        """Return how many guesses a lane has drawn, the current one included."""
        return {"guesses": float(self._guesses[self._lane(lane)])}

    @property
    def nbytes(self) -> int:
        """Bytes of all lanes' guesses, those drawn ahead included."""
        ahead = sum(drawn.weights.nbytes for queue in self._ahead for drawn in queue)
        return self.weights.nbytes + ahead

    def _candidates(self, lane: int, run: _Run) -> Iterator[np.ndarray]:
        """The current guess, and as many of those to come as a lane runs beside it."""
        queue = self._ahead[lane]
        while len(queue) < run.width - 1:
            queue.append(self._draw(lane))
        if run.width:
            yield self.weights[lane]
        yield from (drawn.weights for drawn in islice(queue, max(run.width - 1, 0)))

    def _draw(self, lane: int) -> _Drawn:
        weights = initial_weights(self.network, self._rngs[lane]).astype(self.kernel.dtype)
        weights[self._places] = self._held
        return _Drawn(weights, words_of(self._rngs[lane]))

    def _next(self, lane: int) -> None:
        queue = self._ahead[lane]
        drawn = queue.popleft() if queue else self._draw(lane)
        self.weights[lane], self._stands[lane] = drawn
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
        wanted = self.network.n_inputs, self.network.n_outputs
        for part in data:
            if part is None:
                continue
            if (part.n_inputs, part.n_outputs) != wanted:
                raise ShapeError(
                    f"data have {part.n_inputs} inputs and {part.n_outputs} outputs, "
                    f"the network has {wanted[0]} and {wanted[1]}"
                )
            part.check_contents()


class _Drawn(NamedTuple):
    weights: np.ndarray
    stands: np.ndarray  # where the generator stood then


class _Run:
    """How far a lane has come with its sequences, and how its next ones are run."""

    def __init__(self, data: Sequences | None, errors: Errors | None) -> None:
        self._data, self._errors = data, errors
        self._done, self._size = 0, AHEAD

    @property
    def width(self) -> int:
        """Guesses run side by side: several until the current one has proved itself."""
        left = 0 if self._data is None else len(self._data) - self._done
        return min(left, AHEAD if self._size == AHEAD else 1)

    def questions(self) -> Iterator[Sequences]:
        """The sequences that each of them may meet: each begins one later than the one before."""
        for place in range(self.width):
            assert self._data is not None
            yield self._data[self._done + place : self._done + self._size]

    def hear(self, answers: Sequence[np.ndarray | None], tolerance: float) -> int:
        """Note the outputs of each guess; return how many guesses fell."""
        if not answers:
            return 0
        asked, fallen, met = list(self.questions()), 0, 0
        while fallen < len(asked) and met < len(asked[0]):
            seen = answers[fallen]
            assert seen is not None
            assert self._errors is not None
            errors = _errors_of(seen, asked[fallen])[met - fallen :]
            wrong = ~(errors.max_abs < tolerance)
            more = int(np.argmax(wrong)) + 1 if wrong.any() else len(wrong)
            for column, new in zip(self._errors, errors, strict=True):
                column[self._done + met : self._done + met + more] = new[:more]
            met += more
            fallen += bool(wrong.any())
        self._done += met
        self._size = AHEAD if fallen else 2 * self._size
        return fallen


class _Expansion:
    """Writes networks' weights as those of the network that stands in for theirs."""

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
        dense[:, self._into] = weights  # what has no place here stays zero
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
