"""The usual choice: ``torch.nn.LSTM`` with full backpropagation through time and SGD.

It learns the same sequences one by one, but with another cell and another algorithm. Our reference
cannot verify it.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from benchmarks.contenders import Outcome
from benchmarks.contenders.padding import joined
from benchmarks.lanes.cases import Case

from carrousel.sequences import Sequences
from carrousel.shapes import Floats


class TorchLstm:
    """One net with as many hidden units as ours has gates and cells, learning sequence by sequence.

    Args:
        case: the learning task.
        sequences: sequences that :meth:`draw` makes.
    """

    name = "torch.nn.LSTM"
    exact = False
    n_lanes = 1

    def __init__(self, case: Case, sequences: int) -> None:
        self.case, self.sequences = case, sequences
        network = case.network
        self.detail = f"({network.n_inputs}, {network.cell.n_units}), full BPTT, SGD, 1 net"
        self._sum_sq: list[float] = []
        self._make()

    def draw(self, rng: np.random.Generator) -> list[Sequences]:
        """Draw all sequences as one part."""
        return [self.case.task.sample(rng, self.sequences)]

    def pack(self, parts: list[Sequences]) -> list[tuple[torch.Tensor, ...]]:
        """Convert each sequence to inputs ``[T, I]``, steps of its targets, and targets."""
        packed = []
        for one in joined(parts):
            arrays: tuple[Any, ...] = one.dense_inputs(), one.target_steps, one.dense_targets()
            packed.append(tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays))
        return packed

    def start(self, weights: Annotated[Floats, "B W"]) -> None:
        """Reset to torch's own initial weights; ours do not fit."""
        self._make()

    def learn(self, packed: list[tuple[torch.Tensor, ...]]) -> None:
        """Learn one sequence after the other."""
        self._sum_sq = []
        for x, steps, target in packed:
            hidden, _ = self._lstm(x)
            error = target - torch.sigmoid(self._read_out(hidden[steps]))
            loss = error.square().sum()
            self._optimiser.zero_grad()
            (loss / 2).backward()
            self._optimiser.step()
            self._sum_sq.append(float(loss.detach()))

    def outcome(self) -> Outcome:
        """Return the errors of the last :meth:`learn`; the weights have no counterpart in ours."""
        return Outcome(np.zeros((1, 0), np.float32), np.array([self._sum_sq], np.float32))

    def _make(self) -> None:
        torch.manual_seed(0)
        network, units = self.case.network, self.case.network.cell.n_units
        self._lstm = torch.nn.LSTM(network.n_inputs, units)
        self._read_out = torch.nn.Linear(units, network.n_outputs)
        both = [*self._lstm.parameters(), *self._read_out.parameters()]
        self._optimiser = torch.optim.SGD(both, lr=self.case.training.rate)
