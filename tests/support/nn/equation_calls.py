"""Runs one step of a user-defined cell: by its compiled code, with guard words, and by torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from carrousel.kernels.described import DescribedCell
from carrousel.nn.equations.addresses import prototype

GUARD = 7

LSTM = """
i = sigmoid(i)
f = sigmoid(f)
g = tanh(g)
o = sigmoid(o)
c = f * c_prev + i * g
h = o * tanh(c)
"""
"""The LSTM of torch: net inputs i, f, g, o and a state c."""


class Given(NamedTuple):
    """Inputs of a step; each row is a vector of ``C`` numbers."""

    x: np.ndarray
    r: np.ndarray
    states: np.ndarray
    h: np.ndarray
    unit: np.ndarray


class Forward(NamedTuple):
    """Results of the forward pass."""

    states: np.ndarray
    output: np.ndarray
    tape: np.ndarray


class Backward(NamedTuple):
    """Gradients with respect to the inputs of a step."""

    states: np.ndarray
    x: np.ndarray
    r: np.ndarray
    h: np.ndarray
    unit: np.ndarray


def given(cell: DescribedCell, units: int, seed: int, dtype: str = "float64") -> Given:
    """Random inputs from a normal distribution."""
    rng = np.random.default_rng(seed)
    kind = cell.kind
    counts = (len(kind.net_inputs),) * 2 + (len(kind.states), 1, len(kind.unit_parameters))
    return Given(*(rng.standard_normal((rows, units)).astype(dtype) for rows in counts))


class Memory:
    """Buffers filled with NaN, with guard words around each."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.blocks: list[np.ndarray] = []

    def put(self, values: np.ndarray) -> np.ndarray:
        block = np.full(values.size + 2 * GUARD, 12345.0, self.dtype)
        self.blocks.append(block)
        inside = block[GUARD : GUARD + values.size].reshape(values.shape)
        inside[...] = values
        return inside

    def empty(self, rows: int, units: int) -> np.ndarray:
        return self.put(np.full((rows, units), np.nan, self.dtype))

    def check(self) -> None:
        for block in self.blocks:
            np.testing.assert_array_equal(block[:GUARD], 12345.0)
            np.testing.assert_array_equal(block[-GUARD:], 12345.0)


def _pointers(arrays: list[np.ndarray]) -> list[int | None]:
    return [array.ctypes.data if array.size else None for array in arrays]


def forward(cell: DescribedCell, values: Given) -> Forward:
    """Run the forward pass of one step by compiled code."""
    dtype, units = str(values.x.dtype), values.x.shape[1]
    memory = Memory(dtype)
    inputs = [memory.put(each) for each in values]
    outputs = [memory.empty(rows, units) for rows in (len(values.states), 1, cell.tape)]
    prototype(8)(cell.forward[dtype])(units, *_pointers([*inputs, *outputs]))
    memory.check()
    for mine, theirs in zip(inputs, values, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    return Forward(*outputs)


def backward(
    cell: DescribedCell,
    values: Given,
    tape: np.ndarray,
    by_output: np.ndarray,
    by_states: np.ndarray,
) -> Backward:
    """Run the backward pass by compiled code; it must add to ``unit``, which starts from one."""
    dtype, units = str(values.x.dtype), values.x.shape[1]
    memory = Memory(dtype)
    inputs = [memory.put(e) for e in (tape, values.states, values.h, values.unit, by_output)]
    states = memory.put(by_states)
    nets = len(values.x)
    x, r, h = (memory.empty(rows, units) for rows in (nets, nets, 1))
    unit = memory.put(np.ones_like(values.unit))
    prototype(10)(cell.backward[dtype])(units, *_pointers([*inputs, states, x, r, h, unit]))
    memory.check()
    return Backward(states, x, r, h, unit - 1)


def by_torch(
    cell: DescribedCell, values: Given, by_output: np.ndarray, by_states: np.ndarray
) -> tuple[Forward, Backward]:
    """Run both passes by the torch step and autograd."""
    leaves = [torch.tensor(each, requires_grad=True) for each in values]
    x, r, s, h, unit = (tuple(leaf) for leaf in leaves)
    states, output, gates = cell.torch_step(x, r, s, h[0], unit)
    assert len(gates) == len(x)
    loss = (output * torch.tensor(by_output[0])).sum()
    for state, by in zip(states, by_states, strict=True):
        loss = loss + (state * torch.tensor(by)).sum()
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    grads = [
        np.zeros(e.shape) if g is None else g.numpy() for e, g in zip(values, found, strict=True)
    ]
    dx, dr, ds, dh, dunit = grads
    rows = [state.detach().numpy() for state in states]
    stacked = np.stack(rows) if rows else np.empty((0, values.x.shape[1]))
    results = Forward(stacked, output.detach().numpy()[None], np.empty(0))
    return results, Backward(ds, dx, dr, dh, dunit)


def compare(cell: DescribedCell, units: int, seed: int, rtol: float = 1e-11) -> None:
    """Assert that compiled code and torch agree on a step and on its gradient, in float64.

    Both round each operation once. ``rtol`` is relative to the largest number of an array and
    allows thousands of roundings.
    """
    values = given(cell, units, seed)
    rng = np.random.default_rng(seed + 1)
    by_output = rng.standard_normal((1, units))
    by_states = rng.standard_normal(values.states.shape)
    results = forward(cell, values)
    gradients = backward(cell, values, results.tape, by_output, by_states)
    torch_forward, torch_backward = by_torch(cell, values, by_output, by_states)
    pairs = [
        *zip(results[:2], torch_forward[:2], strict=True),
        *zip(gradients, torch_backward, strict=True),
    ]
    for mine, theirs in pairs:
        scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0)))
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol * scale)
