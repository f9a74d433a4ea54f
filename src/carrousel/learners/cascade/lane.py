"""One network that grows by cascade-correlation, with the state of its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np

from carrousel.checks import check_int, check_number
from carrousel.contracts import Errors, Network, Simple
from carrousel.errors import SettingError
from carrousel.kernels.native.cascade import NativeCascade, TrainedOutputs, distinct
from carrousel.kernels.reference.cascade import CascadeData
from carrousel.learners.cascade.data import packed
from carrousel.learners.cascade.train import Phase, Progress, quickprop
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints

OUTPUTS = Phase(epsilon=1.0, threshold=0.01)
CANDIDATES = Phase(epsilon=1.0, threshold=0.03)
"""Default settings of the two phases."""


@dataclass(frozen=True)
class CascadeTraining:
    """Settings of cascade-correlation.

    Args:
        epoch: sequences that make one batch; weights change once per batch.
        pool: candidates that are trained for each new hidden unit.
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
                raise SettingError(argument=name, got=phase, expected="a Phase of training")
        check_number("offset", self.offset, least=0.0)
        if not isinstance(self.normalised, bool):
            raise SettingError(argument="normalised", got=self.normalised, expected="True or False")


class CachedBatch(NamedTuple):
    """A batch with hidden activations, and the index in it of each target of the data."""

    batch: NativeCascade
    places: Annotated[Ints, "targets"]

    @property
    def nbytes(self) -> int:
        return self.batch.nbytes + self.places.nbytes


@dataclass
class Epoch:
    """The batch of the last epoch, for the next one if it has the same sequences.

    Args:
        distinct: its distinct sequences and how often each occurs, as bytes.
        often: how often each occurs.
        counts: number of targets of each distinct sequence.
        batch: the batch with hidden activations.
        found: errors of the outputs, as long as their weights do not change.
    """

    distinct: bytes
    often: Annotated[Ints, "distinct"]
    counts: Annotated[Ints, "distinct"]
    batch: NativeCascade
    found: TrainedOutputs | None = None

    @property
    def nbytes(self) -> int:
        return len(self.distinct) + self.batch.nbytes


class Lane:
    """One growing network with the state of its training.

    Columns of every weight matrix are bias, inputs, hidden units. The self-weight of a hidden unit
    or candidate is in the column of the unit that it is or would become; columns after it are
    unused.
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
        # hidden units grown; whether candidates are being trained; epoch; end of patience
        self.arrays["stage"] = np.zeros(4, np.int64)
        self.arrays["best"] = np.zeros(())
        self._kept: Epoch | None = None

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
    def frozen(self) -> np.ndarray:
        """Weights into the hidden units that have grown."""
        return self.arrays["hidden"][: self.grown]

    @property
    def _output_weights(self) -> np.ndarray:
        return self.arrays["outputs"][:, : self.first + self.grown]

    @property
    def fingerprint(self) -> bytes:
        """Bytes that are equal for nets with equal outputs."""
        return self.frozen.tobytes() + self.arrays["outputs"].tobytes()

    @property
    def measures(self) -> dict[str, float]:
        k, network = self.grown, self.network
        into_hidden = k * (network.n_inputs + (network.bias != "none")) + k * (k + 1) // 2
        into_outputs = network.n_outputs * (network.n_inputs + (network.bias == "all") + k)
        return {"hidden_units": float(k), "weights": float(into_hidden + into_outputs)}

    @property
    def nbytes(self) -> int:
        kept = 0 if self._kept is None else self._kept.nbytes
        return kept + sum(array.nbytes for array in self.arrays.values())

    def learn(self, data: Sequences) -> Errors:
        size = self.training.epoch
        parts = [self._epoch(data[n : n + size]) for n in range(0, len(data), size)]
        if len(parts) == 1:
            return parts[0]
        none = np.zeros(0)
        empty = Errors(none, none, none, np.zeros(0, np.int64))
        return Errors(*(np.concatenate(column) for column in zip(empty, *parts, strict=True)))

    def predict(self, known: CachedBatch) -> Annotated[Floats, "M O"]:
        return known.batch.predict(self._output_weights).take(known.places, axis=0)

    def _epoch(self, data: Sequences) -> Errors:
        """Show one batch; change weights, or go over to the next phase."""
        which, sequences = distinct(data)
        if self._kept is None or self._kept.distinct != sequences:
            batch, _ = packed(data, which)
            self._kept = Epoch(sequences, np.bincount(which), batch.counts, self.activated(batch))
        epoch = self._kept
        if epoch.found is None:
            epoch.found = epoch.batch.train_outputs(self._output_weights, self.training.offset)
        found = epoch.found
        if self.arrays["stage"][1]:
            self._train_candidates(epoch, found)
        else:
            self._train_outputs(epoch, found)
        max_abs, sum_abs, sum_sq = found.sums[:, which]
        return Errors(max_abs, sum_abs, sum_sq, epoch.counts[which] * self.network.n_outputs)

    def activated(self, batch: CascadeData) -> NativeCascade:
        """Return a batch with the activations of the hidden units."""
        found = NativeCascade(batch, self.f)
        for unit, weights in enumerate(self.frozen):
            found.grow(weights[: self.first + unit + 1])
        return found

    def _train_outputs(self, epoch: Epoch, found: TrainedOutputs) -> None:
        phase = self.training.outputs
        squared = float((found.sums[2] * epoch.often).sum())
        if self._note(squared, phase) and self.grown < self.network.cell.n_units:
            self._gather_candidates()
            return
        slopes = found.slopes
        if self.network.bias != "all":
            slopes[:, 0] = 0.0
        self._step("outputs", slopes, phase)
        epoch.found = None

    def _train_candidates(self, epoch: Epoch, found: TrainedOutputs) -> None:
        phase, used = self.training.candidates, self.first + self.grown + 1
        pool = self.arrays["pool"][:, :used]
        merits, slopes = epoch.batch.train_pool(pool, found.errors, self.training.normalised)
        merits[np.isnan(merits)] = -np.inf  # a candidate that diverged is not the best
        if self._note(float(merits.max()), phase):
            self._grant_tenure(epoch, pool[np.argmax(merits)])
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
        """Draw a fresh pool, which depends only on the lane's seed and the units it has grown."""
        rng = np.random.default_rng((int(self.arrays["seed"]), self.grown))
        for part in ("pool", "pool_step", "pool_slope"):
            self.arrays[part][:] = 0.0
        pool = self.arrays["pool"][:, : self.first + self.grown + 1]
        pool[:] = rng.uniform(-1.0, 1.0, pool.shape) * self.network.init.range
        pool[:, 0] *= self.network.bias != "none"
        self.arrays["stage"][1:] = 1, 0, 0

    def _grant_tenure(self, epoch: Epoch, weights: np.ndarray) -> None:
        """Freeze a candidate as the next hidden unit, and return to training the outputs."""
        self.arrays["hidden"][self.grown, : len(weights)] = weights
        for part in ("outputs_step", "outputs_slope"):
            self.arrays[part][:] = 0.0
        self.arrays["stage"][:] = self.grown + 1, 0, 0, 0
        epoch.batch.grow(weights)
        epoch.found = None  # its slopes lack the new unit
