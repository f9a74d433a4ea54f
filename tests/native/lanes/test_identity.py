"""A lane's result has the same bits in any lane, with any neighbours."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import (
    TRUNCATED,
    Cell,
    Gradient,
    Network,
    Simple,
    Training,
    Update,
    Wiring,
)
from carrousel.kernels import NativeKernel, instruction_sets
from carrousel.sequences import Sequences
from support.case import case
from support.drawn import (
    WIRINGS,
    Kind,
    Lesson,
    drawn_data,
    drawn_weights,
    kinds,
    lessons,
    networks,
    seeds,
    trainings,
)
from support.kernels.native_lanes import Lanes, run

pytestmark = pytest.mark.native

isas = st.sampled_from(instruction_sets())
every_isa = pytest.mark.parametrize("isa", instruction_sets())
alphabets = st.sampled_from([1, 2, 5, 16, 17, 20])


def any_of(*updates: Update) -> st.SearchStrategy[Lesson]:
    """Lessons for both kernels: cells of 1997 with the truncated gradient, and any other."""
    first = (networks(inputs=alphabets), trainings(*updates), st.just(TRUNCATED))
    return st.one_of(st.builds(Lesson, *first), lessons(*updates, inputs=alphabets))


anything = any_of()


@settings(max_examples=60, deadline=None)
@given(anything, kinds, st.integers(1, 40), isas, seeds, st.data())
def test_lanes_may_be_permuted(lesson, kind, n, isa, seed, data):
    rng = np.random.default_rng(seed)
    lanes, kernel = Lanes.drawn(lesson.network, kind, rng, n), NativeKernel(instruction_set=isa)
    order = np.array(data.draw(st.permutations(range(n))))
    everyone = run(kernel, lesson, lanes)
    everyone[order].assert_same(run(kernel, lesson, lanes[order]))


@settings(max_examples=60, deadline=None)
@given(anything, kinds, st.integers(1, 40), isas, seeds, st.data())
def test_a_subset_of_lanes(lesson, kind, n, isa, seed, data):
    """Any subset of lanes has the results of all lanes together."""
    rng = np.random.default_rng(seed)
    lanes, kernel = Lanes.drawn(lesson.network, kind, rng, n), NativeKernel(instruction_set=isa)
    some = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    everyone = run(kernel, lesson, lanes)
    everyone[some].assert_same(run(kernel, lesson, lanes[some]))


@settings(max_examples=25, deadline=None)
@given(anything, kinds, st.integers(1, 40), isas, seeds)
def test_each_lane_alone(lesson, kind, n, isa, seed):
    lanes = Lanes.drawn(lesson.network, kind, np.random.default_rng(seed), n)
    kernel = NativeKernel(instruction_set=isa)
    everyone = run(kernel, lesson, lanes)
    for lane in range(n):
        everyone[[lane]].assert_same(run(kernel, lesson, lanes[[lane]]))


@settings(max_examples=30, deadline=None)
@given(anything, kinds, st.integers(1, 40), isas, seeds)
def test_any_number_of_threads(lesson, kind, n, isa, seed):
    lanes = Lanes.drawn(lesson.network, kind, np.random.default_rng(seed), n)
    alone = run(NativeKernel(1, isa), lesson, lanes)
    for threads in (2, 3, 1024):
        alone.assert_same(run(NativeKernel(threads, isa), lesson, lanes))


@settings(max_examples=60, deadline=None)
@given(
    any_of("step", "sequence"),
    kinds,
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.integers(0, 6),
    isas,
    seeds,
)
def test_a_call_may_be_split(lesson, kind, parts, begin, isa, seed):
    """learn(a + b) equals learn(a), then learn(b), for any ``cells_from``."""
    network, training, gradient = lesson
    rng = np.random.default_rng(seed)
    kernel = NativeKernel(instruction_set=isa)
    lengths = rng.integers(1, 30, sum(parts)).tolist()
    whole = drawn_data(network, rng, kind, lengths)
    rates = rng.uniform(0, 1, 1).astype(np.float32)
    at_once = drawn_weights(network, rng)
    in_parts = at_once.copy()
    start = np.array([begin])
    rngs = [np.random.default_rng(seed)], [np.random.default_rng(seed)]
    args = rates, start, [whole], gradient, rngs[0]
    [expected] = kernel.learn(network, training, at_once, *args)
    done, found = 0, []
    for part in parts:
        left = np.array([max(begin - done, 0)])
        piece = whole[done : done + part]
        args = rates, left, [piece], gradient, rngs[1]
        [errors] = kernel.learn(network, training, in_parts, *args)
        found.append(errors)
        done += part
    assert expected is not None
    np.testing.assert_array_equal(in_parts, at_once)
    np.testing.assert_array_equal(np.concatenate(found, axis=1), np.array(tuple(expected)))


@pytest.mark.parametrize("gradient", ["truncated", "bptt", "bptt:3:2", "rtrl"])
def test_a_call_by_epoch_may_not_be_split(gradient):
    """Weights change once per call, so two calls give another result."""
    rng = np.random.default_rng(0)
    network = Network(2, 1, Cell(1, 1))
    lesson = Lesson(network, Training(0.5, "epoch"), Gradient.named(gradient))
    data = drawn_data(network, rng, Kind(when="end"), [3, 4])
    lanes = Lanes(drawn_weights(network, rng), np.array([0.5], np.float32), np.array([0]), [data])
    at_once = run(NativeKernel(), lesson, lanes).weights
    first = run(NativeKernel(), lesson, Lanes(**{**vars(lanes), "data": [data[:1]]}))
    rest = Lanes(**{**vars(lanes), "weights": first.weights, "data": [data[1:]]})
    assert not np.array_equal(run(NativeKernel(), lesson, rest).weights, at_once)


LAYERS: list[tuple[Cell | Simple, Wiring]] = [
    *((Cell(2, 1), wiring) for wiring in WIRINGS),
    (Cell(2, 1, forget_gate=True), "full"),
    (Simple(3, "tanh"), "direct"),
    (Simple(3), "united"),
]
every_gradient = pytest.mark.parametrize(
    "gradient", [Gradient.named(name) for name in ("truncated", "bptt", "bptt:3:2", "rtrl")]
)


@every_isa
@every_gradient
def test_diverged_neighbours(isa, gradient):
    """Weights that are not finite, in some lanes, do not change the other lanes."""
    for (cell, wiring), inputs in itertools.product(LAYERS, (3, 20)):
        rng = np.random.default_rng(1)
        network = Network(inputs, 2, cell, wiring=wiring, bias="all")
        update = "step" if gradient.depth else "sequence"
        lesson = Lesson(network, Training(0.5, update), gradient)
        lanes = Lanes.drawn(network, Kind(symbolic=True, when="some"), rng, 20)
        kernel = NativeKernel(instruction_set=isa)
        healthy = run(kernel, lesson, lanes)
        sick = [lane for lane in range(0, 20, 3) if lanes.data[lane] is not None]
        well = [lane for lane in range(20) if lane not in sick]
        lanes.weights[sick] = np.resize([np.nan, np.inf, -np.inf], lanes.weights[sick].shape)
        mixed = run(kernel, lesson, lanes)
        with case(cell, wiring, inputs):
            healthy[well].assert_same(mixed[well])
            assert not np.isfinite(mixed.weights[sick]).all()


@every_isa
@every_gradient
def test_overflow_without_targets(isa, gradient):
    """A lane without targets keeps its weights, even if its traces overflow."""
    for wiring, h in itertools.product(WIRINGS, ("identity", "[-1,1]")):
        with case(wiring, h):
            check_overflow_without_targets(isa, gradient, wiring, h)


def check_overflow_without_targets(isa: str, gradient: Gradient, wiring: Wiring, h: Any) -> None:
    network = Network(1, 1, Cell(1, 1, g="identity", h=h), wiring=wiring)
    weights = np.full((2, network.n_weights), 0.5, np.float32)
    huge = np.full((4, 1), 3e38, np.float32)
    nothing = Sequences(
        huge, 1, np.array([0, 4]), np.zeros((0, 1), np.float32), 1, np.zeros(0, np.int64)
    )
    busy = Sequences.from_lists([[0.5] * 4], [[1.0]])
    lanes = Lanes(weights, np.ones(2, np.float32), np.zeros(2, np.int64), [nothing, busy])
    kernel, lesson = NativeKernel(instruction_set=isa), Lesson(network, Training(1.0), gradient)
    together = run(kernel, lesson, lanes)
    together[[0]].assert_same(run(kernel, lesson, lanes[[0]]))
    np.testing.assert_array_equal(together.weights[0], weights[0])


def updates_of(gradient: Gradient) -> list[Update]:
    """Unbounded back-propagation changes weights after sequences, not after steps."""
    return ["sequence", "epoch"] if gradient.name == "bptt" else ["step", "sequence", "epoch"]


@every_isa
@every_gradient
def test_overflow_after_the_last_target(isa, gradient):
    """A lane without further targets gives the same result alone and with neighbours."""
    for update, (cell, wiring) in itertools.product(updates_of(gradient), LAYERS):
        with case(update, cell, wiring):
            check_overflow_after_the_last_target(isa, gradient, update, cell, wiring)


def check_overflow_after_the_last_target(
    isa: str, gradient: Gradient, update: Update, cell: Cell | Simple, wiring: Wiring
) -> None:
    if isinstance(cell, Cell):
        cell = dataclasses.replace(cell, g="identity", h="identity")
    network, rng = Network(1, 2, cell, wiring=wiring), np.random.default_rng(3)
    inputs, goals = np.full((12, 1), 3e38, np.float32), np.ones((2, 2), np.float32)
    inputs[:2] = 0.5
    early = Sequences(inputs, 1, np.array([0, 12]), goals, 2, np.array([0, 1]))
    busy = drawn_data(network, rng, Kind(when="all"), [12, 3])
    weights = np.abs(drawn_weights(network, rng, 2))
    lanes = Lanes(weights, np.ones(2, np.float32), np.zeros(2, np.int64), [early, busy])
    kernel, training = NativeKernel(instruction_set=isa), Training(1.0, update)
    lesson = Lesson(network, training, gradient)
    together = run(kernel, lesson, lanes)
    together[[0]].assert_same(run(kernel, lesson, lanes[[0]]))
    together[[1]].assert_same(run(kernel, lesson, lanes[[1]]))


@every_isa
@every_gradient
def test_lanes_without_data_keep_their_weights(isa, gradient):
    """Idle lanes keep all bits, including NaN and -0.0. Lanes without sequences keep values."""
    for update in updates_of(gradient):
        with case(update):
            check_lanes_without_data(isa, gradient, update)


def check_lanes_without_data(isa: str, gradient: Gradient, update: Update) -> None:
    rng = np.random.default_rng(4)
    network = Network(2, 2, Cell(2, 1), bias="all")
    weights = drawn_weights(network, rng, 24)
    odd = np.array([np.nan, -0.0, 0.0, -np.inf, 1e-45, -1.5], np.float32)
    weights[::4] = np.resize(odd, weights[0].shape)
    weights[2::4] = np.resize(odd[1:3], weights[0].shape)
    busy = drawn_data(network, rng, Kind(when="all"), [5, 2])
    empty = drawn_data(network, rng, Kind(), [])
    data = [[None, busy, empty, busy][lane % 4] for lane in range(24)]
    before = weights.copy()
    kernel = NativeKernel(instruction_set=isa)
    rates, start = np.ones(24, np.float32), np.zeros(24, np.int64)
    kernel.learn(network, Training(1.0, update), weights, rates, start, data, gradient)
    np.testing.assert_array_equal(weights[::4].view(np.uint32), before[::4].view(np.uint32))
    np.testing.assert_array_equal(weights[2::4], before[2::4])
    assert (weights[1::2] != before[1::2]).any(axis=1).all()
