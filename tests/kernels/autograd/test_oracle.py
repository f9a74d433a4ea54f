"""Autograd with detached paths agrees with the truncated gradient of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import SQUASHES, Cell, Network, Training, Wiring
from carrousel.kernels import ReferenceKernel
from support.case import each
from support.drawn import Kind, drawn_data

torch = pytest.importorskip("torch")


def squash(kind: str, x):
    scale_shift = SQUASHES[kind]
    return x if scale_shift is None else scale_shift[0] * torch.sigmoid(x) + scale_shift[1]


def autograd(network: Network, training: Training, flat: np.ndarray, data) -> np.ndarray:
    """Return minus the gradient ``[W]`` of a batch, with ``detach`` where the paper truncates."""
    cell = network.cell
    assert isinstance(cell, Cell)
    B, C, size = cell.blocks, cell.n_cells, cell.block_size
    leaf = torch.tensor(flat, dtype=torch.float64, requires_grad=True)
    parts = {name: leaf[p.start : p.stop].reshape(p.shape) for name, p in network.layout.items()}
    bias = torch.zeros(cell.n_units, dtype=torch.float64)
    if network.biased_units:
        bias = bias.index_put((torch.tensor(network.biased_units),), parts["hidden_bias"])
    total = torch.zeros((), dtype=torch.float64)
    for one in data:
        goals = dict(zip(one.target_steps.tolist(), one.dense_targets(), strict=True))
        y = torch.full((cell.n_units,), training.initial_activation, dtype=torch.float64)
        s = torch.zeros(C, dtype=torch.float64)
        for t, row in enumerate(one.dense_inputs()):
            x = torch.tensor(row, dtype=torch.float64)
            net = parts["hidden_inputs"] @ x + bias
            if network.wiring == "full":
                net = net + parts["hidden_recurrent"] @ y.detach()
            gates = torch.sigmoid(torch.cat([net[:B], net[B + C :]]))
            y_in, y_out = gates[:B], gates[B:] if cell.output_gate else torch.ones(B).double()
            s = s + y_in.repeat_interleave(size) * squash(cell.g, net[B : B + C])
            y_cell = y_out.repeat_interleave(size) * squash(cell.h, s)
            y = torch.cat([y_in, y_cell, y_out if cell.output_gate else y_out[:0]])
            if t not in goals:
                continue
            seen = y_cell if network.wiring == "full" else torch.cat([x, y_cell])
            into = parts["output_cells"]
            if network.wiring == "layered":
                into = torch.cat([parts["output_inputs"], into], dim=1)
            net_k = into @ seen + (parts["output_bias"] if network.bias == "all" else 0)
            goal = torch.tensor(goals[t], dtype=torch.float64)
            if training.output_derivative:
                total = total + 0.5 * ((goal - torch.sigmoid(net_k)) ** 2).sum()
            else:
                loss = torch.nn.functional.binary_cross_entropy_with_logits
                total = total + loss(net_k, goal, reduction="sum")
    total.backward()
    return -leaf.grad.numpy()


@each(
    "cell, wiring, bias",
    [
        (Cell(2, 2), "full", "all"),
        (Cell(1, 3, g="[0,1]", h="identity"), "full", "gates"),
        (Cell(3, 1, g="identity", h="[-2,2]", output_gate=False), "full", "hidden"),
        (Cell(1, 1, g="[0,1]", h="identity", output_gate=False), "layered", "none"),
        (Cell(2, 3, g="[-4,4]", h="[0,1]"), "layered", "all"),
    ],
)
@each("derivative", [True, False])
def test_reference_agrees_with_autograd(cell: Cell, wiring: Wiring, bias: str, derivative: bool):
    rng = np.random.default_rng(17)
    network = Network(3, 2, cell, wiring=wiring, bias=bias)
    training = Training(1.0, update="epoch", output_derivative=derivative, initial_activation=0.5)
    data = drawn_data(network, rng, Kind(when="some"), [7, 1, 5, 12])
    flat = rng.normal(0, 0.4, (1, network.n_weights))
    learned = flat.copy()
    ReferenceKernel().learn(network, training, learned, np.ones(1), np.array([0]), [data])
    expected = autograd(network, training, flat[0], data)
    assert np.any(expected)
    # Two programs in float64, about a hundred roundings of terms of size 1 apart.
    np.testing.assert_allclose(learned[0] - flat[0], expected, rtol=1e-11, atol=1e-13)
