"""The neural sequence chunker: a second net learns the inputs that the first did not predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import Errors, Network, Simple
from carrousel.contracts.initial import initial_weights
from carrousel.errors import SettingError
from carrousel.learners.chunker.data import Round, Tally, check_data, rounds
from carrousel.learners.chunker.nets import LaneNets, Lanes, check_network, lanes_where
from carrousel.learners.lanes import check_lane
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

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
    predict: Literal["nothing", "hidden", "hidden+outputs"] = "hidden"
    chunker_wiring: Literal["same", "full"] = "same"
    time_code: int = 0

    def __post_init__(self) -> None:
        check_number("rate", self.rate, least=0.0)
        check_number("threshold", self.threshold, above=0.0)
        check_int("depth", self.depth, minimum=1, maximum=1000)
        check_choice("predict", self.predict, ("nothing", "hidden", "hidden+outputs"))
        check_choice("chunker_wiring", self.chunker_wiring, ("same", "full"))
        check_int("time_code", self.time_code, minimum=0, maximum=32)


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

    Raises:
        SettingError: the network has another cell or wiring, or a lane number is out of range.
        ShapeError: ``data`` has another number of parts than there are lanes, or other widths.
        DataError: data are not finite, or symbols are outside their alphabet.

    >>> from carrousel.contracts import Init, Simple
    >>> network = Network(101, 101, Simple(1), wiring="direct", init=Init(0.2))
    >>> learner = ChunkerLearner(network, ChunkerTraining(rate=1.0))
    >>> learner.automatizer.network.n_weights  # Table 2
    10506
    """

    def __init__(self, network: Network, training: ChunkerTraining, n_lanes: int = 1) -> None:
        self.network, self.training = check_network(network, "chunker"), training
        if not isinstance(training, ChunkerTraining):
            raise SettingError(argument="training", got=training, expected="a ChunkerTraining")
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        self._symmetric = isinstance(network.cell, Simple) and network.cell.f == "tanh"
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
        self.automatizer = LaneNets(below, n_lanes, training.depth)
        self.chunker = LaneNets(above, n_lanes, training.depth)
        self._surprises = np.zeros((n_lanes, RECENT), np.int64)
        self._seen = np.zeros(n_lanes, np.int64)

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and reset its state."""
        lane = self._lane(lane)
        for net in (self.automatizer, self.chunker):
            net.load(lane, initial_weights(net.network, rng))
        self._surprises[lane] = self._seen[lane] = 0

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of the automatizer's predictions for each sequence, before it learned them.
        """
        symbolic = check_data(self.network, self.n_lanes, data)
        values = 0 if symbolic else self.network.n_inputs
        self.automatizer.start(values)
        self.chunker.start(values + self.training.time_code)
        tally = Tally(self.n_lanes)
        with np.errstate(all="ignore"):  # a net that diverges shows in its errors
            for each in rounds(data):
                self._learn(each, tally)
        return [None if part is None else tally.errors(b) for b, part in enumerate(data)]

    def _learn(self, data: Round, tally: Tally) -> None:
        training, O, B = self.training, self.network.n_outputs, self.n_lanes  # noqa: E741
        below, above = self.automatizer, self.chunker
        H, T = above.n_hidden, data.n_steps
        all_errors = np.zeros((T, B, O), below.dtype)
        surprising = np.ones(B, bool)
        counts = np.zeros(B, np.int64)
        below.reset(data.here[0])
        above.reset(data.here[0])
        for t in range(T):
            lanes = data.here[t]
            surprised = lanes_where(surprising, lanes)
            if surprised is None or len(surprised):
                above.step(surprised, *self._to_chunker(data, t, surprised))
                counts[slice(None) if surprised is None else surprised] += 1
            error = below.step(lanes, *data.inputs(t, lanes, self.network.n_inputs)).copy()
            goal = error[:, :O]
            data.miss(t, lanes, goal)
            aimed = data.aimed[t]
            if aimed is not None:
                goal[~(aimed if lanes is None else aimed[lanes])] = 0.0
            if training.predict != "nothing":
                hidden = above.h if lanes is None else above.h[lanes]
                error[:, O : O + H] -= 0.5 * (hidden + 1.0) if self._symmetric else hidden
            if training.predict == "hidden+outputs":
                error[:, O + H :] -= above.y if lanes is None else above.y[lanes]
            whole = slice(None) if lanes is None else lanes
            all_errors[t, whole] = goal
            below.learn(lanes, error, training.rate)
            # NaN is a miss.
            missed = ~(np.abs(all_errors[t]).max(axis=1) < training.threshold)
            if aimed is not None:
                surprising = missed | ~aimed
                missed &= aimed
            else:
                surprising = missed
            if missed.any():
                self._teach_chunker(data, t, lanes_where(missed, lanes))
        tally.note(all_errors, data)
        begun = slice(None) if data.here[0] is None else data.here[0]
        self._surprises[begun, self._seen[begun] % RECENT] = counts[begun]
        self._seen[begun] += 1

    def _to_chunker(
        self, data: Round, t: int, lanes: Lanes
    ) -> tuple[np.ndarray, np.ndarray | None]:
        rows, values = data.inputs(t, lanes, self.chunker.network.n_inputs)
        if self.training.time_code:
            code = np.broadcast_to(self._code(t), (len(rows), self.training.time_code))
            values = code if values is None else np.concatenate([values, code], axis=1)
        return rows, values

    def _teach_chunker(self, data: Round, t: int, lanes: Lanes) -> None:
        error = self.chunker.y.copy() if lanes is None else self.chunker.y[lanes]
        data.miss(t, lanes, error[:, : self.network.n_outputs])
        if self.training.time_code:
            error[:, self.network.n_outputs :] -= self._code(t + 1)
        self.chunker.learn(lanes, error, self.training.rate)

    def _code(self, t: int) -> np.ndarray:
        """Binary digits of a time step."""
        return (t >> np.arange(self.training.time_code) & 1).astype(np.float32)

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """The automatizer's predictions at the steps that have a target; weights do not change."""
        check_data(self.network, self.n_lanes, data)
        O = self.network.n_outputs  # noqa: E741
        return [
            None if part is None else self.automatizer.outputs(lane, part)[:, :O]
            for lane, part in enumerate(data)
        ]

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of everything that a lane has learned."""
        lane = self._lane(lane)
        return {
            "automatizer": self.automatizer.flat(lane),
            "chunker": self.chunker.flat(lane),
            "surprises": self._surprises[lane].copy(),
            "seen": self._seen[lane].copy(),
        }

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore a lane's state from what :meth:`state` returned."""
        lane = self._lane(lane)
        self.automatizer.load(lane, state["automatizer"])
        self.chunker.load(lane, state["chunker"])
        self._surprises[lane] = state["surprises"]
        self._seen[lane] = state["seen"]

    def measures(self, lane: int) -> Mapping[str, float]:
        """Mean number of inputs that the chunker received, over the last 100 sequences."""
        lane = self._lane(lane)
        known = min(int(self._seen[lane]), RECENT)
        return {"surprises": float(self._surprises[lane, :known].mean())} if known else {}

    @property
    def nbytes(self) -> int:
        """Bytes of both nets and of the steps stored for back-propagation, all lanes together."""
        return self.automatizer.nbytes + self.chunker.nbytes

    def _lane(self, lane: int) -> int:
        return check_lane(lane, self.n_lanes)
