"""History compression: a stack of predictors, each fed with the misses of the one below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.checks import check_int, check_number
from carrousel.contracts import Errors, Network
from carrousel.contracts.initial import initial_weights
from carrousel.errors import SettingError
from carrousel.learners.chunker.data import Round, Tally, check_data, rounds
from carrousel.learners.chunker.nets import LaneNets, check_network, lanes_where
from carrousel.learners.lanes import check_lane
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

RECENT = 100
"""Sequences over which the numbers of inputs are averaged."""

BLOCK = 64
"""Sequences that are predicted together."""


@dataclass(frozen=True)
class CompressorTraining:
    """Settings of :class:`CompressorLearner`.

    Args:
        rate: learning rate, the same at all levels.
        threshold: an input was predicted if every output was off by less than this; and a level is
            sure if each of its outputs is closer than this to 0 or 1.
        depth: inputs of a level over which its errors flow back, including the last.
        levels: number of predictors.
    """

    rate: float = 1.0
    threshold: float = 0.25
    depth: int = 3
    levels: int = 3

    def __post_init__(self) -> None:
        check_number("rate", self.rate, least=0.0)
        check_number("threshold", self.threshold, above=0.0)
        check_int("depth", self.depth, minimum=1, maximum=1000)
        check_int("levels", self.levels, minimum=1, maximum=100)


class CompressorLearner:
    """The multi-level history compressor (Schmidhuber 1992), in lanes.

    Level 0 sees every input and learns to predict the next one. An input that a level failed to
    predict is an input of the level above, which learns to predict its own next input from its
    earlier ones. These are fewer, so a long time lag below is a short one above. No level learns
    from the level above it.

    At each step the lowest level that is sure gives the stack's prediction. If level 0 is not sure
    of the next input, a surprise is likely, and level 1 predicts which; if it is not sure either,
    level 2, and so on. If no level is sure, level 0 predicts. A level is sure if all its outputs
    are near 0 or 1 and, where targets are classes, exactly one of them is near 1.

    An input after a step without a target counts as unpredicted at all levels, and so does the
    first input of a sequence. :meth:`predict` also reads the targets of earlier steps, to find
    which inputs were predicted; in next-symbol prediction they are those inputs.

    Args:
        network: the net of each level: simple units wired ``"direct"`` or ``"full"``.
        training: the settings.
        n_lanes: independent stacks.

    Raises:
        SettingError: the network has another cell or wiring, or a lane number is out of range.
        ShapeError: ``data`` has another number of parts than there are lanes, or other widths.
        DataError: data are not finite, or symbols are outside their alphabet.

    >>> from carrousel.contracts import Init, Simple
    >>> from carrousel.tasks.lags import NoiseFreeLag
    >>> task, rng = NoiseFreeLag(p=20), np.random.default_rng(0)
    >>> network = Network(21, 21, Simple(1), wiring="direct", init=Init(0.2))
    >>> learner = CompressorLearner(network, CompressorTraining(levels=2))
    >>> learner.begin(0, rng)
    >>> _ = learner.learn([task.sample(rng, 1000)])
    >>> learner.measures(0)  # level 1 sees the first and the last symbol only
    {'inputs_1': 2.0}
    >>> both = task.test(rng, 2)
    >>> task.correct(learner.predict([both])[0], both).tolist()
    [True, True]
    """

    def __init__(self, network: Network, training: CompressorTraining, n_lanes: int = 1) -> None:
        self.network, self.training = check_network(network, "compressor"), training
        if not isinstance(training, CompressorTraining):
            raise SettingError(argument="training", got=training, expected="a CompressorTraining")
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        self.levels = [LaneNets(network, n_lanes, training.depth) for _ in range(training.levels)]
        self._inputs = np.zeros((n_lanes, RECENT, training.levels), np.int64)
        self._seen = np.zeros(n_lanes, np.int64)

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and reset its state."""
        lane = self._lane(lane)
        for net in self.levels:
            net.load(lane, initial_weights(self.network, rng))
        self._inputs[lane] = self._seen[lane] = 0

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of the stack's predictions for each sequence, before it learned them.
        """
        symbolic = check_data(self.network, self.n_lanes, data)
        tally = Tally(self.n_lanes)
        for net in self.levels:
            net.start(0 if symbolic else self.network.n_inputs)
        for each in rounds(data):
            outputs, counts = _run(self.levels, each, self.training, learns=True)
            tally.note(each.errors(outputs), each)
            begun = slice(None) if each.here[0] is None else each.here[0]
            self._inputs[begun, self._seen[begun] % RECENT] = counts[begun]
            self._seen[begun] += 1
        return [None if part is None else tally.errors(b) for b, part in enumerate(data)]

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """The stack's predictions at the steps that have a target; weights do not change."""
        check_data(self.network, self.n_lanes, data)
        return [None if part is None else self._outputs(b, part) for b, part in enumerate(data)]

    def _outputs(self, lane: int, data: Sequences) -> Annotated[Floats, "M O"]:
        found = [np.zeros((0, self.network.n_outputs), np.float32)]
        for first in range(0, len(data), BLOCK):
            part = [data[n : n + 1] for n in range(first, min(first + BLOCK, len(data)))]
            nets = [net.copies(lane, len(part)) for net in self.levels]
            for net in nets:
                net.start(0 if data.symbolic else self.network.n_inputs)
            [only] = rounds(part)
            outputs, _ = _run(nets, only, self.training, learns=False)
            found += [outputs[each.target_steps, b] for b, each in enumerate(part)]
        return np.concatenate(found)

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of everything that a lane has learned."""
        lane = self._lane(lane)
        return {
            "weights": np.stack([net.flat(lane) for net in self.levels]),
            "inputs": self._inputs[lane].copy(),
            "seen": self._seen[lane].copy(),
        }

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore a lane's state from what :meth:`state` returned."""
        lane = self._lane(lane)
        for net, weights in zip(self.levels, state["weights"], strict=True):
            net.load(lane, weights)
        self._inputs[lane], self._seen[lane] = state["inputs"], state["seen"]

    def measures(self, lane: int) -> Mapping[str, float]:
        """Mean number of inputs of each level above the lowest, over the last 100 sequences."""
        lane = self._lane(lane)
        known = min(int(self._seen[lane]), RECENT)
        means = self._inputs[lane, :known].mean(axis=0) if known else np.zeros(0)
        return {f"inputs_{k}": float(mean) for k, mean in enumerate(means) if k}

    @property
    def nbytes(self) -> int:
        """Bytes of all levels and of the steps stored for back-propagation, all lanes together."""
        return sum(net.nbytes for net in self.levels)

    def _lane(self, lane: int) -> int:
        return check_lane(lane, self.n_lanes)


