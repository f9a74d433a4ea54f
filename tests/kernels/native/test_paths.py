"""Accuracy of compiled lanes with every hidden layer and every gradient.

``test_accuracy.py`` covers memory cells without forget gates with the truncated gradient.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Gradient, Network, Simple, Training
from carrousel.kernels import NativeKernel, instruction_sets
from support.case import each
from support.drawn import (
    UPDATES,
    Kind,
    Lesson,
    drawn_data,
    drawn_lanes,
    drawn_weights,
    kinds,
    lessons,
    seeds,
)
from support.kernels.roundings import assert_near

pytestmark = pytest.mark.native

KERNELS = [NativeKernel(instruction_set=name) for name in instruction_sets()]
SYMBOLS = st.builds(Kind, st.just(True), st.booleans(), st.sampled_from(["end", "some", "mixed"]))


def compare(
    lesson: Lesson, kind: Kind, lanes: int, seed: int, most: int = 12, idle: float = 0.2
) -> int:
    """Compare lanes of different data, rates and cells_from on every instruction set.

    Return the number of comparable lanes.
    """
    rng = np.random.default_rng(seed)
    network, training, gradient = lesson
    weights = drawn_weights(network, rng, lanes, 0.4)
    rates = rng.uniform(0, training.rate, lanes).astype(np.float32)
    cells_from = rng.integers(-1, 3, lanes)
    data = drawn_lanes(network, rng, kind, lanes=lanes, most=most, idle=idle)
    args = (network, training, weights, rates, cells_from, data, rng, gradient)
    return assert_near(KERNELS, *args)


@settings(max_examples=80, deadline=None)
@given(lessons(), kinds, st.integers(1, 6), seeds)
def test_any_hidden_layer_by_any_gradient(lesson, kind, lanes, seed):
    compare(lesson, kind, lanes, seed)


@settings(max_examples=40, deadline=None)
@given(lessons(inputs=st.sampled_from([15, 16, 17, 29])), SYMBOLS, st.integers(1, 4), seeds)
def test_alphabets_around_the_size_of_gathered_columns(lesson, kind, lanes, seed):
    """With direct connections, outputs have separate rows for each symbol."""
    compare(lesson, kind, lanes, seed)


@settings(max_examples=15, deadline=None)
@given(lessons(outputs=st.sampled_from([8, 9, 17])), kinds, st.integers(1, 3), seeds)
def test_more_outputs_and_units_than_a_vector_holds(lesson, kind, lanes, seed):
    compare(lesson, kind, lanes, seed, most=6)


LAYERS = [
    (Cell(2, 2), "full"),
    (Cell(1, 2, forget_gate=True), "layered"),
    (Cell(2, 1, output_gate=False, forget_gate=True), "full"),
    (Simple(4), "full"),
    (Simple(3, "tanh"), "direct"),
    (Simple(4), "united"),
]
layers = pytest.mark.parametrize(("cell", "wiring"), LAYERS)


@layers
@each("depth", [1, 7, 8, 9])
def test_sequences_much_longer_than_the_tape(cell, wiring, depth):
    """A depth of 8 stores 32 steps, so a sequence of 70 moves the tape more than once."""
    place = LAYERS.index((cell, wiring)) + depth
    rng = np.random.default_rng(place)
    network = Network(19 if place % 2 else 3, 2, cell, wiring=wiring, bias="all")
    kind, weights = Kind(symbolic=bool(place % 2), when="some"), drawn_weights(network, rng, 2, 0.3)
    data = [drawn_data(network, rng, kind, lengths) for lengths in ([70], [41, 3])]
    args = (weights, np.array([0.1, 0.2], np.float32), np.zeros(2, np.int64), data, rng)
    training = Training(1.0, UPDATES[place % 3], initial_activation=0.5)
    gradient = Gradient("bptt", depth, (1, (depth + 1) // 2, depth)[place % 3 - 1])
    assert assert_near(KERNELS, network, training, *args, gradient) == 2


@pytest.mark.parametrize(
    ("cell", "wiring"),
    [*LAYERS, (Cell(1, 2), "layered"), (Simple(1), "direct"), (Simple(9), "full")],
)
@each("update, symbols", list(zip(UPDATES, [0, 3, 19], strict=True)))
def test_rtrl_over_several_chunks(cell, wiring, update, symbols):
    """Sensitivities move every 32 steps, counted from the end of the longest sequence.

    Errors inside memory cells reach back over more than two chunks.
    """
    rng = np.random.default_rng(symbols)
    network = Network(symbols or 3, 2, cell, wiring=wiring, bias="all")
    kind = Kind(symbolic=symbols > 0, when="some")
    lengths = [[70, 5], [33, 64], [1, 32]]
    data = [drawn_data(network, rng, kind, some) for some in lengths]
    weights = drawn_weights(network, rng, len(lengths), 0.3)
    rates = np.full(len(lengths), 0.1, np.float32)
    args = (weights, rates, np.zeros(len(lengths), np.int64), data, rng, Gradient("rtrl"))
    training = Training(1.0, update, initial_activation=0.25)
    assert assert_near(KERNELS, network, training, *args) == len(lengths)


@layers
@each("gradient", ["bptt:11:4", "bptt:12", "bptt:13:13", "bptt:900:7"])
def test_depths_around_the_length_of_the_sequences(cell, wiring, gradient):
    place = LAYERS.index((cell, wiring)) + len(gradient)
    rng = np.random.default_rng(place)
    network, named = Network(3, 2, cell, wiring=wiring, bias="hidden"), Gradient.named(gradient)
    data = [drawn_data(network, rng, Kind(when="some"), lengths) for lengths in ([12], [11, 13])]
    args = (drawn_weights(network, rng, 2), np.full(2, 0.2, np.float32), np.zeros(2, np.int64))
    training = Training(1.0, UPDATES[place % 3])
    assert assert_near(KERNELS, network, training, *args, data, rng, named) == 2


@pytest.mark.parametrize("gradient", ["truncated", "bptt:3:2", "rtrl"])
@layers
def test_most_lanes_are_comparable(cell, wiring, gradient):
    """Otherwise the tests above would compare too little."""
    network = Network(5, 3, cell, wiring=wiring, bias="all")
    lesson = Lesson(network, Training(0.5, "step"), Gradient.named(gradient))
    assert compare(lesson, Kind(when="some"), 10, 7, most=6, idle=0.0) == 10
