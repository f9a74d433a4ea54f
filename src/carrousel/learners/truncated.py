"""The learner of 1997: truncated gradient, plain gradient descent, constant memory in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from carrousel.contracts import Errors, Kernel, Network, Training
from carrousel.kernels import NativeKernel
from carrousel.networks import initial_weights
from carrousel.sequences import Sequences
from carrousel.shapes import Float, SettingError, ShapeError, check_int


class TruncatedLearner:
    """Networks that learn by the truncated gradient (equations 19 to 28), one in each lane.

    Error that reaches a gate or a cell input changes the weights into that unit and ends there;
    only inside a cell does it flow back in time, with factor exactly 1. So all that must be kept
    between time steps is one trace for each weight into a cell or an input gate, and a step costs
    O(1) per weight.

    Args:
        network: the net, the same for all lanes.
        training: learning rate, and when weights change.
        n_lanes: independent copies, each with its own weights, data and state.
        kernel: where the arithmetic is done; native lanes by default.

    Raises:
        SettingError: ``n_lanes`` is below 1, or a lane number is out of range.
        ShapeError: ``data`` has another number of parts than there are lanes.
        DataError: data are not finite, or symbols are outside their alphabet.

    >>> from carrousel.contracts import Cell
    >>> learner = TruncatedLearner(Network(1, 1, Cell(1, 1), bias="all"), Training(rate=0.5))
    >>> learner.begin(0, np.random.default_rng(1))
    >>> data = Sequences.from_lists([[0.5, 1.0]] * 200, [[1.0]] * 200)
    >>> [errors] = learner.learn([data])
    >>> bool(errors.max_abs[0] > 2 * errors.max_abs[-1])
    True
    """

    def __init__(
        self, network: Network, training: Training, n_lanes: int = 1, kernel: Kernel | None = None
    ) -> None:
        self.network, self.training = network, training
        self.n_lanes = check_int("n_lanes", n_lanes, minimum=1)
        self.kernel: Kernel = NativeKernel() if kernel is None else kernel
        self.weights: Float[np.ndarray, "B W"] = np.zeros(
            (n_lanes, network.n_weights), self.kernel.dtype
        )
        self._seen = np.zeros(n_lanes, np.int64)
        self._rates = np.full(n_lanes, training.rate, self.kernel.dtype)

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        """Draw fresh initial weights for a lane and forget what it knew."""
        self.weights[self._lane(lane)] = initial_weights(self.network, rng)
        self._seen[lane] = 0

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone.

        Returns:
            the errors of each sequence at the moment it was presented.
        """
        self._check(data)
        errors = self.kernel.learn(
            self.network, self.training, self.weights, self._rates, self._cells_from, data
        )
        for lane, part in enumerate(data):
            self._seen[lane] += 0 if part is None else len(part)
        return errors

    def predict(self, data: Sequence[Sequences | None]) -> list[Float[np.ndarray, "M O"] | None]:
        """Outputs at the steps that have a target; weights do not change."""
        self._check(data)
        return self.kernel.predict(
            self.network, self.training, self.weights, self._cells_from, data
        )

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of all that a lane has learned."""
        lane = self._lane(lane)
        return {"weights": self.weights[lane].copy(), "seen": self._seen[lane].copy()}

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Put a lane back into a state that :meth:`state` returned."""
        lane = self._lane(lane)
        self.weights[lane] = state["weights"]
        self._seen[lane] = state["seen"]

    @property
    def nbytes(self) -> int:
        """Bytes of weights and traces: O(W) for each lane, whatever the length of sequences.

        Traces: for each cell, one for every weight into it and one for every weight into its input
        gate (the ``2 C S I`` of the paper's complexity formula).
        """
        cell, units = self.network.cell, self.network.cell.n_units
        sources = self.network.n_inputs + (units if self.network.wiring == "full" else 0) + 1
        traces = 2 * cell.n_cells * sources
        return self.n_lanes * (self.network.n_weights + traces) * self.weights.itemsize

    @property
    def _cells_from(self) -> np.ndarray:
        """Sequences of the coming call after which cells and gates take part."""
        return np.maximum(self.training.cells_added_after - self._seen, 0)

    def _lane(self, lane: int) -> int:
        if not 0 <= lane < self.n_lanes:
            raise SettingError(f"lane is {lane}, expected 0..{self.n_lanes - 1}")
        return lane

    def _check(self, data: Sequence[Sequences | None]) -> None:
        if len(data) != self.n_lanes:
            raise ShapeError(
                f"data has {len(data)} parts for {self.n_lanes} lanes; pass None for idle lanes"
            )
