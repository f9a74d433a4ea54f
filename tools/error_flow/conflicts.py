"""Input and output weight conflicts of a bare carrousel, and of one with a gate.

A cell stores the sign of one step. In the first demonstration, noise enters through the same weight
at all later steps. In the second, the stored sign disturbs the output at all earlier steps.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

STEPS, BATCH, UPDATES, RATE, NOISE = 21, 32, 4000, 0.05, 0.5
WINDOW = 50
"""Updates over which figures are averaged."""
DOUBLE = torch.float64

Kind = Literal["input", "output"]


def conflicts() -> dict[str, Any]:
    """Train all four nets."""
    return {
        kind: {name: train(kind, name == "gate") for name in ("bare", "gate")}
        for kind in ("input", "output")
    }


def train(kind: Kind, gated: bool) -> dict[str, Any]:
    """Train one weight, and two weights of a gate, by gradient descent on half the squared error.

    ``useful`` is the step at which the weight has to let through: the first, where the sign enters,
    or the last, where it is read. A second input marks this step for the gate.

    Returns:
        means over windows of updates: of the update of the weight by the useful step and by all
        others, of the weight, of the gate at both, and of the loss.
    """
    generator = torch.Generator().manual_seed(0)
    useful = 0 if kind == "input" else STEPS - 1
    other = torch.arange(STEPS) != useful
    weight = torch.tensor(0.1, dtype=DOUBLE)
    gate = torch.zeros(2, dtype=DOUBLE)  # from the mark, and a bias
    rows = []
    for _ in range(UPDATES):
        data = _draw(kind, generator)
        each = weight.expand(STEPS).clone().requires_grad_()  # a copy of the weight for each step
        gate = gate.detach().requires_grad_()
        opened = torch.sigmoid(gate[0] * ~other + gate[1]) if gated else torch.ones(STEPS).double()
        loss = _loss(kind, each * opened, *data)
        by_step, by_gate = torch.autograd.grad(loss, [each, gate], allow_unused=True)
        rows.append(
            [
                -float(by_step[useful]),
                -float(by_step[other].sum()),
                float(weight),
                float(opened[useful].detach()),
                float(opened[other][0].detach()),
                float(loss.detach()),
            ]
        )
        weight = weight - RATE * by_step.sum()
        gate = gate.detach() if by_gate is None else gate.detach() - RATE * by_gate
    means = np.array(rows).reshape(-1, WINDOW, len(rows[0])).mean(axis=1)
    names = ("useful", "others", "weight", "open", "open at others", "loss")
    return dict(zip(names, means.T.tolist(), strict=True))


def _draw(kind: Kind, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return signs ``[B]``, and inputs ``[B, T]``: the sign and then noise, or the sign alone."""
    signs = torch.randint(2, (BATCH,), generator=generator).double() * 2.0 - 1.0
    if kind == "output":
        return signs, torch.zeros(BATCH, STEPS).double()
    inputs = NOISE * torch.randn(BATCH, STEPS, generator=generator, dtype=DOUBLE)
    inputs[:, 0] = signs
    return signs, inputs


def _loss(kind: Kind, weights: Tensor, signs: Tensor, inputs: Tensor) -> Tensor:
    """Return half the squared error: of the last state, or of the output at all steps."""
    if kind == "input":
        return 0.5 * (signs - (weights * inputs).sum(1)).square().mean()
    wanted = torch.zeros_like(inputs)
    wanted[:, -1] = signs
    return 0.5 * (wanted - weights * signs[:, None]).square().sum(1).mean()
