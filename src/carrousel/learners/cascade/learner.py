"""Recurrent Cascade-Correlation (Fahlman 1991): a network that grows its hidden units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts import Errors, Network, Simple
from carrousel.errors import SettingError, ShapeError
from carrousel.kernels.native.cascade import distinct
from carrousel.learners.cascade.data import packed
from carrousel.learners.cascade.lane import CachedBatch, Lane
from carrousel.learners.cascade.lane import CascadeTraining as CascadeTraining
from carrousel.learners.cascade.train import Phase as Phase
from carrousel.learners.lanes import check_lane, check_parts
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

MOST_KEPT = 2**24
"""Bytes of data and hidden activations that are cached for further predictions."""


class CascadeLearner:
    """Networks that begin without hidden units and grow them one by one, one network in each lane.

    Outputs see a bias, the inputs and all hidden units; a hidden unit sees a bias, the inputs, the
    units before it, and itself one step ago. Two phases alternate. First the outputs are trained
    until their error stagnates. Then a pool of candidates is trained to follow the outputs'
    residual errors; the best joins the network with its incoming weights frozen ("tenure") and
    with output weights of 0, so that at first no output changes. Once the network has all its
    units, only the outputs are trained.

    Learning is by batch: each ``training.epoch`` sequences of a call are one epoch, and the rest is
    a smaller one. The order of sequences within an epoch does not matter. An epoch that ends a
    phase changes no weights.

    Args:
        network: numbers of inputs and outputs, biases (``"none"``, ``"hidden"``, ``"all"``), and
            the range in which output weights and candidates begin. Its cell must be
            ``Simple(units=k)`` with ``k`` the MOST units that may grow, ``"logistic"`` or
            ``"tanh"``, and its wiring ``"direct"``, as inputs feed the outputs too. Its
            ``n_weights`` is therefore meaningless; see :meth:`measures`.
        training: settings.
        n_lanes: independent networks, each with its own data.

    Raises:
        SettingError: the network cannot grow, ``training`` is no :class:`CascadeTraining`, or a
            lane number is out of range.
        ShapeError: ``data`` has another number of parts than there are lanes, or another number of
            inputs or outputs than the network.
        DataError: data are not finite, or symbols are outside their alphabet.

    A network that overflows has errors that are not finite; no exception is raised.

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
        self._cache: dict[tuple[bytes, ...], CachedBatch] = {}

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh output weights for a lane and remove its hidden units."""
        self._lane(lane).begin(rng)

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of each sequence at the moment it was presented. They do not change while
            candidates are trained.
        """
        self._check(data)
        found: list[Errors | None] = []
        with np.errstate(all="ignore"):  # overflow shows in the errors
            for lane, part in zip(self._lanes, data, strict=True):
                found.append(None if part is None else lane.learn(part))
        return found

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        self._check(data)
        found: list[Annotated[Floats, "M O"] | None] = [None] * self.n_lanes
        alike: dict[bytes, list[int]] = {}  # lanes with equal nets predict in one pass
        for place, part in enumerate(data):
            if part is not None:
                alike.setdefault(self._lanes[place].fingerprint, []).append(place)
        for places in alike.values():
            parts = [part for place in places if (part := data[place]) is not None]
            with np.errstate(all="ignore"):
                whole = parts[0] if len(parts) == 1 else Sequences.concatenate(parts)
                outputs = self._outputs(self._lanes[places[0]], whole)
            ends = np.cumsum([len(part.targets) for part in parts])[:-1]
            for place, own in zip(places, np.split(outputs, ends), strict=True):
                found[place] = own
        return found

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of everything a lane has learned, and of its progress within a phase."""
        return {name: array.copy() for name, array in self._lane(lane).arrays.items()}

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore a lane's state from what :meth:`state` returned."""
        self._lane(lane).restore(state)

    def measures(self, lane: int) -> Mapping[str, float]:
        """``hidden_units`` grown so far, and ``weights``: theirs and those of the outputs."""
        return self._lane(lane).measures

    @property
    def nbytes(self) -> int:
        """Bytes of weights, of Quickprop's last steps and slopes, and of cached batches.

        The last batch of each lane and the latest data of :meth:`predict` are cached, with the
        activations of frozen units.
        """
        return self._cached_bytes + sum(lane.nbytes for lane in self._lanes)

    def _outputs(self, lane: Lane, data: Sequences) -> Annotated[Floats, "M O"]:
        """Outputs of one net; activations of its frozen units are cached, as tests repeat."""
        parts = (lane.frozen, data.inputs, data.offsets, data.target_steps)
        key = tuple(np.ascontiguousarray(part).tobytes() for part in parts)
        if key not in self._cache:
            batch, index = packed(data, distinct(data)[0])
            known = CachedBatch(lane.activated(batch), index)
            if known.nbytes > MOST_KEPT:
                return lane.predict(known)
            while self._cache and self._cached_bytes + known.nbytes > MOST_KEPT:
                del self._cache[next(iter(self._cache))]  # the oldest
            self._cache[key] = known
        return lane.predict(self._cache[key])

    @property
    def _cached_bytes(self) -> int:
        return sum(known.nbytes for known in self._cache.values())

    def _lane(self, lane: int) -> Lane:
        return self._lanes[check_lane(lane, self.n_lanes)]

    def _check(self, data: Sequence[Sequences | None]) -> None:
        check_parts(data, self.n_lanes)
        expected = self.network.n_inputs, self.network.n_outputs
        for lane, part in enumerate(data):
            if part is None:
                continue
            if (part.n_inputs, part.n_outputs) != expected:
                raise ShapeError(
                    f"data[{lane}] has {part.n_inputs} inputs and {part.n_outputs} outputs, "
                    f"expected {expected[0]} and {expected[1]} as the network",
                    argument="data",
                )
            part.check_contents()


def _check(network: Network, training: CascadeTraining) -> None:
    """Raise :class:`SettingError` for a network that cannot grow."""
    if not isinstance(training, CascadeTraining):
        raise SettingError(argument="training", got=training, expected="a CascadeTraining")
    if not isinstance(network.cell, Simple):
        raise SettingError(
            argument="cell",
            got=network.cell,
            expected="Simple(units=most), as 'cascade' grows simple units",
            fix="or take one of the learners 'truncated', 'bptt', 'rtrl'",
        )
    for name in ("output_range", "recurrent_range", "output_bias"):
        if getattr(network.init, name) is not None:
            raise SettingError(
                argument=name,
                got=getattr(network.init, name),
                expected="None, as 'cascade' draws all weights from one range",
            )
    if network.biased_outputs and not network.biased_units:
        raise SettingError(
            argument="bias", got=network.bias, expected="'none', 'hidden' or 'all' for 'cascade'"
        )
    if network.wiring != "direct":
        raise SettingError(
            argument="wiring",
            got=network.wiring,
            expected="'direct', as inputs feed the outputs too",
            fix="or take one of the learners 'bptt', 'rtrl'",
        )