def _run(
    levels: Sequence[LaneNets], data: Round, training: CompressorTraining, *, learns: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Present one round; return the stack's outputs ``[T, B, O]``, and inputs by lane and level."""
    B, width = levels[0].n_lanes, levels[0].network.n_inputs
    outputs = np.zeros((data.n_steps, B, levels[0].n_outputs), levels[0].dtype)
    counts = np.zeros((B, len(levels)), np.int64)
    receives = np.ones((len(levels), B), bool)  # whether a level gets the next input
    with np.errstate(all="ignore"):  # a net that diverges shows in its errors
        for net in levels:
            net.reset(data.here[0])
        for t in range(data.n_steps):
            lanes = data.here[t]
            for k, net in enumerate(levels):
                takers = lanes_where(receives[k], lanes)
                if takers is None or len(takers):
                    net.step(takers, *data.inputs(t, takers, width))
                    counts[slice(None) if takers is None else takers, k] += 1
            outputs[t] = _prediction(levels, training.threshold, data.goals is None)
            some = data.aimed[t]
            aimed = np.ones(B, bool) if some is None else some
            missed = aimed.copy()
            for k, net in enumerate(levels):
                if k:
                    receives[k] = missed | ~aimed
                takers = lanes_where(missed, lanes)
                if takers is not None and not len(takers):
                    continue
                error = net.y.copy() if takers is None else net.y[takers]
                data.miss(t, takers, error)
                met = np.abs(error).max(axis=1) < training.threshold
                if learns:
                    net.learn(takers, error, training.rate)
                missed[slice(None) if takers is None else takers] = ~met
    return outputs, counts


def _prediction(levels: Sequence[LaneNets], threshold: float, classes: bool) -> np.ndarray:
    """Return the outputs of the lowest level that is sure, or of the lowest if none is."""
    found = levels[0].y.copy()
    undecided = np.ones(len(found), bool)
    for net in levels:
        sure = np.minimum(net.y, 1.0 - net.y).max(axis=1) < threshold
        if classes:
            sure &= np.count_nonzero(net.y > 0.5, axis=1) == 1
        first = undecided & sure
        found[first] = net.y[first]
        undecided &= ~sure
        if not undecided.any():
            break
    return found
