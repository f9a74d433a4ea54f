"""The neural sequence chunker: a second net learns the inputs that the first did not predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol, get_args

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import Errors, Network
from carrousel.contracts.initial import initial_weights
from carrousel.errors import SettingError
from carrousel.kernels import NativeChunker
from carrousel.learners.chunker.data import check_data
from carrousel.learners.chunker.nets import check_network
from carrousel.learners.lanes import check_lane
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints

Watched = Literal["nothing", "hidden", "hidden+outputs"]
ChunkerWiring = Literal["same", "full"]

RECENT = 100
"""Sequences over which the number of surprises is averaged."""


@dataclass(frozen=True)
class ChunkerTraining:
    """Settings of :class:`ChunkerLearner`.

    Args:
        rate: learning rate of both nets.
        threshold: an input was predicted if every output was off by less than this. The paper
            prints no figure.
        depth: time steps of back-propagation in both nets, including the current one.
        predict: which part of the chunker's state the automatizer learns to predict as well:
            its ``"hidden"`` units (1997), ``"hidden+outputs"`` (1992), or ``"nothing"``.
        chunker_wiring: ``"full"`` takes the chunker's connections from inputs to outputs away.
            With them it can predict the next surprise from the last one without its hidden units,
            whose state is then of no use to the automatizer.
        time_code: binary digits of the time step that the chunker sees, and predicts, with each
            surprise: the "unique representation of time" of 1992. 0: none.
    """

    rate: float = 1.0
    threshold: float = 0.25
    depth: int = 3
    predict: Watched = "hidden"
    chunker_wiring: ChunkerWiring = "same"
    time_code: int = 0

    def __post_init__(self) -> None:
        check_number("rate", self.rate, least=0.0)
        check_number("threshold", self.threshold, above=0.0)
        check_int("depth", self.depth, minimum=1, maximum=1000)
        check_choice("predict", self.predict, get_args(Watched))
        check_choice("chunker_wiring", self.chunker_wiring, get_args(ChunkerWiring))
        check_int("time_code", self.time_code, minimum=0, maximum=32)


class PairKernel(Protocol):
    """Runs pairs of nets; see :class:`carrousel.kernels.NativeChunker`."""

    def learn(
        self,
        below: Annotated[Floats, "B W"],
        above: Annotated[Floats, "B W"],
        data: Sequence[Sequences | None],
    ) -> list[tuple[Errors, Annotated[Ints, "N"]] | None]:
        """Change the weights; return errors and the chunker's number of inputs, by lane."""
        ...

    def predict(
        self, below: Annotated[Floats, "B W"], data: Sequence[Sequences | None]
    ) -> list[Annotated[Floats, "M O"] | None]:
        """Return the automatizer's outputs at the steps that have a target."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of working memory."""
        ...


