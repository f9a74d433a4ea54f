"""Accuracy of compiled lanes: as close to the float64 reference as a naive float32 program."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import SQUASHES, Cell, Kernel, Network, Training
from carrousel.kernels import NativeKernel, ReferenceKernel, instruction_sets
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import (
    BIASES,
    UPDATES,
    WIRINGS,
    Kind,
    drawn_data,
    drawn_lanes,
    drawn_weights,
    kinds,
    networks,
    seeds,
    trainings,
)
from support.kernels.roundings import MOVES, UNIT, assert_near
from support.kernels.second_opinion import Start, by_differences

pytestmark = pytest.mark.native

KERNELS = [NativeKernel(instruction_set=name) for name in instruction_sets()]
RANGES = tuple(SQUASHES)

# Weights of alphabets above 16 symbols are stored as rows, others as columns. 4, 8 and 16 are the
# widths of a vector, to which outputs are padded in the case of rows.
ALPHABETS = st.sampled_from([1, 2, 3, 5, 15, 16, 17, 18, 29])
# The kernels process time in chunks of 8.
LENGTHS = st.sampled_from([1, 7, 12, 24])
OUTPUTS = st.sampled_from([1, 2, 3, 4, 5, 17])


def compare(
    network: Network, training: Training, kind: Kind, lanes: int, seed: int, most: int = 12
) -> int:
    """Compare lanes of different data, rates and cells_from on every instruction set.

    Return the number of comparable lanes.
    """
    rng = np.random.default_rng(seed)
    weights = drawn_weights(network, rng, lanes, 0.4)
    rates = rng.uniform(0, training.rate, lanes).astype(np.float32)
    cells_from = rng.integers(-1, 3, lanes)
    data = drawn_lanes(network, rng, kind, lanes=lanes, most=most)
    return assert_near(KERNELS, network, training, weights, rates, cells_from, data, rng)


@settings(max_examples=50, deadline=None)
@given(
    networks(inputs=ALPHABETS, outputs=OUTPUTS),
    trainings(),
    kinds,
    st.integers(1, 6),
    seeds,
    LENGTHS,
)
def test_any_network_on_any_data(network, training, kind, lanes, seed, most):
    compare(network, training, kind, lanes, seed, most)


@settings(max_examples=40, deadline=None)
@given(
    networks(inputs=st.integers(17, 40), outputs=OUTPUTS),
    trainings(),
    st.builds(Kind, st.just(True), st.booleans(), st.sampled_from(["end", "some", "all", "mixed"])),
    st.integers(1, 6),
    seeds,
    LENGTHS,
)
def test_any_network_on_symbols_of_a_large_alphabet(network, training, kind, lanes, seed, most):
    compare(network, training, kind, lanes, seed, most)


@each("wiring", WIRINGS)
@each("update", UPDATES)
def test_most_lanes_are_comparable(wiring, update):
    """Otherwise the tests above would compare too little."""
    network = Network(5, 3, Cell(2, 2), wiring=wiring, bias="all")
    assert compare(network, Training(0.5, update), Kind(when="all"), 40, 7) >= 25


STRUCTURES = list(itertools.product(WIRINGS, BIASES, (True, False), (1, 2, 3)))


@pytest.mark.parametrize("symbols", [0, 3, 19])
@each("wiring, bias, output_gate, block_size", STRUCTURES)
def test_every_weight_part_agrees_with_finite_differences(
    wiring, bias, output_gate, block_size, symbols
):
    """Lanes start at zero, so targets are late, when states are not zero any more."""
    place = STRUCTURES.index((wiring, bias, output_gate, block_size))
    for number, kernel in enumerate(KERNELS):
        rng = np.random.default_rng([place, number, symbols])
        cell = Cell(3, block_size, RANGES[place % 5], RANGES[(place + number) % 5], output_gate)
        network = Network(symbols or 3, 2, cell, wiring=wiring, bias=bias)
        training = Training(1.0, "epoch", output_derivative=number % 2 == 0)
        before = drawn_weights(network, rng, 1, 0.3)
        data = drawn_data(network, rng, Kind(bool(symbols), False, "end"), [12])
        ours = change_by(kernel, network, training, before, data)
        naive = change_by(ReferenceKernel(np.float32), network, training, before, data)
        signs = rng.choice([-1.0, 1.0], (3, *before[0].shape))
        theirs = exact_change(network, training, before[0], data)
        moved = [
            exact_change(network, training, before[0] * (1 + UNIT * sign), data) for sign in signs
        ]
        for name, part in theirs.items():
            response = UNIT * np.abs(part).max() + max(np.abs(m[name] - part).max() for m in moved)
            near = 2 * np.abs(naive[name] - part).max() + MOVES * response
            near += UNIT * np.abs(network.views(before[0])[name]).max()  # of the sum it is read off
            np.testing.assert_allclose(ours[name], part, rtol=0, atol=near, err_msg=name)


def change_by(
    kernel: Kernel, network: Network, training: Training, before: np.ndarray, data: Sequences
) -> dict[str, np.ndarray]:
    after = before.copy()
    kernel.learn(network, training, after, np.ones(1, np.float32), np.array([0]), [data])
    return network.views(after[0].astype(np.float64) - before[0])


def exact_change(
    network: Network, training: Training, flat: np.ndarray, data: Sequences
) -> dict[str, np.ndarray]:
    """Return the exact update at rate 1 by one sequence with a target at its end."""
    start, inputs = Start.fresh(network, training), data.dense_inputs().astype(np.float64)
    goals = {data.n_steps - 1: data.dense_targets()[0].astype(np.float64)}
    return network.views(by_differences(network, training, flat, inputs, goals, start))
