"""Recurrent Cascade-Correlation (Fahlman 1991): a network that grows its hidden units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from carrousel.contracts import Errors, Network, Simple
from carrousel.learners.cascade_batch import Batch, Keys, keys_of, packed, squash
from carrousel.learners.cascade_train import (
    Outcome,
    Phase,
    Progress,
    correlation_slopes,
    errors_of,
    outcome,
    output_slopes,
    quickprop,
    squared_error,
)
from carrousel.sequences import Sequences
from carrousel.shapes import (
    Float,
    SettingError,
    ShapeError,
    check_int,
    check_number,
)

OUTPUTS = Phase(epsilon=1.0, threshold=0.01)
CANDIDATES = Phase(epsilon=1.0, threshold=0.03)
"""How outputs and candidates are trained unless one says otherwise."""


@dataclass(frozen=True)
class CascadeTraining:
    """Settings of cascade-correlation.

    Args:
        epoch: sequences that make one batch; weights change once per batch.
        pool: candidates that are trained side by side for each new hidden unit.
        outputs: how the outputs are trained.
        candidates: how the candidates are trained.
        offset: added to the derivative of the outputs' squashing ("sigmoid-prime offset").
        normalised: whether correlations are divided by the sum of squared errors.

    Raises:
        SettingError: a setting is out of its range.

    >>> CascadeTraining(pool=16).outputs.threshold
    0.01
    """

    epoch: int = 256
    pool: int = 8
    outputs: Phase = OUTPUTS
    candidates: Phase = CANDIDATES
    offset: float = 0.1
    normalised: bool = True

    def __post_init__(self) -> None:
        check_int("epoch", self.epoch, minimum=1)
        check_int("pool", self.pool, minimum=1, maximum=4096)
        for name, phase in (("outputs", self.outputs), ("candidates", self.candidates)):
            if not isinstance(phase, Phase):
                raise SettingError(f"{name} is {phase!r}, expected a Phase of training")
        check_number("offset", self.offset, least=0.0)
        if not isinstance(self.normalised, bool):
            raise SettingError(f"normalised is {self.normalised!r}, expected True or False")


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
        self._lanes = [_Lane(network, training) for _ in range(n_lanes)]

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

    def predict(self, data: Sequence[Sequences | None]) -> list[Float[np.ndarray, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        self._check(data)
        found: list[Float[np.ndarray, "M O"] | None] = [None] * self.n_lanes
        alike: dict[bytes, list[int]] = {}  # lanes that hold the same net answer in one pass
        for place, part in enumerate(data):
            if part is not None:
                alike.setdefault(self._lanes[place].fingerprint, []).append(place)
        for places in alike.values():
            parts = [part for place in places if (part := data[place]) is not None]
            with np.errstate(all="ignore"):
                answers = self._lanes[places[0]].predict(Sequences.concatenate(parts))
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
        """Bytes of weights, of what Quickprop remembers and of the batch kept, all lanes together.

        The batch is the last one seen, with the activations that frozen units have on it.
        """
        return sum(lane.nbytes for lane in self._lanes)

    def _lane(self, lane: int) -> _Lane:
        if not 0 <= lane < self.n_lanes:
            raise SettingError(f"lane is {lane}, expected 0..{self.n_lanes - 1}")
        return self._lanes[lane]

    def _check(self, data: Sequence[Sequences | None]) -> None:
        if len(data) != self.n_lanes:
            raise ShapeError(
                f"data has {len(data)} parts for {self.n_lanes} lanes; pass None for idle lanes"
            )
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


class _Lane:
    """One growing network, and where its training stands.

    Columns of every weight matrix are bias, inputs, hidden units. A hidden unit's or candidate's
    own past has the column of the unit that it is or would become; columns beyond are not used.
    """

    def __init__(self, network: Network, training: CascadeTraining) -> None:
        assert isinstance(network.cell, Simple)
        self.network, self.training, self.f = network, training, network.cell.f
        self.first = 1 + network.n_inputs
        columns = self.first + network.cell.units
        rows = {
            "hidden": network.cell.units,
            **dict.fromkeys(("outputs", "outputs_step", "outputs_slope"), network.n_outputs),
            **dict.fromkeys(("pool", "pool_step", "pool_slope"), training.pool),
        }
        self.arrays: dict[str, np.ndarray] = {
            name: np.zeros((n, columns)) for name, n in rows.items()
        }
        self.arrays["seed"] = np.zeros((), np.uint64)
        # hidden units grown; whether candidates are in training; epoch and end of patience
        self.arrays["stage"] = np.zeros(4, np.int64)
        self.arrays["best"] = np.zeros(())
        self._kept: tuple[Keys, Batch, np.ndarray] | None = None

    def begin(self, rng: np.random.Generator) -> None:
        for array in self.arrays.values():
            array[...] = 0
        self.arrays["seed"][...] = rng.integers(2**63)
        weights = self.arrays["outputs"][:, : self.first]
        weights[:] = rng.uniform(-1.0, 1.0, weights.shape) * self.network.init.range
        weights[:, 0] *= self.network.bias == "all"
        self._kept = None

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        for name, array in self.arrays.items():
            array[...] = state[name]
        self._kept = None

    @property
    def grown(self) -> int:
        return int(self.arrays["stage"][0])

    @property
    def fingerprint(self) -> bytes:
        parts = (
            self.arrays["stage"][:1],
            self.arrays["hidden"][: self.grown],
            self.arrays["outputs"],
        )
        return b"".join(part.tobytes() for part in parts)

    @property
    def measures(self) -> dict[str, float]:
        k, network = self.grown, self.network
        into_hidden = k * (network.n_inputs + (network.bias != "none")) + k * (k + 1) // 2
        into_outputs = network.n_outputs * (network.n_inputs + (network.bias == "all") + k)
        return {"hidden_units": float(k), "weights": float(into_hidden + into_outputs)}

    @property
    def nbytes(self) -> int:
        kept = 0 if self._kept is None else self._kept[1].nbytes + self._kept[2].nbytes
        return kept + sum(array.nbytes for array in self.arrays.values())

    def learn(self, data: Sequences) -> Errors:
        size = self.training.epoch
        parts = [self._epoch(data[n : n + size]) for n in range(0, len(data), size)]
        if len(parts) == 1:
            return parts[0]
        none = np.zeros(0)
        empty = Errors(none, none, none, np.zeros(0, np.int64))
        return Errors(*(np.concatenate(column) for column in zip(empty, *parts, strict=True)))

    def predict(self, data: Sequences) -> Float[np.ndarray, "M O"]:
        batch, asked = packed(data, *keys_of(data))
        net = batch.net(self.arrays["outputs"], self._activations(batch))
        return squash(net.take(asked, axis=1), "logistic").T

    def _epoch(self, data: Sequences) -> Errors:
        """Show one batch; change weights, or go over to the next phase."""
        keys, which = keys_of(data)
        if self._kept is None or self._kept[0] != keys:
            batch, _ = packed(data, keys, which)
            self._kept = keys, batch, self._activations(batch)
        _, batch, hidden = self._kept
        found = outcome(self.arrays["outputs"], batch, hidden)
        if self.arrays["stage"][1]:
            self._train_candidates(batch, hidden, found)
        else:
            self._train_outputs(batch, hidden, found)
        return errors_of(found, batch, which)

    def _train_outputs(self, batch: Batch, hidden: np.ndarray, found: Outcome) -> None:
        phase = self.training.outputs
        stagnant = self._note(squared_error(found, batch), phase)
        if stagnant and self.grown < self.network.cell.n_units:
            self._gather_candidates()
            return
        slopes = output_slopes(found, batch, hidden, self.training.offset)
        if self.network.bias != "all":
            slopes[:, 0] = 0.0
        self._step("outputs", slopes, phase)

    def _train_candidates(self, batch: Batch, hidden: np.ndarray, found: Outcome) -> None:
        phase, used = self.training.candidates, self.first + self.grown + 1
        pool = self.arrays["pool"][:, :used]
        merits, slopes = correlation_slopes(
            pool, batch, hidden, found.errors, self.f, self.training.normalised
        )
        merits[np.isnan(merits)] = -np.inf  # a candidate that diverged is not the best
        if self._note(float(merits.max()), phase):
            self._grant_tenure(pool[np.argmax(merits)])
            return
        if self.network.bias == "none":
            slopes[:, 0] = 0.0
        self._step("pool", -slopes, phase)  # uphill

    def _note(self, merit: float, phase: Phase) -> bool:
        stage = self.arrays["stage"]
        progress = Progress(int(stage[2]), int(stage[3]), float(self.arrays["best"]))
        progress, ended = progress.after(merit, phase)
        stage[2], stage[3], self.arrays["best"][...] = progress
        return ended

    def _step(self, name: str, slopes: np.ndarray, phase: Phase) -> None:
        used = slopes.shape[1]
        weights, step, slope = (
            self.arrays[name + part][:, :used] for part in ("", "_step", "_slope")
        )
        slopes = slopes + phase.decay * weights
        step[:] = quickprop(slopes, slope, step, phase.epsilon, phase.mu)
        slope[:] = slopes
        weights += step

    def _gather_candidates(self) -> None:
        """Draw a fresh pool; it depends on the lane's seed and the units it has grown alone."""
        rng = np.random.default_rng((int(self.arrays["seed"]), self.grown))
        for part in ("pool", "pool_step", "pool_slope"):
            self.arrays[part][:] = 0.0
        pool = self.arrays["pool"][:, : self.first + self.grown + 1]
        pool[:] = rng.uniform(-1.0, 1.0, pool.shape) * self.network.init.range
        pool[:, 0] *= self.network.bias != "none"
        self.arrays["stage"][1:] = 1, 0, 0

    def _grant_tenure(self, weights: np.ndarray) -> None:
        """Freeze a candidate as the next hidden unit, and go back to training the outputs."""
        self.arrays["hidden"][self.grown, : len(weights)] = weights
        for part in ("outputs_step", "outputs_slope"):
            self.arrays[part][:] = 0.0
        self.arrays["stage"][:] = self.grown + 1, 0, 0, 0
        self._kept = None

    def _activations(self, batch: Batch) -> Float[np.ndarray, "k N"]:
        """What the hidden units do on a batch, one after the other."""
        hidden = np.zeros((self.grown, batch.n_steps))
        for unit in range(self.grown):
            weights = self.arrays["hidden"][unit : unit + 1, : self.first + unit + 1]
            net = batch.net(weights, hidden[:unit])
            hidden[unit] = batch.run(net, weights[:, -1], self.f)[0]
        return hidden


def _check(network: Network, training: CascadeTraining) -> None:
    """Refuse a network that cannot grow, and say who can drive it."""
    if not isinstance(training, CascadeTraining):
        raise SettingError(f"training is {training!r}, expected a CascadeTraining")
    if not isinstance(network.cell, Simple):
        raise SettingError(
            f"cell is {network.cell!r}, but 'cascade' grows simple units; expected "
            "Simple(units=most), or one of the learners 'truncated', 'bptt', 'rtrl'"
        )
    if network.wiring != "direct":
        raise SettingError(
            f"wiring is {network.wiring!r}, but in a network that 'cascade' grows inputs feed the "
            "outputs too; expected 'direct', or one of the learners 'bptt', 'rtrl'"
        )
