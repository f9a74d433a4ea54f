"""Recurrent Cascade-Correlation (Fahlman 1991): a network that grows its hidden units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import Errors, Network, Simple
from carrousel.errors import SettingError, ShapeError
from carrousel.learners.cascade.batch import keys_of, packed
from carrousel.learners.cascade.lane import Answers, Lane
from carrousel.learners.cascade.lane import CascadeTraining as CascadeTraining
from carrousel.learners.cascade.train import Phase as Phase
from carrousel.learners.lanes import check_lane, check_parts
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

MOST_KEPT = 2**24
"""Bytes of data, and of what hidden units make of them, that are kept for further predictions."""


class CascadeLearner:
    """Networks that begin without hidden units and grow them one by one, one network in each lane.

    Outputs see a bias, the inputs and all hidden units; a hidden unit sees a bias, the inputs, the
    units before it, and itself one step ago. In turn, the outputs are trained until their error
    stagnates; then a pool of candidates, each to follow the outputs' residual errors as closely as
    it can; the best joins the network with its incoming weights frozen for good ("tenure"), and
    with output weights of 0, so that at first nothing changes. Once as many units as the network
    may have are there, the outputs go on training.

    Learning is by batch: of the sequences of one call, each run of ``training.epoch`` makes an
    epoch, what remains a smaller one. The order of the sequences of an epoch plays no part. Where
    the best of a pool is chosen, and where outputs stagnate, the epoch changes no weights: it is
    the one that showed it.

    Args:
        network: numbers of inputs and outputs, biases (``"none"``, ``"hidden"``, ``"all"``), and
            the range in which output weights and candidates begin. Its cell must be
            ``Simple(units=k)`` with ``k`` the MOST units that may grow, ``"logistic"`` or
            ``"tanh"``, and its wiring ``"direct"``, as inputs feed the outputs too. So its
            ``n_weights`` says nothing: what has grown is told by :meth:`measures`.
        training: settings.
        n_lanes: independent networks, each with its own data.

    Raises:
        SettingError: the network is none that can grow, ``training`` is of another kind, or a lane
            number is out of range.
        ShapeError: ``data`` has another number of parts than there are lanes, or another number of
            inputs or outputs than the network.
        DataError: data are not finite, or symbols are outside their alphabet.

    A network that outgrows the range of numbers has errors that are not finite; nothing is raised.

    >>> network = Network(2, 1, Simple(4), wiring="direct", bias="all")
    >>> learner = CascadeLearner(network, CascadeTraining(epoch=4))
    >>> learner.begin(0, np.random.default_rng(0))
    >>> xor = Sequences.from_lists(
    ...     [[[0.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]], [[1.0, 1.0]]], [[0.0], [1.0], [1.0], [0.0]]
    ... )
    >>> for _ in range(400):
    ...     [errors] = learner.learn([xor])
    >>> bool(errors.max_abs.max() < 0.1), learner.measures(0)["hidden_units"] >= 1
    (True, True)
    """

    def __init__(self, network: Network, training: CascadeTraining, n_lanes: int = 1) -> None:
        _check(network, training)
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        self.network, self.training = network, training
        self._lanes = [Lane(network, training) for _ in range(n_lanes)]
        self._asked: dict[tuple[bytes, ...], Answers] = {}

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh output weights for a lane, and drop its hidden units."""
        self._lane(lane).begin(rng)

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of each sequence at the moment it was presented. While candidates are
            trained these stand still.
        """
        self._check(data)
        found: list[Errors | None] = []
        with np.errstate(all="ignore"):  # what overflows shows in the errors
            for lane, part in zip(self._lanes, data, strict=True):
                found.append(None if part is None else lane.learn(part))
        return found

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        self._check(data)
        found: list[Annotated[Floats, "M O"] | None] = [None] * self.n_lanes
        alike: dict[bytes, list[int]] = {}  # lanes that hold the same net answer in one pass
        for place, part in enumerate(data):
            if part is not None:
                alike.setdefault(self._lanes[place].fingerprint, []).append(place)
        for places in alike.values():
            parts = [part for place in places if (part := data[place]) is not None]
            with np.errstate(all="ignore"):
                answers = self._answers(self._lanes[places[0]], Sequences.concatenate(parts))
            ends = np.cumsum([len(part.targets) for part in parts])[:-1]
            for place, answer in zip(places, np.split(answers, ends), strict=True):
                found[place] = answer
        return found

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of all that a lane has learned, and of where in which phase it stands."""
        return {name: array.copy() for name, array in self._lane(lane).arrays.items()}

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Put a lane back into a state that :meth:`state` returned."""
        self._lane(lane).restore(state)

    def measures(self, lane: int) -> Mapping[str, float]:
        """``hidden_units`` that have grown, and ``weights``, theirs and those of the outputs."""
        return self._lane(lane).measures

    @property
    def nbytes(self) -> int:
        """Bytes of weights, of what Quickprop remembers and of batches kept, all lanes together.

        Kept are the last batch of each lane and the latest data of :meth:`predict`, with the
        activations that frozen units have on them.
        """
        return self._bytes_asked + sum(lane.nbytes for lane in self._lanes)

    def _answers(self, lane: Lane, data: Sequences) -> Annotated[Floats, "M O"]:
        """Outputs of one net; exams ask the same questions again, and hidden units are frozen."""
        parts = (lane.frozen, data.inputs, data.offsets, data.target_steps)
        question = tuple(np.ascontiguousarray(part).tobytes() for part in parts)
        if question not in self._asked:
            batch, asked = packed(data, *keys_of(data))
            known = Answers(batch, asked, lane.activations(batch))
            if known.nbytes > MOST_KEPT:
                return lane.predict(known)
            while self._asked and self._bytes_asked + known.nbytes > MOST_KEPT:
                del self._asked[next(iter(self._asked))]  # the oldest
            self._asked[question] = known
        return lane.predict(self._asked[question])

    @property
    def _bytes_asked(self) -> int:
        return sum(known.nbytes for known in self._asked.values())

    def _lane(self, lane: int) -> Lane:
        return self._lanes[check_lane(lane, self.n_lanes)]

    def _check(self, data: Sequence[Sequences | None]) -> None:
        check_parts(data, self.n_lanes)
        wanted = self.network.n_inputs, self.network.n_outputs
        for lane, part in enumerate(data):
            if part is None:
                continue
            if (part.n_inputs, part.n_outputs) != wanted:
                raise ShapeError(
                    f"data[{lane}] has {part.n_inputs} inputs and {part.n_outputs} outputs, "
                    f"expected {wanted[0]} and {wanted[1]} as the network"
                )
            part.check_contents()


def _check(network: Network, training: CascadeTraining) -> None:
    """Refuse a network that cannot grow, and say who can drive it."""
    if not isinstance(training, CascadeTraining):
        raise SettingError(f"training is {training!r}, expected a CascadeTraining")
    if not isinstance(network.cell, Simple):
        raise SettingError(
            f"cell is {network.cell!r}, but 'cascade' grows simple units; expected "
            "Simple(units=most), or one of the learners 'truncated', 'bptt', 'rtrl'"
        )
    if network.init.output_range is not None:
        raise SettingError(
            f"output_range is {network.init.output_range}, but 'cascade' draws all weights from "
            "one range; leave it None"
        )
    if network.wiring != "direct":
        raise SettingError(
            f"wiring is {network.wiring!r}, but in a network that 'cascade' grows inputs feed the "
            "outputs too; expected 'direct', or one of the learners 'bptt', 'rtrl'"
        )
