"""Layers of cells from equations against built-in layers with the same equations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from carrousel import nn
from carrousel.kernels.native.sequence import is_compiled
from carrousel.nn.equations.equations import Equations
from support.case import case

SIZES = (4, 18)

OURS = {
    "lstm": Equations(
        "lstm",
        net_inputs=("i", "f", "g", "o"),
        states=("c",),
        equations="""
            i = sigmoid(i)
            f = sigmoid(f)
            g = tanh(g)
            o = sigmoid(o)
            c = f * c_prev + i * g
            h = o * tanh(c)
        """,
    ),
    "coupled": Equations(
        "coupled",
        net_inputs=("i", "g", "o"),
        states=("c",),
        equations="""
            i = sigmoid(i)
            c = c_prev + i * (tanh(g) - c_prev)
            h = sigmoid(o) * tanh(c)
        """,
    ),
    "no_output_gate": Equations(
        "no_output_gate",
        net_inputs=("i", "f", "g"),
        states=("c",),
        equations="c = sigmoid(f) * c_prev + sigmoid(i) * tanh(g)\nh = tanh(c)",
    ),
}
GRU = Equations(
    "gru",
    net_inputs=("r", "z", "n"),
    unit_parameters=("b",),
    equations="""
        r = sigmoid(r)
        z = sigmoid(z)
        n = tanh(n_x + r * (n_r + b))
        h = n + z * (h_prev - n)
    """,
)


def tensors(found: object) -> Iterable[Tensor]:
    """Every tensor of a result, in order."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, tuple):
        for each in found:
            yield from tensors(each)


def results(module: torch.nn.Module, inputs: Tensor, **call) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs of a module, and gradients of a fixed random function of them."""
    leaf = inputs.clone().requires_grad_()
    found = list(tensors(module(leaf, **call)))
    torch.manual_seed(7)
    loss = sum((each * torch.randn_like(each)).sum() for each in found)
    assert isinstance(loss, Tensor)
    # Parameters have torch's order and the same shapes in both modules.
    return found, list(torch.autograd.grad(loss, [leaf, *module.parameters()]))


def agree(ours: torch.nn.Module, theirs: torch.nn.Module, inputs: Tensor, **call) -> None:
    for mine, right in zip(
        results(ours, inputs, **call), results(theirs, inputs, **call), strict=True
    ):
        for a, b in zip(mine, right, strict=True):
            # float64, the same operations in another order, over a dozen steps.
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


OPTIONS = {
    "plain": {},
    "deep": {"num_layers": 2, "bidirectional": True},
    "projection": {"proj_size": 5},
    "tbptt": {"gradient": "tbptt:3"},
    "truncated": {"gradient": "truncated"},
    "recomputed": {"recompute": 4},
    "learned state": {"initial_state": "learned"},
    "no bias": {"bias": False},
}


@pytest.mark.parametrize("cell", OURS)
def test_layers_agree_with_built_in_ones(cell: str):
    for name, options in OPTIONS.items():
        with case(name):
            check_layer(cell, options)


def check_layer(cell: Any, options: dict):
    torch.manual_seed(0)
    built_in = nn.LSTM(*SIZES, cell=cell, dtype=torch.float64, **options)
    mine = nn.LSTM(*SIZES, cell=OURS[cell], dtype=torch.float64, **options)
    assert is_compiled(mine.recurrence, "float64")
    mine.load_state_dict(built_in.state_dict())
    resets = torch.rand(11, 3) < 0.2
    agree(mine, built_in, torch.randn(11, 3, 4, dtype=torch.float64))
    agree(mine, built_in, torch.randn(11, 3, 4, dtype=torch.float64), lengths=[11, 6, 1])
    if not options.get("bidirectional"):
        agree(mine, built_in, torch.randn(11, 3, 4, dtype=torch.float64), resets=resets)


def test_unit_parameters_and_direct_use_of_the_hidden_state():
    """The GRU multiplies one bias by its reset gate, and ``h`` depends on ``h_prev`` directly."""
    for gradient in ("bptt", "tbptt:4", "truncated"):
        with case(gradient):
            check_gru(gradient)


def check_gru(gradient: str):
    torch.manual_seed(0)
    built_in = nn.GRU(*SIZES, dtype=torch.float64, gradient=gradient)
    mine = nn.LSTM(*SIZES, cell=GRU, dtype=torch.float64, gradient=gradient)
    units = SIZES[1]
    with torch.no_grad():
        theirs = dict(built_in.named_parameters())
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            mine.get_parameter(name).copy_(theirs[name])
        mine.get_parameter("bias_hh_l0")[2 * units :] = 0
        mine.get_parameter("weight_unit_l0").copy_(theirs["bias_hh_l0"][None, 2 * units :])
    inputs = torch.randn(9, 3, 4, dtype=torch.float64)
    ours, our_gradients = results(mine, inputs)
    right, right_gradients = results(built_in, inputs)
    for a, b in zip(ours, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)
    names = ["input", *(name for name, _ in mine.named_parameters())]
    found = dict(zip(names, our_gradients, strict=True))
    expected = dict(
        zip(
            ["input", *(name for name, _ in built_in.named_parameters())],
            right_gradients,
            strict=True,
        )
    )
    for name in ("input", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-10)
    inner = expected["bias_hh_l0"][None, 2 * units :]
    torch.testing.assert_close(found["weight_unit_l0"], inner, rtol=1e-9, atol=1e-10)


def test_float32_error_of_layers_is_at_most_twice_that_of_torch():
    """Both errors are measured against float64."""
    torch.manual_seed(0)
    theirs = torch.nn.LSTM(16, 48)
    mine = nn.LSTM(16, 48, cell=OURS["lstm"])
    mine.load_state_dict(theirs.state_dict())
    inputs = torch.randn(60, 4, 16)
    double = torch.nn.LSTM(16, 48).double()
    double.load_state_dict(theirs.state_dict())
    exact = results(double, inputs.double())
    ours, naive = results(mine, inputs), results(theirs, inputs)
    for kind in (0, 1):
        for a, b, right in zip(ours[kind], naive[kind], exact[kind], strict=True):
            allowed = 2 * float((b - right).abs().max().detach())
            assert float((a - right).abs().max().detach()) <= allowed


def test_layer_learns():
    """A layer with stabilised exponential gates learns to store one marked input of twenty."""
    slstm = Equations(
        "sLSTM",
        net_inputs=("i", "f", "z", "o"),
        states=("c", "n", "m"),
        equations="""
            old = where(n_prev > 0, f + m_prev, i - 1000)
            m = max(old, i)
            i = exp(i - m)
            f = exp(old - m)
            c = f * c_prev + i * tanh(z)
            n = f * n_prev + i
            h = sigmoid(o) * c / n
        """,
    )
    torch.manual_seed(0)
    layer, read = nn.LSTM(2, 16, cell=slstm), torch.nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *read.parameters()], lr=0.02)
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(150):
        values = torch.tensor(rng.uniform(-1, 1, (20, 32)), dtype=torch.float32)
        marked = torch.tensor(rng.integers(0, 20, 32))
        marks = torch.nn.functional.one_hot(marked, 20).T.float()
        target = (values * marks).sum(0)
        output, _ = layer(torch.stack([values, marks], -1))
        error = (read(output[-1])[:, 0] - target).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    # A net that always answers zero has an error of 1/3, the variance of the values.
    assert np.mean(errors[-10:]) < 0.03
