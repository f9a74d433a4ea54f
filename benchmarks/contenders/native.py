"""Our native kernel, called in the same way as by the runner of experiments."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from benchmarks.contenders import Outcome
from benchmarks.lanes.cases import Case

from carrousel.contracts import Errors
from carrousel.kernels import NativeKernel
from carrousel.sequences import Sequences
from carrousel.shapes import Floats


class Native:
    """Lanes of :class:`carrousel.kernels.NativeKernel` on one thread.

    Args:
        case: the learning task.
        instruction_set: which compiled copy of the kernel.
        lanes: number of nets.
        batch: sequences that :meth:`draw` makes for each lane; by default as many as the runner.
    """

    name = "carrousel"
    exact = True

    def __init__(
        self, case: Case, instruction_set: str, lanes: int = 16, batch: int | None = None
    ) -> None:
        self.case, self.n_lanes = case, lanes
        self.batch = case.batch if batch is None else batch
        self.detail = instruction_set
        self.kernel = NativeKernel(instruction_set=instruction_set)
        self._rates = np.full(lanes, case.training.rate, np.float32)
        self._cells_from = np.zeros(lanes, np.int64)
        self._weights = np.zeros((lanes, case.network.n_weights), np.float32)
        self._errors: list[list[Errors | None]] = []

    def draw(self, rng: np.random.Generator) -> list[Sequences]:
        """Draw one part for each lane."""
        return [self.case.task.sample(rng, self.batch) for _ in range(self.n_lanes)]

    def pack(self, parts: list[Sequences]) -> list[list[Sequences]]:
        """Split all lanes into chunks, one for each call."""
        starts = range(0, len(parts[0]), self.case.chunk)
        return [[part[n : n + self.case.chunk] for part in parts] for n in starts]

    def start(self, weights: Annotated[Floats, "B W"]) -> None:
        """Reset to these weights."""
        self._weights[:] = weights

    def learn(self, packed: list[list[Sequences]]) -> None:
        """Learn chunk by chunk."""
        case = self.case
        self._errors = [
            self.kernel.learn(
                case.network, case.training, self._weights, self._rates, self._cells_from, chunk
            )
            for chunk in packed
        ]

    def outcome(self) -> Outcome:
        """Return the current weights and the errors of the last :meth:`learn`."""
        chunks = [np.stack([lane.sum_sq for lane in one if lane]) for one in self._errors]
        return Outcome(self._weights.copy(), np.concatenate(chunks, axis=1))
