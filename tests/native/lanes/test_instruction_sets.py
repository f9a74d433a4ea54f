"""Instruction sets with fused multiply-add give the same bits, in learning and in prediction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import TRUNCATED, Cell, Network, Training
from carrousel.kernels import NativeKernel, instruction_sets
from support.drawn import Kind, Lesson, kinds, lessons, networks, seeds, trainings
from support.kernels.native_lanes import Lanes, run

pytestmark = pytest.mark.native

FUSED = [name for name in instruction_sets() if name != "plain"]
inputs = st.sampled_from([1, 2, 7, 17, 40])
needs_two = pytest.mark.skipif(len(FUSED) < 2, reason="this processor has one such instruction set")


def check_same(lesson: Lesson, lanes: Lanes) -> None:
    first, *others = (run(NativeKernel(instruction_set=name), lesson, lanes) for name in FUSED)
    for other in others:
        first.assert_same(other)


@needs_two
@settings(max_examples=80, deadline=None)
@given(networks(inputs=inputs), trainings(), kinds, st.integers(1, 20), seeds)
def test_cells_of_1997(network, training, kind, n, seed):
    lanes = Lanes.drawn(network, kind, np.random.default_rng(seed), n)
    check_same(Lesson(network, training, TRUNCATED), lanes)


@needs_two
@settings(max_examples=80, deadline=None)
@given(lessons(inputs=inputs), kinds, st.integers(1, 20), seeds)
def test_any_layer_and_gradient(lesson, kind, n, seed):
    check_same(lesson, Lanes.drawn(lesson.network, kind, np.random.default_rng(seed), n))


@needs_two
@pytest.mark.parametrize("outputs", [1, 8, 9, 16, 17, 33])
def test_sums_over_outputs_of_a_large_alphabet(outputs):
    """They are taken along the outputs, whose number is no multiple of the width of a vector."""
    network = Network(40, outputs, Cell(2, 1), wiring="layered", bias="all")
    kind = Kind(symbolic=True, when="all")
    lanes = Lanes.drawn(network, kind, np.random.default_rng(outputs), 5)
    check_same(Lesson(network, Training(rate=0.5, update="step"), TRUNCATED), lanes)