class ChunkerLearner:
    """Two nets in each lane (Schmidhuber 1992; row CH of Table 2, 1997).

    The automatizer A sees every input and learns to predict the next. An input that it fails to
    predict becomes an input of the chunker C, which sees only those, and so a shorter history. A
    also learns, at each step, to predict the state of C. If C remembers something that A has
    forgotten, these outputs force A to keep it, by errors that need not flow far.

    One step of a sequence, with ``x(t)`` and the target ``d(t)``, which is ``x(t+1)`` where the
    next input is to be predicted:

    1. If ``x(t)`` was a surprise, C receives it; else C does not change. The first input of
       a sequence is a surprise.
    2. A receives ``x(t)``. Its targets are ``d(t)`` and the present state of C; it learns from both
       errors at once.
    3. If ``d(t)`` was missed, so that ``x(t+1)`` is a surprise, C learns: the target of its outputs
       after its last input is ``d(t)``.

    An input after a step without a target was not predicted, so it is a surprise too, but C does
    not learn from it. Where targets are not the next input (classes, say), A and C predict the
    targets, and after a missed one the next input goes to C. Activations of both nets are zero at
    the start of each sequence. Outputs lie between 0 and 1, so a hidden unit ``h`` of C between -1
    and 1 (``Simple(n, "tanh")``) is predicted as ``(h + 1) / 2``.

    Give the network biases. Without them, the hidden units of both nets first learn to keep all
    outputs low, and are saturated when the chunker's errors arrive. See
    ``docs/derivations/chunker.md``.

    Args:
        network: both nets, simple units wired ``"direct"`` or ``"full"``; the automatizer has one
            more output for each number of the chunker's state that it predicts.
        training: the settings.
        n_lanes: independent copies, each with its own weights, data and surprises.
        kernel: creates the pair of nets: :class:`carrousel.kernels.NativeChunker`, or
            :class:`~carrousel.learners.chunker.reference.ReferenceChunker`.

    Raises:
        SettingError: the network has another cell or wiring, or a lane number is out of range.
        ShapeError: ``data`` has another number of parts than there are lanes, or other widths.
        DataError: data are not finite, or symbols are outside their alphabet.

    >>> from carrousel.contracts import Init, Simple
    >>> network = Network(101, 101, Simple(1), wiring="direct", init=Init(0.2))
    >>> learner = ChunkerLearner(network, ChunkerTraining(rate=1.0))
    >>> learner.automatizer.n_weights  # Table 2
    10506
    """

    def __init__(
        self,
        network: Network,
        training: ChunkerTraining,
        n_lanes: int = 1,
        kernel: Callable[..., PairKernel] = NativeChunker,
    ) -> None:
        self.network, self.training = check_network(network, "chunker"), training
        if not isinstance(training, ChunkerTraining):
            raise SettingError(argument="training", got=training, expected="a ChunkerTraining")
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        code = training.time_code
        above = replace(
            network,
            n_inputs=network.n_inputs + code,
            n_outputs=network.n_outputs + code,
            wiring=network.wiring if training.chunker_wiring == "same" else "full",
        )
        watched = {"nothing": 0, "hidden": above.cell.n_units}.get(
            training.predict, above.cell.n_units + above.n_outputs
        )
        below = replace(network, n_outputs=network.n_outputs + watched)
        self.automatizer, self.chunker = below, above
        self.kernel = kernel(
            below, above,
            rate=training.rate, threshold=training.threshold, depth=training.depth,
        )  # fmt: skip
        self._below = np.zeros((n_lanes, below.n_weights), np.float32)
        self._above = np.zeros((n_lanes, above.n_weights), np.float32)
        self._surprises = np.zeros((n_lanes, RECENT), np.int64)
        self._seen = np.zeros(n_lanes, np.int64)

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and reset its state."""
        lane = self._lane(lane)
        self._below[lane] = initial_weights(self.automatizer, rng)
        self._above[lane] = initial_weights(self.chunker, rng)
        self._surprises[lane] = self._seen[lane] = 0

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of the automatizer's predictions for each sequence, before it learned them.
        """
        check_data(self.network, self.n_lanes, data)
        errors: list[Errors | None] = []
        for lane, found in enumerate(self.kernel.learn(self._below, self._above, data)):
            errors.append(None if found is None else found[0])
            if found is not None:
                self._count(lane, found[1])
        return errors

    def _count(self, lane: int, received: Annotated[Ints, "N"]) -> None:
        """Note the number of inputs of the chunker in the latest sequences."""
        self._seen[lane] += len(received)
        last = received[-RECENT:]
        places = self._seen[lane] - len(last) + np.arange(len(last))
        self._surprises[lane, places % RECENT] = last

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """The automatizer's predictions at the steps that have a target; weights do not change."""
        check_data(self.network, self.n_lanes, data)
        return self.kernel.predict(self._below, data)

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of everything that a lane has learned."""
        lane = self._lane(lane)
        return {
            "automatizer": self._below[lane].copy(),
            "chunker": self._above[lane].copy(),
            "surprises": self._surprises[lane].copy(),
            "seen": self._seen[lane].copy(),
        }

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore a lane's state from what :meth:`state` returned."""
        lane = self._lane(lane)
        self._below[lane] = state["automatizer"]
        self._above[lane] = state["chunker"]
        self._surprises[lane] = state["surprises"]
        self._seen[lane] = state["seen"]

    def measures(self, lane: int) -> Mapping[str, float]:
        """Mean number of inputs that the chunker received, over the last 100 sequences."""
        lane = self._lane(lane)
        known = min(int(self._seen[lane]), RECENT)
        return {"surprises": float(self._surprises[lane, :known].mean())} if known else {}

    @property
    def nbytes(self) -> int:
        """Bytes of the weights of both nets of all lanes, and of the kernel's working memory."""
        return self._below.nbytes + self._above.nbytes + self.kernel.nbytes

    def _lane(self, lane: int) -> int:
        return check_lane(lane, self.n_lanes)
