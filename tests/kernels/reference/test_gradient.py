"""The reference computes the truncated gradient: for every network, from any state."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import SQUASHES, Cell, Network, Training
from carrousel.kernels import ReferenceKernel
from carrousel.kernels.reference.lanes import output_error
from carrousel.kernels.reference.layers import Weights
from carrousel.kernels.reference.truncated import advance, begin, hidden_gradient
from support.case import each
from support.drawn import BIASES, UPDATES, WIRINGS, Kind, drawn_data
from support.kernels.second_opinion import Start, backwards, by_differences, play, step_by_step

RANGES = tuple(SQUASHES)

# Both sides are float64 and differ in the order of sums and in how slopes are formed: some tens of
# roundings of terms that are at most a few units in size.
close = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-13)

STRUCTURES = list(itertools.product(WIRINGS, BIASES, (True, False), (1, 2, 3)))
# Name: inputs, outputs, blocks, steps.
SIZES = {"T=1": (2, 2, 2, 1), "one of all": (1, 1, 1, 3), "odd": (3, 5, 3, 7)}


def reference_gradient(
    network: Network,
    training: Training,
    flat: np.ndarray,
    inputs: np.ndarray,
    goals: dict[int, np.ndarray],
    start: Start,
    *,
    cells_on: bool = True,
) -> np.ndarray:
    """Return the update of the reference at rate 1, from a given state."""
    w, state = Weights.unpack(network, flat), begin(network, training, np.float64)
    state.y, state.s = start.y, start.s
    found = np.zeros_like(flat)
    for t, x in enumerate(inputs):
        advance(network, w, state, x)
        if t not in goals:
            continue
        direct = x if network.direct else x[:0]
        seen = np.concatenate([direct, state.y_cell * cells_on, [1.0]])
        y = 1 / (1 + np.exp(-(w.output @ seen)))
        e_k = output_error(training, y, goals[t] - y)
        back = w.read(network).T @ e_k * cells_on
        hidden = hidden_gradient(network, state, back)
        Weights(hidden, np.outer(e_k, seen)).add_to(network, found, 1.0)
    return found


def assert_every_part_equal(network: Network, ours: np.ndarray, theirs: np.ndarray) -> None:
    expected = network.views(theirs)
    for name, part in network.views(ours).items():
        close(part, expected[name], err_msg=name)


@each("update", UPDATES)
@each("initial", [0.0, 0.5])
def test_updates_per_step_sequence_and_epoch(update, initial):
    """``learn`` adds rate times gradient after every target, every sequence, or the call."""
    rng = np.random.default_rng(11)
    network = Network(3, 2, Cell(2, 2), bias="all")
    training = Training(rate=0.3, update=update, initial_activation=initial)
    data = drawn_data(network, rng, Kind(symbolic=True, classes=True), [4, 1, 6, 3])
    flat = rng.normal(0, 0.5, (1, network.n_weights))
    learned = flat.copy()
    kernel = ReferenceKernel()
    kernel.learn(network, training, learned, np.array([0.3]), np.array([0]), [data])

    expected, start = flat[0].copy(), Start.fresh(network, training)
    waiting = np.zeros_like(expected)
    for one in data:
        inputs = one.dense_inputs().astype(np.float64)
        goals = dict(zip(one.target_steps.tolist(), one.dense_targets(), strict=True))
        if update == "step":
            expected = step_by_step(network, training, expected, inputs, goals)
            continue
        tape = play(network, expected, inputs, start)
        waiting += backwards(network, training, expected, tape, goals)
        if update == "sequence":
            expected += 0.3 * waiting
            waiting[:] = 0
    expected += 0.3 * waiting
    close(learned[0], expected)


@each("wiring, bias, output_gate, block_size", STRUCTURES[::5])
def test_only_outputs_learn_before_cells_are_added(wiring, bias, output_gate, block_size):
    rng = np.random.default_rng(3)
    cell = Cell(2, block_size, output_gate=output_gate)
    network = Network(3, 2, cell, wiring=wiring, bias=bias)
    training = Training(rate=1.0)
    flat, inputs = rng.normal(0, 0.7, network.n_weights), rng.normal(0, 1, (5, 3))
    goals = {t: rng.uniform(0, 1, 2) for t in range(5)}
    start = Start(rng.uniform(-1, 1, cell.n_units), rng.normal(0, 1, cell.n_cells))
    ours = reference_gradient(network, training, flat, inputs, goals, start, cells_on=False)
    theirs = by_differences(network, training, flat, inputs, goals, start, cells_on=False)
    assert_every_part_equal(network, ours, theirs)
    for name, part in network.views(ours).items():
        assert np.any(part) == (name in ("output_inputs", "output_bias")), name


@settings(max_examples=60, deadline=None)
@given(
    structure=st.sampled_from(STRUCTURES),
    g=st.sampled_from(RANGES),
    h=st.sampled_from(RANGES),
    blocks=st.integers(1, 3),
    steps=st.integers(1, 12),
    derivative=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_traces_equal_truncated_bptt(structure, g, h, blocks, steps, derivative, seed):
    """Traces moved forward and errors moved backward give the same gradient."""
    wiring, bias, output_gate, block_size = structure
    rng = np.random.default_rng(seed)
    cell = Cell(blocks, block_size, g, h, output_gate)
    network = Network(2, 3, cell, wiring=wiring, bias=bias)
    training = Training(rate=1.0, output_derivative=derivative)
    flat, inputs = rng.normal(0, 0.5, network.n_weights), rng.normal(0, 1, (steps, 2))
    goals = {t: rng.uniform(0, 1, 3) for t in range(steps) if rng.random() < 0.6}
    start = Start(rng.uniform(-1, 1, cell.n_units), rng.normal(0, 1, cell.n_cells))
    ours = reference_gradient(network, training, flat, inputs, goals, start)
    theirs = backwards(network, training, flat, play(network, flat, inputs, start), goals)
    assert_every_part_equal(network, ours, theirs)


@pytest.mark.parametrize("size", SIZES)
@each("wiring, bias, output_gate, block_size", STRUCTURES)
def test_every_weight_part_agrees_with_finite_differences(
    wiring, bias, output_gate, block_size, size
):
    n_inputs, n_outputs, blocks, steps = SIZES[size]
    place = STRUCTURES.index((wiring, bias, output_gate, block_size))
    for number, g in enumerate(RANGES):  # every g here; over the structures, every pair of g and h
        rng = np.random.default_rng([place, number])
        h = RANGES[(place + number) % len(RANGES)]
        cell = Cell(blocks, block_size, g, h, output_gate)
        network = Network(n_inputs, n_outputs, cell, wiring=wiring, bias=bias)
        training = Training(rate=1.0, output_derivative=bool(number % 2))
        flat = rng.normal(0, 0.4, network.n_weights)
        inputs = rng.normal(0, 1, (steps, n_inputs))
        goals = {
            t: rng.uniform(0, 1, n_outputs)
            for t in range(steps)
            if t == steps - 1 or rng.random() < 0.5
        }
        start = Start(rng.uniform(-1, 1, cell.n_units), rng.normal(0, 1, cell.n_cells))
        ours = reference_gradient(network, training, flat, inputs, goals, start)
        theirs = by_differences(network, training, flat, inputs, goals, start)
        assert np.any(theirs)
        assert_every_part_equal(network, ours, theirs)
