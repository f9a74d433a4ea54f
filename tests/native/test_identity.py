"""A lane's result is the same to the last bit wherever it runs, and beside whatever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network, Training, Wiring
from carrousel.kernels import NativeKernel, instruction_sets
from carrousel.sequences import Sequences
from drawn import (
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

pytestmark = pytest.mark.native

isas = st.sampled_from(instruction_sets())
every_isa = pytest.mark.parametrize("isa", instruction_sets())
alphabets = st.sampled_from([1, 2, 5, 16, 17, 20])


@dataclass
class Lanes:
    """Everything lanes have of their own."""

    weights: np.ndarray
    rates: np.ndarray
    cells_from: np.ndarray
    data: list[Sequences | None]

    # Up to 30 steps: the kernels take time in chunks of 8, so some sequences span several.
    @staticmethod
    def drawn(network: Network, kind: Kind, rng: np.random.Generator, n: int) -> Lanes:
        return Lanes(
            weights=drawn_weights(network, rng, n),
            rates=rng.uniform(0, 1, n).astype(np.float32),
            cells_from=rng.integers(0, 3, n),
            data=drawn_lanes(network, rng, kind, lanes=n, most=30),
        )

    def __getitem__(self, order: Sequence[int] | np.ndarray) -> Lanes:
        data = [self.data[lane] for lane in order]
        return Lanes(self.weights[order], self.rates[order], self.cells_from[order], data)


@dataclass
class Outcome:
    """All a kernel says about lanes, as bit patterns."""

    weights: np.ndarray
    errors: list[np.ndarray | None]
    outputs: list[np.ndarray | None]

    def assert_same(self, other: Outcome) -> None:
        np.testing.assert_array_equal(self.weights, other.weights)
        for one, two in zip(
            [*self.errors, *self.outputs], [*other.errors, *other.outputs], strict=True
        ):
            assert (one is None) == (two is None)
            if one is not None:
                np.testing.assert_array_equal(one, two)

    def __getitem__(self, order: Sequence[int] | np.ndarray) -> Outcome:
        errors = [self.errors[lane] for lane in order]
        return Outcome(self.weights[order], errors, [self.outputs[lane] for lane in order])


def run(kernel: NativeKernel, network: Network, training: Training, lanes: Lanes) -> Outcome:
    weights = lanes.weights.copy()
    args = (lanes.cells_from, lanes.data)
    outputs = kernel.predict(network, training, weights, *args)
    np.testing.assert_array_equal(weights, lanes.weights)  # predicting changes nothing
    errors = kernel.learn(network, training, weights, lanes.rates, *args)
    return Outcome(weights, [None if e is None else np.array(tuple(e)) for e in errors], outputs)


@settings(max_examples=60, deadline=None)
@given(networks(inputs=alphabets), trainings(), kinds, st.integers(1, 40), isas, seeds, st.data())
def test_lanes_may_be_permuted(network, training, kind, n, isa, seed, data):
    rng = np.random.default_rng(seed)
    lanes, kernel = Lanes.drawn(network, kind, rng, n), NativeKernel(instruction_set=isa)
    order = np.array(data.draw(st.permutations(range(n))))
    everyone = run(kernel, network, training, lanes)
    everyone[order].assert_same(run(kernel, network, training, lanes[order]))


@settings(max_examples=60, deadline=None)
@given(networks(inputs=alphabets), trainings(), kinds, st.integers(1, 40), isas, seeds, st.data())
def test_lanes_may_have_other_neighbours(network, training, kind, n, isa, seed, data):
    """Any subset of lanes, one alone included, ends as it does in full company."""
    rng = np.random.default_rng(seed)
    lanes, kernel = Lanes.drawn(network, kind, rng, n), NativeKernel(instruction_set=isa)
    some = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    everyone = run(kernel, network, training, lanes)
    everyone[some].assert_same(run(kernel, network, training, lanes[some]))


@settings(max_examples=25, deadline=None)
@given(networks(inputs=alphabets), trainings(), kinds, st.integers(1, 40), isas, seeds)
def test_each_lane_alone(network, training, kind, n, isa, seed):
    lanes = Lanes.drawn(network, kind, np.random.default_rng(seed), n)
    kernel = NativeKernel(instruction_set=isa)
    everyone = run(kernel, network, training, lanes)
    for lane in range(n):
        everyone[[lane]].assert_same(run(kernel, network, training, lanes[[lane]]))


@settings(max_examples=30, deadline=None)
@given(networks(inputs=alphabets), trainings(), kinds, st.integers(1, 40), isas, seeds)
def test_any_number_of_threads(network, training, kind, n, isa, seed):
    lanes = Lanes.drawn(network, kind, np.random.default_rng(seed), n)
    alone = run(NativeKernel(1, isa), network, training, lanes)
    for threads in (2, 3, 1024):
        alone.assert_same(run(NativeKernel(threads, isa), network, training, lanes))


@settings(max_examples=60, deadline=None)
@given(
    networks(inputs=alphabets),
    trainings("step", "sequence"),
    kinds,
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.integers(0, 6),
    isas,
    seeds,
)
def test_one_call_may_be_split_into_several(network, training, kind, parts, begin, isa, seed):
    """learn(a + b) is learn(a), then learn(b), wherever the cells come in."""
    rng = np.random.default_rng(seed)
    kernel = NativeKernel(instruction_set=isa)
    lengths = rng.integers(1, 30, sum(parts)).tolist()
    whole = drawn_data(network, rng, kind, lengths)
    rates = rng.uniform(0, 1, 1).astype(np.float32)
    at_once = drawn_weights(network, rng)
    in_parts = at_once.copy()
    [expected] = kernel.learn(network, training, at_once, rates, np.array([begin]), [whole])
    done, found = 0, []
    for part in parts:
        left = np.array([max(begin - done, 0)])
        piece = whole[done : done + part]
        [errors] = kernel.learn(network, training, in_parts, rates, left, [piece])
        found.append(errors)
        done += part
    assert expected is not None
    np.testing.assert_array_equal(in_parts, at_once)
    np.testing.assert_array_equal(np.concatenate(found, axis=1), np.array(tuple(expected)))


def test_an_epoch_is_the_call_and_may_not_be_split():
    """The contrast: with one change per call, two calls are two changes."""
    rng = np.random.default_rng(0)
    network, training = Network(2, 1, Cell(1, 1)), Training(0.5, "epoch")
    data = drawn_data(network, rng, Kind(when="end"), [3, 4])
    lanes = Lanes(drawn_weights(network, rng), np.array([0.5], np.float32), np.array([0]), [data])
    at_once = run(NativeKernel(), network, training, lanes).weights
    first = run(NativeKernel(), network, training, Lanes(**{**vars(lanes), "data": [data[:1]]}))
    rest = Lanes(**{**vars(lanes), "weights": first.weights, "data": [data[1:]]})
    assert not np.array_equal(run(NativeKernel(), network, training, rest).weights, at_once)


@every_isa
@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("inputs", [3, 20])
def test_a_diverged_neighbour_does_no_harm(isa, wiring: Wiring, inputs):
    """Weights that are no numbers, in one lane, stay there."""
    rng = np.random.default_rng(1)
    network, training = Network(inputs, 2, Cell(2, 1), wiring=wiring, bias="all"), Training(0.5)
    lanes = Lanes.drawn(network, Kind(symbolic=True, when="all"), rng, 20)
    kernel = NativeKernel(instruction_set=isa)
    healthy = run(kernel, network, training, lanes)
    sick = [lane for lane in range(0, 20, 3) if lanes.data[lane] is not None]
    well = [lane for lane in range(20) if lane not in sick]
    lanes.weights[sick] = np.resize([np.nan, np.inf, -np.inf], lanes.weights[sick].shape)
    mixed = run(kernel, network, training, lanes)
    healthy[well].assert_same(mixed[well])
    assert not np.isfinite(mixed.weights[sick]).all()


@every_isa
@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("h", ["identity", "[-1,1]"])
def test_an_overflow_without_a_target_stays_without_effect(isa, wiring: Wiring, h):
    """A lane with nothing to learn keeps its weights, even if its traces leave float32's range."""
    network = Network(1, 1, Cell(1, 1, g="identity", h=h), wiring=wiring)
    weights = np.full((2, network.n_weights), 0.5, np.float32)
    huge = np.full((4, 1), 3e38, np.float32)
    nothing = Sequences(
        huge, 1, np.array([0, 4]), np.zeros((0, 1), np.float32), 1, np.zeros(0, np.int64)
    )
    busy = Sequences.from_lists([[0.5] * 4], [[1.0]])
    lanes = Lanes(weights, np.ones(2, np.float32), np.zeros(2, np.int64), [nothing, busy])
    kernel = NativeKernel(instruction_set=isa)
    together = run(kernel, network, Training(1.0), lanes)
    together[[0]].assert_same(run(kernel, network, Training(1.0), lanes[[0]]))
    np.testing.assert_array_equal(together.weights[0], weights[0])


@every_isa
@pytest.mark.parametrize("update", ["step", "sequence", "epoch"])
def test_lanes_with_nothing_to_learn_keep_every_bit(isa, update):
    """Idle lanes to the last bit, NaN and -0.0 included; lanes without sequences by value."""
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
    kernel.learn(network, Training(1.0, update), weights, rates, start, data)
    np.testing.assert_array_equal(weights[::4].view(np.uint32), before[::4].view(np.uint32))
    np.testing.assert_array_equal(weights[2::4], before[2::4])
    assert (weights[1::2] != before[1::2]).any(axis=1).all()
