from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from carrousel.contracts import Cell, Init, Network
from carrousel.networks import initial_weights
from drawn import networks, seeds


@given(networks(), seeds)
def test_weights_fill_their_range_and_nothing_else(network, seed):
    flat = initial_weights(network, np.random.default_rng(seed))
    assert flat.shape == (network.n_weights,)
    assert flat.dtype == np.float32
    assert np.abs(flat).max() <= np.float32(0.1)


def test_weights_are_uniform():
    """Means of 10,000 draws on [-r, r]: 0 and r/2, with standard error r/173 and r/346."""
    network = Network(101, 90, Cell(1, 1), "layered", init=Init(range=0.2))
    flat = initial_weights(network, np.random.default_rng(0))[:10_000]
    assert len(flat) > 9_000
    assert abs(flat.mean()) < 5 * 0.2 / 173
    assert abs(np.abs(flat).mean() - 0.1) < 5 * 0.2 / 346


@given(seeds)
def test_one_seed_one_network(seed):
    network = Network(2, 1, Cell(2, 2), bias="all")
    draws = [initial_weights(network, np.random.default_rng(s)) for s in (seed, seed, seed + 1)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


@pytest.mark.parametrize("bias", ["gates", "hidden", "all"])
@pytest.mark.parametrize("output_gate", [True, False])
@pytest.mark.parametrize("how", ["set", "added"])
def test_gates_start_where_they_are_told(bias, output_gate, how):
    """Every gate, by its unit: block j's input gate is unit j, its output gate unit B + C + j."""
    into, out = (-1.0, -3.0, -5.0), (-2.0, -4.0, -6.0) if output_gate else ()
    cell = Cell(3, 2, output_gate=output_gate)
    init = Init(0.1, input_gate_bias=into, output_gate_bias=out, gate_bias=how)
    told = Network(2, 1, cell, bias=bias, init=init)
    left = Network(2, 1, cell, bias=bias)
    ours = told.views(initial_weights(told, np.random.default_rng(3)))
    random = left.views(initial_weights(left, np.random.default_rng(3)))
    expected = random["hidden_bias"].copy()
    starts = dict(enumerate(into)) | {9 + j: start for j, start in enumerate(out)}
    for unit, start in starts.items():
        place = told.biased_units.index(unit)
        expected[place] = start + (random["hidden_bias"][place] if how == "added" else 0)
    np.testing.assert_array_equal(ours["hidden_bias"], expected)
    for name in ours.keys() - {"hidden_bias"}:
        np.testing.assert_array_equal(ours[name], random[name])
