"""Interfaces of kernels, learners and tasks, and the errors that they exchange."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from carrousel.contracts.learning import TRUNCATED, Gradient, Training
from carrousel.contracts.network import Network
from carrousel.sequences import Sequences
from carrousel.shapes import Bools, Floats, Ints


class Errors(NamedTuple):
    """Training errors of one lane, one entry per sequence.

    An entry covers all targets and outputs of the sequence. Errors are those at the moment of
    presentation, before the weights change.

    Fields:
        max_abs: largest absolute error, ``[N]``.
        sum_abs: sum of absolute errors, ``[N]``.
        sum_sq: sum of squared errors, ``[N]``.
        n_values: number of values summed over, ``[N]``.
    """

    max_abs: Annotated[Floats, "N"]
    sum_abs: Annotated[Floats, "N"]
    sum_sq: Annotated[Floats, "N"]
    n_values: Annotated[Ints, "N"]

    @property
    def mean_abs(self) -> Annotated[Floats, "N"]:
        """Mean absolute error of each sequence, ``[N]``."""
        return self.sum_abs / np.maximum(self.n_values, 1)

    def __getitem__(self, part: Any) -> Any:  # a slice of sequences, with the field names
        if isinstance(part, slice):
            columns: list[Any] = [column[part] for column in tuple(self)]
            return Errors(*columns)
        return tuple(self)[part]


@runtime_checkable
class Kernel(Protocol):
    """Forward and learning passes over lanes: independent copies of one network.

    Arguments of the methods:

    - ``weights [B, W]``: one row per lane; ``learn`` changes it in place.
    - ``rates [B]``: learning rate of each lane.
    - ``cells_from [B]``: number of the first sequence in which cells and gates take part.
    - ``data``: ``B`` ragged batches, learned in order; ``None`` skips a lane.
    - ``rngs``: ``B`` generators for gradients that draw random numbers.

    The result of a lane does not depend on the other lanes.
    """

    name: str
    dtype: type[np.floating]

    def learn(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        rates: Annotated[Floats, "B"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
        gradient: Gradient = TRUNCATED,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> list[Errors | None]:
        """Change ``weights`` in place; return the errors of each lane."""
        ...

    def gradient(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
        gradient: Gradient = TRUNCATED,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> tuple[Annotated[Floats, "B W"], list[Errors | None]]:
        """Compute the gradient of all sequences of each lane; weights do not change.

        ``training.rate``, ``training.update`` and ``training.factors`` do not matter: weights are
        constant throughout.

        Returns:
            the direction of descent ``[B, W]``, minus the derivative of the error summed over the
            lane's sequences (rows of idle lanes are zero), and the errors of each lane. Adding
            ``rates[:, None]`` times the direction to the weights is what :meth:`learn` does with
            ``update="epoch"`` and equal rates of all weights, apart from rounding.
        """
        ...

    def predict(
        self,
        network: Network,
        training: Training,
        weights: Annotated[Floats, "B W"],
        cells_from: Annotated[Ints, "B"],
        data: Sequence[Sequences | None],
    ) -> list[Annotated[Floats, "M O"] | None]:
        """Return the outputs ``[M, O]`` at all steps that have a target, for each lane."""
        ...


@runtime_checkable
class Learner(Protocol):
    """A network that learns, in one or many lanes; each lane is an independent trial."""

    n_lanes: int

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Start a lane with new initial weights, drawn from ``rng``."""
        ...

    def learn(self, data: Sequence[Sequences | None]) -> Sequence[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` skips a lane."""
        ...

    def predict(self, data: Sequence[Sequences | None]) -> list[Annotated[Floats, "M O"] | None]:
        """Return the outputs ``[M, O]`` at the steps that have a target; weights stay."""
        ...

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Return copies of a lane's weights and running quantities, by name."""
        ...

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore a lane from what :meth:`state` returned."""
        ...

    def measures(self, lane: int) -> Mapping[str, float]:
        """Return further figures of a lane by name, such as its number of grown units."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of weights and of everything kept between time steps, all lanes together."""
        ...


class MixedLearner(Learner, Protocol):
    """A learner whose lanes may differ in initial weights, and in settings that it names."""

    def assign(self, lane: int, network: Network, training: Any) -> None:
        """Give a lane its own settings, before :meth:`begin`; :meth:`restore` includes them."""
        ...


@runtime_checkable
class Task(Protocol):
    """A source of training and test sequences, with a criterion of success."""

    @property
    def n_inputs(self) -> int:
        """``I``, input units or symbols."""
        ...

    @property
    def n_outputs(self) -> int:
        """``O``, output units or classes."""
        ...

    def draw(self, rng: np.random.Generator) -> Task:
        """Return the task with its fixed sets drawn; a task without any returns itself."""
        ...

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` training sequences."""
        ...

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` test sequences, with the targets that define success."""
        ...

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether the outputs for each sequence are correct, by the task's criterion."""
        ...

    @property
    def tolerance(self) -> float:
        """In training, a sequence is correct while every absolute error stays below this."""
        ...

    @property
    def mean_length(self) -> float:
        """Expected number of time steps of a sequence, used to size chunks of data."""
        ...


LearnerFactory = Callable[[Network, Any, int], Learner]
"""``factory(network, training, n_lanes)`` returns a learner.

``training`` is a frozen dataclass of this learner's settings. A learner by gradient takes
:class:`Training` (the kernel changes weights while it runs) or :class:`Batches` (an update rule
receives the kernel's gradient).
"""
