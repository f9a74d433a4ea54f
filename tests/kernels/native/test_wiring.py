"""Every wiring with every kind of update, in each layout of weights that the kernels have."""

from __future__ import annotations

import itertools
import os
from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Gradient, Network, RateFactors, Training
from carrousel.kernels import NativeKernel, instruction_sets
from support.case import case
from support.drawn import UPDATES, Kind, drawn_data, drawn_weights
from support.kernels.roundings import assert_near

pytestmark = pytest.mark.native

KERNELS = [NativeKernel(instruction_set=name) for name in instruction_sets()]
FEEDS: list[dict[str, Any]] = [
    {"feedback": "none", "inputs_to_outputs": False},
    {"inputs_to_outputs": True},
    {"feedback": "cells", "bias": "gates+outputs"},
    {"feedback": "gates", "bias": "outputs", "inputs_to_outputs": True},
    {"feedback_into": "gates", "bias": "cells"},
    {"feedback": "input_gates+cells", "feedback_into": "cells", "bias": "input_gates"},
    {"wiring": "cells", "feedback_into": "output_gates", "bias": "all"},
]
TRAININGS: list[dict[str, Any]] = [
    {},
    {"derivative_floor": 0.2, "error_tolerance": 0.1},
    {"factors": RateFactors(0.5, 0.0, 2.0, 0.1, 0.3, 1.5), "derivative_offset": 0.1},
]
# Inputs as values, as symbols in columns, and as symbols in rows or gathered columns.
ALPHABETS = (0, 3, 19)


SHORT = ((9, 4), (11,), (3, 3, 3))
NUMBERS = range(0, len(FEEDS) * len(TRAININGS), 5 if "CARROUSEL_SANITIZED" in os.environ else 1)
"""Combinations of feeds and trainings. Under the sanitizers, most time goes into the reference."""


def compare(
    cell: Cell, gradient: str, update: Any, alphabet: int, number: int, lengths: Any = SHORT
) -> None:
    feed, more = FEEDS[number % len(FEEDS)], TRAININGS[number % len(TRAININGS)]
    rng = np.random.default_rng(number)
    network = Network(alphabet or 3, 2, cell, **feed)
    kind = Kind(symbolic=alphabet > 0, when="some")
    data = [drawn_data(network, rng, kind, list(some)) for some in lengths]
    args = (drawn_weights(network, rng, 3, 0.4), np.array([0.5, 0.1, 0.3], np.float32))
    training = Training(0.5, update, initial_activation=0.5, **more)
    with case(feed, more, update, alphabet):
        assert assert_near(
            KERNELS, network, training, *args, np.zeros(3, np.int64), data, rng,
            Gradient.named(gradient),
        ) == 3  # fmt: skip


@pytest.mark.parametrize(
    "gradient", ["truncated", "immediate", "bptt:4:2", "rtrl", "sparse:2", "snap:1", "uoro"]
)
@pytest.mark.parametrize("cell", [Cell(2, 2), Cell(2, 1, forget_gate=True)])
def test_every_wiring_learns_as_the_reference(cell, gradient):
    """Feeds and settings of training are all combined; their layouts take turns."""
    layouts = list(itertools.product(UPDATES, ALPHABETS))
    shares = 3 if gradient == "truncated" else 1
    for number in NUMBERS if shares > 1 else NUMBERS[::2]:
        for turn in range(shares):
            update, alphabet = layouts[(number + 4 * turn) % len(layouts)]
            compare(cell, gradient, update, alphabet, number)


@pytest.mark.parametrize("cell", [Cell(2, 2), Cell(2, 1, forget_gate=True)])
def test_chunks_of_sensitivities_in_every_wiring(cell):
    """Three chunks of 32 steps and a rest."""
    layouts = list(itertools.product(UPDATES, ALPHABETS))
    for number in NUMBERS:
        update, alphabet = layouts[number * 4 % len(layouts)]
        compare(cell, "rtrl", update, alphabet, number, ((100,), (33, 64), (1, 32)))
