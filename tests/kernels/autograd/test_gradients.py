"""Autograd with detached paths agrees with every gradient of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import SQUASHES, Cell, Gradient, Simple, Wiring
from support.case import each
from support.kernels.third_opinion import STRUCTURES, Case, case_of, follow

torch = pytest.importorskip("torch")

GRADIENTS = {
    "truncated": ["truncated"],
    "bptt": ["bptt", "rtrl", "snap:5"],
    "bptt:2": ["bptt:2"],
    "bptt:3:2": ["bptt:3:2"],
}
"""Gradients of the package that are equal for sequences of five steps."""


def squash(kind: str, x):
    scale_shift = SQUASHES[kind]
    return x if scale_shift is None else scale_shift[0] * torch.sigmoid(x) + scale_shift[1]


def hidden_step(case: Case, parts: dict, bias, x, y, s):
    """Return activations, states and the units that outputs read, after a step."""
    network, cell = case.network, case.network.cell
    net = parts["hidden_inputs"] @ x + bias
    if network.recurrent:
        net = net + parts["hidden_recurrent"] @ y[list(network.fed_back)]
    if isinstance(cell, Simple):
        y = torch.tanh(net) if cell.f == "tanh" else torch.sigmoid(net)
        return y, s, y
    B, C, size = cell.blocks, cell.n_cells, cell.block_size
    first = cell.read_units.start
    gates = torch.sigmoid(net)
    if cell.forget_gate:
        s = gates[B : 2 * B].repeat_interleave(size) * s
    s = s + gates[:B].repeat_interleave(size) * squash(cell.g, net[first : first + C])
    y_cell = squash(cell.h, s)
    if cell.output_gate:
        y_cell = gates[first + C :].repeat_interleave(size) * y_cell
    return torch.cat([gates[:first], y_cell, gates[first + C :]]), s, y_cell


def loss_of(case: Case, parts: dict, x, y, seen, goal):
    """Return the loss of one step."""
    if case.network.united:
        return 0.5 * ((goal - y[-len(goal) :]) ** 2).sum()
    net_k = parts["output_cells"] @ seen + parts.get("output_bias", 0)
    if case.network.direct:
        net_k = net_k + parts["output_inputs"] @ x
    if case.training.output_derivative:
        return 0.5 * ((goal - torch.sigmoid(net_k)) ** 2).sum()
    return torch.nn.functional.binary_cross_entropy_with_logits(net_k, goal, reduction="sum")


def autograd(case: Case, gradient: Gradient) -> np.ndarray:
    """Return minus the gradient ``[W]``, with ``detach`` where the gradient ends.

    Each target has a separate pass, in which steps too far back are constants.
    """
    network = case.network
    leaf = torch.tensor(case.flat, requires_grad=True)
    parts = {name: leaf[p.start : p.stop].reshape(p.shape) for name, p in network.layout.items()}
    bias = torch.zeros(network.cell.n_units).double()
    if network.biased_units:
        bias = bias.index_put((torch.tensor(network.biased_units),), parts["hidden_bias"])
    depth = case.steps if gradient.depth is None else gradient.depth
    total = torch.zeros(()).double()
    for t, goal in case.goals.items():
        sent = t
        while (sent + 1) % gradient.stride and sent + 1 < case.steps:
            sent += 1
        y, s = torch.tensor(case.start.y), torch.tensor(case.start.s)
        for tau in range(t + 1):
            x, seen = torch.tensor(case.inputs[tau]), y
            if tau <= sent - depth + 1:
                y, s = y.detach(), s.detach()
            if gradient.kind == "truncated":
                y = y.detach()
            y, s, seen = hidden_step(case, parts, bias, x, y, s)
            if tau == t:
                total = total + loss_of(case, parts, x, y, seen, torch.tensor(goal))
    total.backward()
    return -leaf.grad.numpy()


@pytest.mark.parametrize("gradient", GRADIENTS)
@each("cell, wiring", STRUCTURES)
def test_reference_agrees_with_autograd(cell: Cell | Simple, wiring: Wiring, gradient: str):
    place = STRUCTURES.index((cell, wiring))
    case = case_of(
        cell, wiring, "all", np.random.default_rng([place, 5]), derivative=bool(place % 2)
    )
    # Two programs in float64, some hundred roundings of terms of size 1 apart.
    theirs = autograd(case, Gradient.named(gradient))
    assert np.any(theirs)
    for name in GRADIENTS[gradient]:
        np.testing.assert_allclose(follow(case, name), theirs, rtol=1e-11, atol=1e-13, err_msg=name)
