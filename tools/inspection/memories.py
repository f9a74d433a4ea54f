"""Three memories of three nets: a fresh LSTM, one with forget biases, and the same after training.

The task is a latch: the sign of the first input is asked for after 50 steps of noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from carrousel.inspection import Report, inspect

LAG, SEQUENCES, UNITS, UPDATES, BIAS = 50, 6, 12, 400, 4.0
"""``BIAS`` is about the logarithm of the lag."""


class Latch(nn.Module):
    """An LSTM whose last output is read."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.read = nn.LSTM(1, UNITS, batch_first=True), nn.Linear(UNITS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return one logit for each sequence."""
        return self.read(self.lstm(x)[0][:, -1])[:, 0]


def draw(sequences: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return inputs ``[B, T, 1]`` and whether each begins with 1 instead of -1."""
    x = 0.5 * torch.randn(sequences, LAG + 1, 1, generator=generator)
    y = torch.randint(2, (sequences,), generator=generator).float()
    x[:, 0, 0] = 2.0 * y - 1.0
    return x, y


def inspected(model: Latch) -> Report:
    """Inspect a model on the same sequences."""
    x, y = draw(SEQUENCES, torch.Generator().manual_seed(1))
    y[:], x[:, 0, 0] = torch.arange(SEQUENCES) % 2, torch.arange(SEQUENCES) % 2 * 2.0 - 1.0
    return inspect(model, x, lambda z: nn.functional.binary_cross_entropy_with_logits(z, y), LAG)


def train(model: Latch) -> None:
    """Train by Adam."""
    generator = torch.Generator().manual_seed(2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(UPDATES):
        x, y = draw(32, generator)
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
        optimizer.step()


def memories() -> dict[str, Any]:
    """Return curves of the three memories of each net."""
    torch.manual_seed(0)
    model = Latch()
    found = {"fresh": curves(inspected(model))}
    with torch.no_grad():
        model.lstm.get_parameter("bias_ih_l0")[UNITS : 2 * UNITS] = BIAS
    found["forget biases"] = curves(inspected(model))
    train(model)
    found["trained"] = curves(inspected(model))
    return found


def curves(report: Report) -> dict[str, Any]:
    """Return the reach and the memory of states by lag, relative, the rise of the loss, states."""
    reach, used = report.read_reach(), report.used
    assert used is not None
    (twins,) = report.unit_memory
    state = twins.difference.mean(axis=1)
    return {
        "reach": reach.curve().tolist(),
        "state": (state / state[0]).tolist(),
        "lags": used.lags.tolist(),
        "rise": used.increase().tolist(),
        "loss": report.loss,
        "last states": sorted(np.abs(report.traces[0].s[-1]).tolist()),
        "faults": [fault.name for fault in report.faults],
    }
