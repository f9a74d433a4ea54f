"""The state of a cell is the sum of what earlier steps wrote and later steps kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from carrousel.errors import ShapeError
from carrousel.inspection import credit_of_writes, writes_of
from carrousel.nn import LSTM

KEEPS = {
    "lstm": lambda gates: gates["forget"],
    "peephole": lambda gates: gates["forget"],
    "coupled": lambda gates: 1.0 - gates["input"],
    "lstm97": lambda gates: torch.ones_like(gates["cell"]),
}


@pytest.mark.parametrize("cell", KEEPS)
def test_writes_are_the_gated_inputs(cell):
    """``write = i g`` in every cell, and the shares of all steps add up to the state."""
    torch.manual_seed(0)
    lstm = LSTM(3, 5, cell=cell).double()
    with torch.no_grad():
        _, (_, c), (steps,) = lstm(torch.randn(40, 2, 3).double() * 2, return_states=True)
    keeps, states = KEEPS[cell](steps.gates).numpy(), steps.states["c"].numpy()
    writes = writes_of(states, keeps)
    expected = (steps.gates["input"] * steps.gates["cell"]).numpy()
    np.testing.assert_allclose(writes, expected, atol=1e-13 * np.abs(states).max())
    readers = np.zeros_like(writes)
    readers[-1] = 1.0
    shares = credit_of_writes(keeps, writes, readers)
    np.testing.assert_allclose(shares.sum(axis=0), c[0].numpy(), rtol=1e-10)
    if cell == "lstm97":  # the constant error carrousel: nothing is forgotten
        np.testing.assert_array_equal(shares, writes)


def test_shares_are_products_of_forget_gates():
    rng = np.random.default_rng(0)
    keeps, writes, readers = rng.random((3, 6, 4))
    expected = np.zeros((6, 4))
    for t in range(6):
        for read in range(t, 6):
            expected[t] += readers[read] * writes[t] * keeps[t + 1 : read + 1].prod(axis=0)
    np.testing.assert_allclose(credit_of_writes(keeps, writes, readers), expected, rtol=1e-13)


def test_a_share_is_what_the_sum_loses_without_the_write():
    rng = np.random.default_rng(1)
    keeps, writes, readers = rng.normal(size=(3, 7, 2))

    def total(writes):
        c, found = np.zeros(2), 0.0
        for keep, write, reader in zip(keeps, writes, readers, strict=True):
            c = keep * c + write
            found = found + reader * c
        return found

    shares = credit_of_writes(keeps, writes, readers)
    for t in range(7):
        without = writes.copy()
        without[t] = 0.0
        np.testing.assert_allclose(shares[t], total(writes) - total(without), atol=1e-9)


def test_shapes_must_agree():
    with pytest.raises(ShapeError, match=r"\(2, 3\), \(3, 3\)"):
        writes_of(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(ShapeError, match=r"one shape \[T"):
        credit_of_writes(np.zeros(()), np.zeros(()), np.zeros(()))
