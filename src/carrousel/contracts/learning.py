"""Descriptions of learning: its settings, and the interfaces of kernels, learners and tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from carrousel.contracts.network import Network
from carrousel.sequences import Sequences
from carrousel.shapes import Bool, Float, Int, check_choice, check_int, check_number

Update = Literal["step", "sequence", "epoch"]


@dataclass(frozen=True)
class Training:
    """How the truncated gradient changes weights (sections 2.4 of the appendix, eqs. 19-28).

    Args:
        rate: learning rate ``alpha``.
        update: when weights change: at each ``"step"`` that has a target, at the end of each
            ``"sequence"``, or once per ``"epoch"`` (one call of ``learn``).
        output_derivative: whether the output error is ``f'(net) (t - y)`` (eq. 19) or ``t - y``.
        cells_added_after: number of sequences after which cells and gates join the network; until
            then only direct connections learn ("sequential network construction", section 4).
        initial_activation: activation of hidden units before the first step of a sequence.
    """

    rate: float
    update: Update = "sequence"
    output_derivative: bool = True
    cells_added_after: int = 0
    initial_activation: float = 0.0

    def __post_init__(self) -> None:
        check_number("rate", self.rate, least=0.0)
        check_choice("update", self.update, ("step", "sequence", "epoch"))
        check_int("cells_added_after", self.cells_added_after, minimum=0)
        check_number("initial_activation", self.initial_activation)


class Errors(NamedTuple):
    """What a lane's network got wrong while it learned, one entry per sequence.

    Every entry is over all targets and outputs of the sequence, at the moment each was presented.
    """

    max_abs: Float[np.ndarray, " N"]
    sum_abs: Float[np.ndarray, " N"]
    sum_sq: Float[np.ndarray, " N"]
    n_values: Int[np.ndarray, " N"]

    @property
    def mean_abs(self) -> Float[np.ndarray, " N"]:
        """Mean absolute error of each sequence."""
        return self.sum_abs / np.maximum(self.n_values, 1)

    def __getitem__(self, part: Any) -> Any:  # a run of sequences keeps the names
        if isinstance(part, slice):
            return Errors(*(column[part] for column in tuple(self)))
        return tuple(self)[part]


@runtime_checkable
class Kernel(Protocol):
    """Forward and learning passes over lanes: independent copies of one network.

    ``weights [B, W]`` is changed in place by ``learn``. Lane ``b`` learns ``data[b]``, its
    sequences in order, with rate ``rates[b]``; ``None`` leaves a lane alone. Its cells and gates
    take part from sequence ``cells_from[b]`` on. A lane's result does not depend on its neighbours.
    """

    name: str
    dtype: type[np.floating]

    def learn(
        self,
        network: Network,
        training: Training,
        weights: Float[np.ndarray, "B W"],
        rates: Float[np.ndarray, " B"],
        cells_from: Int[np.ndarray, " B"],
        data: Sequence[Sequences | None],
    ) -> list[Errors | None]:
        """Learn in place; return the errors of each lane."""
        ...

    def predict(
        self,
        network: Network,
        training: Training,
        weights: Float[np.ndarray, "B W"],
        cells_from: Int[np.ndarray, " B"],
        data: Sequence[Sequences | None],
    ) -> list[Float[np.ndarray, "M O"] | None]:
        """Outputs at every step that has a target, for each lane."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A network that learns, in one or many lanes; every lane is a trial of its own."""

    n_lanes: int

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and forget what it knew."""
        ...

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone."""
        ...

    def predict(self, data: Sequence[Sequences | None]) -> list[Float[np.ndarray, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        ...

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of all that a lane has learned."""
        ...

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Put a lane back into a state that :meth:`state` returned."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of weights and of everything kept between time steps, all lanes together."""
        ...


@runtime_checkable
class Task(Protocol):
    """What must be learned. A task knows no learner."""

    @property
    def n_inputs(self) -> int:
        """``I``, input units or symbols."""
        ...

    @property
    def n_outputs(self) -> int:
        """``O``, output units or classes."""
        ...

    def draw(self, rng: np.random.Generator) -> Task:
        """Fix what is drawn once (a training set); a task that makes data afresh returns itself."""
        ...

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` training sequences."""
        ...

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` test sequences, with the targets that success is judged by."""
        ...

    def correct(self, outputs: Float[np.ndarray, "M O"], data: Sequences) -> Bool[np.ndarray, " N"]:
        """Which sequences of ``data`` the outputs got right, by the task's own rule."""
        ...

    @property
    def tolerance(self) -> float:
        """A sequence counts as right in training while every absolute error stays below this."""
        ...

    @property
    def mean_length(self) -> float:
        """Expected time steps of a sequence; chunks of data are planned by it."""
        ...


LearnerFactory = Callable[[Network, Training, int], Learner]
"""Makes a learner with a number of lanes: ``factory(network, training, n_lanes)``."""
