"""Shares of a gradient by lag: their sum is the gradient, and they decay as in theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Gradient, Network, Simple, Training
from carrousel.errors import DataError, SettingError
from carrousel.inspection import cosines_by_lag, errors_by_lag
from carrousel.kernels import ReferenceKernel
from carrousel.kernels.reference.layers import Weights, forward
from carrousel.kernels.signs import Signs
from carrousel.sequences import Sequences
from support.case import each

NETWORKS = {
    "memory cells": Network(2, 1, Cell(2, 2), bias="all"),
    "forget gates": Network(2, 1, Cell(2, 1, forget_gate=True), bias="all"),
    "layered": Network(2, 1, Cell(1, 2, output_gate=False), wiring="layered"),
    "logistic": Network(2, 1, Simple(3), wiring="direct", bias="hidden"),
    "tanh": Network(2, 1, Simple(3, "tanh"), bias="all"),
    "united": Network(2, 1, Simple(3), wiring="united", bias="all"),
}
GRADIENTS = (
    "truncated",
    "immediate",
    "bptt",
    "bptt:3",
    "rtrl",
    "sparse:1",
    "snap:1",
    "snap:2",
    "uoro",
)


def drawn(network: Network, seed: int, steps: int) -> tuple[np.ndarray, Sequences]:
    rng = np.random.default_rng(seed)
    inputs = rng.uniform(-1, 1, (steps, network.n_inputs)).astype(np.float32)
    weights = rng.normal(0, 0.7, network.n_weights)
    return weights, Sequences.from_lists([inputs], [[[0.75]]])


@pytest.mark.parametrize("gradient", GRADIENTS)
@each("name", NETWORKS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 9))
def test_shares_of_all_lags_sum_to_the_gradient(name, gradient, seed, steps):
    network = NETWORKS[name]
    flat, data = drawn(network, seed, steps)
    seeds = np.random.default_rng(5).integers(2**64, size=1, dtype=np.uint64)  # as kernels draw
    options = {"initial_activation": 0.25, "rng": Signs(seeds.tolist())}
    shares = errors_by_lag(network, flat, data, gradient, range(steps), **options)

    w, y = Weights.unpack(network, flat), np.full(network.cell.n_units, 0.25)
    s, seen = np.zeros(network.cell.n_states), []
    for x in data.dense_inputs().astype(np.float64):
        step = forward(network, w, y, s, x)
        y, s = step.y, step.s
        seen.append(step.sources)
    total = sum(np.outer(share, seen[steps - 1 - lag]) for lag, share in enumerate(shares))
    expected = np.zeros_like(flat)
    Weights(np.asarray(total), np.zeros_like(w.output)).add_to(network, expected, 1.0)

    learned = flat[None].copy()
    training = Training(rate=1.0, initial_activation=0.25)
    rate, cells_from = np.ones(1), np.zeros(1, np.int64)
    rngs = [np.random.default_rng(5)]
    ReferenceKernel().learn(
        network, training, learned, rate, cells_from, [data], Gradient.named(gradient), rngs
    )
    change = network.views(learned[0] - flat)
    for part, wanted in network.views(expected).items():
        if part.startswith("hidden"):
            np.testing.assert_allclose(change[part], wanted, rtol=1e-9, atol=1e-12, err_msg=part)


def test_error_in_simple_units_stays_below_the_bound_of_section_3():
    """With ``|w| <= w_max`` and logistic units: at most ``n tau^q``, ``tau = n w_max / 4``."""
    units, w_max = 4, 0.8
    network = Network(1, 1, Simple(units))
    rng = np.random.default_rng(3)
    flat = rng.uniform(-w_max, w_max, network.n_weights)
    data = Sequences.from_lists([rng.uniform(-1, 1, (60, 1)).astype(np.float32)], [[[1.0]]])
    lags = np.arange(1, 60)
    shares = errors_by_lag(network, flat, data, "bptt", range(60))
    tau = units * w_max / 4
    assert tau < 1
    bound = units * tau**lags * np.abs(shares[0]).sum()
    assert np.all(np.abs(shares[1:]).max(axis=1) <= bound)


def test_error_in_a_cell_does_not_decay():
    """Truncated errors are scaled only at entry and exit (41): equal inputs, equal shares."""
    network = Network(1, 1, Cell(1, 1), wiring="layered", bias="none")
    flat = np.random.default_rng(0).normal(0, 0.5, network.n_weights)
    data = Sequences.from_lists([np.full((500, 1), 0.3, np.float32)], [[[1.0]]])
    shares = errors_by_lag(network, flat, data, "truncated", range(1, 500))
    np.testing.assert_allclose(shares, np.broadcast_to(shares[0], shares.shape), rtol=1e-12)


def test_cosines():
    network = NETWORKS["tanh"]
    flat, data = drawn(network, 1, 30)
    np.testing.assert_allclose(cosines_by_lag(network, flat, data, "rtrl", [0, 9, 29]), 1.0)
    found = cosines_by_lag(network, flat, data, "bptt:5", [0, 4, 5, 29])
    np.testing.assert_allclose(found, [1, 1, 0, 0])


def test_cosines_of_underflowed_shares_are_nan():
    network = Network(2, 1, Simple(2))
    flat, data = np.full(network.n_weights, 1e-3), drawn(network, 0, 300)[1]
    assert np.isnan(cosines_by_lag(network, flat, data, "rtrl", [299])).all()


def test_refusals():
    network = NETWORKS["tanh"]
    flat, data = drawn(network, 1, 5)
    with pytest.raises(SettingError, match="lag is 5, expected 0 to 4"):
        errors_by_lag(network, flat, data, "bptt", [5])
    two = Sequences.from_lists([data.inputs, data.inputs], [[[0.5]], [[0.5]]])
    with pytest.raises(DataError, match="expected one sequence"):
        errors_by_lag(network, flat, two, "bptt", [0])
