"""Updates by batches: gradients of any size, cuts into calls, neighbours, states."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import (
    Batches,
    Cell,
    Errors,
    Gradient,
    Init,
    Kernel,
    Network,
    Simple,
    Training,
)
from carrousel.errors import DataError
from carrousel.kernels import NativeKernel, ReferenceKernel
from carrousel.learners import GradientLearner
from carrousel.learners.gradient import batch as module
from carrousel.learners.gradient.rules import update_rule
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import Kind, drawn_data

NETWORK = Network(2, 1, Cell(1, 2, forget_gate=True), bias="all", init=Init(range=0.5))
SYMBOLS = Network(9, 3, Cell(2, 1), bias="all", init=Init(range=0.5))
NAMES = ("truncated", "bptt", "bptt:3", "bptt:3:2", "rtrl", "snap:1", "uoro")
RULES = ("plain", "momentum", "adam")


def batch(seed: int = 0, n: int = 3, network: Network = NETWORK, most: int = 9) -> Sequences:
    rng, symbolic = np.random.default_rng(seed), network is SYMBOLS
    kind = Kind(symbolic=symbolic, classes=symbolic, when="all")
    return drawn_data(network, rng, kind, rng.integers(1, most, n).tolist())


def started(
    training: Batches,
    lanes: int = 1,
    network: Network = NETWORK,
    kernel: Kernel | None = None,
    seed: int = 0,
) -> GradientLearner:
    learner = GradientLearner(network, training, lanes, kernel)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(seed + lane))
    return learner


def assert_same_state(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert set(ours) == set(theirs)
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def assert_same_errors(ours: Errors | None, theirs: Errors | None) -> None:
    assert ours is not None
    assert theirs is not None
    for name, a, b in zip(Errors._fields, ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


# --- the gradient --------------------------------------------------------------------------------


def gradient_of(
    data: Sequences, weights: np.ndarray, network: Network, name: str, kernel: Kernel
) -> np.ndarray:
    training, start = Training(1.0, output_derivative=False), np.zeros(1, np.int64)
    flat = weights[None].astype(kernel.dtype)
    found, _ = kernel.gradient(network, training, flat, start, [data], Gradient.named(name))
    return found[0]


@pytest.mark.parametrize("network", [NETWORK, SYMBOLS], ids=["values", "symbols"])
@each("size", [1e-10, 1e-6, 1.0, 1e6])
@each("name", ["truncated", "bptt", "rtrl"])
def test_gradients_of_any_size_keep_their_digits_beside_large_weights(network, size, name):
    """Output weights scale all error that reaches hidden units; hidden weights stay large.

    Native sums are of float32 and of at most 40 terms, so five digits of the largest are right.
    """
    rng = np.random.default_rng(5)
    flat = rng.uniform(-0.5, 0.5, network.n_weights).astype(np.float32)
    parts = network.views(flat)
    parts["output_cells"][:] *= size
    flat[rng.random(len(flat)) < 0.2] *= 20.0
    data = batch(3, 8, network)
    ours = gradient_of(data, flat, network, name, NativeKernel())
    exact = gradient_of(data, flat, network, name, ReferenceKernel())
    for layer in [part for part in parts if part.startswith("hidden")]:
        a, b = (network.views(item)[layer] for item in (ours, exact))
        assert np.abs(b).max() < 100 * size
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max(), err_msg=layer)
        assert np.count_nonzero(b) > 0


def test_a_gradient_beside_a_weight_of_ten_has_five_digits():
    """A single weight: its gradient is proportional to one output weight."""
    network = Network(1, 1, Simple(1), bias="all")
    data = Sequences.from_lists([[0.5]], [[1.0]])
    y = 1 / (1 + np.exp(-1.5))
    for size, digits in ((1e-10, 1e-5), (1e-3, 1e-3)):
        flat = np.full(network.n_weights, 10.0, np.float32)
        network.views(flat)["hidden_inputs"][:] = 2.0
        network.views(flat)["hidden_bias"][:] = 0.5
        network.views(flat)["output_bias"][:] = 0.0
        network.views(flat)["output_cells"][:] = size
        gradient = gradient_of(data, flat, network, "bptt", NativeKernel())
        found = float(network.views(gradient)["hidden_bias"][0])
        assert found == pytest.approx(0.5 * size * y * (1 - y), rel=digits)


@each("name", NAMES)
def test_the_plain_rule_with_one_sequence_is_gradient_descent(name):
    """Within rounding: the gradient is rounded once more, and added in another order."""
    plain = Batches(0.5, 1, "plain", name, output_derivative=True, initial_activation=0.2)
    ours = started(plain)
    theirs = GradientLearner(NETWORK, Training(0.5, initial_activation=0.2), 1, gradient=name)
    theirs.begin(0, np.random.default_rng(0))
    data = batch(1, 12)
    [a], [b] = ours.learn([data]), theirs.learn([data])
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.sum_abs, b.sum_abs, rtol=1e-5)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-4, atol=1e-6)


def test_one_large_batch_is_an_epoch_of_gradient_descent():
    data = batch(2, 10)
    ours = started(Batches(0.1, 10, "plain", "bptt"))
    epoch = Training(0.1, "epoch", output_derivative=False)
    theirs = GradientLearner(NETWORK, epoch, 1, gradient="bptt")
    theirs.begin(0, np.random.default_rng(0))
    [a], [b] = ours.learn([data]), theirs.learn([data])
    assert_same_errors(a, b)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("rule", "rate"), [("plain", 0.5), ("momentum", 0.2), ("adam", 0.02)])
@each("name", ["truncated", "bptt", "rtrl", "snap:1"])
def test_native_lanes_follow_the_reference(name, rule, rate):
    training = Batches(rate, 4, rule, name, clip=0.5, halves_every=10)
    ours, theirs = started(training), started(training, kernel=ReferenceKernel())
    data = batch(4, 41)
    [a], [b] = ours.learn([data]), theirs.learn([data])
    assert a is not None
    assert b is not None
    np.testing.assert_allclose(a.sum_abs, b.sum_abs, rtol=1e-3)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-2, atol=1e-3)
    assert np.abs(ours.weights[0] - started(training).weights[0]).max() > 0.02


def learned_at_a_huge_rate(
    network: Network, training: Batches, weights: np.ndarray, data: Sequences
) -> np.ndarray:
    """Weights after updates by differences of weights that learned at a rate of 2**60.

    Stored trials were run in this way.
    """
    kernel, rule = NativeKernel(), update_rule(training, *weights.shape)
    epoch = Training(2.0**60, "epoch", training.output_derivative)
    rates, start = np.full(1, 2.0**60, np.float32), np.zeros(1, np.int64)
    for first in range(0, len(data), training.size):
        moved, part = weights.copy(), data[first : first + training.size]
        gradient = Gradient.named(training.gradient)
        kernel.learn(network, epoch, moved, rates, start, [part], gradient)
        found = np.subtract(moved, weights, dtype=np.float64) * 2.0**-60
        weights = (weights + rule.step(start, found)).astype(np.float32)
    return weights


@each("gate", [-35.0, -12.0, 0.0])
@each("name", ["truncated", "bptt", "rtrl"])
def test_updates_have_the_bits_of_stored_trials(gate, name):
    """Closed input gates make gradients as small as lags of a million steps do; 150 updates."""
    training = Batches(0.001, 2, gradient=name, epsilon=1e-15)
    for network, gates in ((NETWORK, 1), (SYMBOLS, 2)):
        learner, data = started(training, network=network), batch(3, 300, network)
        parts = network.views(learner.weights[0])
        parts["hidden_bias"][:gates] = gate  # those of input gates come first
        start = learner.weights.copy()
        learner.learn([data])
        expected = learned_at_a_huge_rate(network, training, start, data)
        np.testing.assert_array_equal(learner.weights, expected)
        assert np.abs(expected - start).max() > 0.02


# --- cuts, neighbours, states --------------------------------------------------------------------


@each("name", NAMES)
@settings(max_examples=15)
@given(
    size=st.integers(1, 7),
    cuts=st.lists(st.integers(0, 20), max_size=6),
    rule=st.sampled_from(RULES),
    piece=st.sampled_from([6, 15, 4096]),
)
def test_a_lane_does_not_depend_on_where_its_data_are_cut(name, size, cuts, rule, piece):
    """Nor on being stored in between; errors and every number of its state have equal bits.

    Pieces of 6 and 15 steps end within batches, too.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE_STEPS", piece)
        training = Batches(0.05, size, rule, name, halves_every=3)
        whole, parts = started(training), started(training)
        data = batch(1, 20)
        [expected] = whole.learn([data])
        found = []
        for first, last in pairwise([0, *sorted(cuts), 20]):
            found += parts.learn([data[first:last]])
            fresh = started(training, seed=99)
            fresh.restore(0, parts.state(0))
            parts = fresh
        joined = Errors(*(np.concatenate(column) for column in zip(*found, strict=True)))
        assert_same_errors(joined, expected)
        assert_same_state(parts.state(0), whole.state(0))
        both = [item.learn([batch(2, 9)])[0] for item in (whole, parts)]
        assert_same_errors(*both)
        np.testing.assert_array_equal(whole.weights, parts.weights)


@settings(max_examples=25)
@given(
    lanes=st.integers(2, 19),
    size=st.integers(1, 6),
    rule=st.sampled_from(RULES),
    seed=st.integers(0, 99),
)
def test_lanes_do_not_depend_on_their_neighbours(lanes, size, rule, seed):
    """They have different counts, some are idle, and some diverge."""
    training = Batches(0.05, size, rule, "truncated", clip=1.0)
    learner, rng = started(training, lanes), np.random.default_rng(seed)
    alone = started(training)
    lane = int(rng.integers(lanes))
    alone.restore(0, learner.state(lane))
    learner.weights[(lane + 1) % lanes] = np.inf
    for turn in range(4):
        data: list[Sequences | None] = [
            None if rng.random() < 0.3 else batch(100 * turn + n, int(rng.integers(0, 8)))
            for n in range(lanes)
        ]
        found = learner.learn(data)
        assert [item is None for item in found] == [part is None for part in data]
        if data[lane] is not None:
            assert_same_errors(alone.learn([data[lane]])[0], found[lane])
        assert_same_state(alone.state(0), learner.state(lane))


@each("name", NAMES)
def test_a_state_survives_a_file(name, tmp_path):
    """With a batch half full: arrays of plain types only."""
    learner = started(Batches(0.05, 4, gradient=name))
    learner.learn([batch(1, 6)])
    state = learner.state(0)
    assert len(state["waiting_offsets"]) == 1 + 2
    np.savez(tmp_path / "state.npz", **state)  # type: ignore[arg-type]
    with np.load(tmp_path / "state.npz", allow_pickle=False) as stored:
        again = GradientLearner(NETWORK, learner.training, 3)
        again.restore(2, dict(stored))
    learner.learn([batch(2, 5)])
    again.learn([None, None, batch(2, 5)])
    assert_same_state(again.state(2), learner.state(0))


def test_symbols_wait_as_well():
    whole, parts = (started(Batches(0.1, 5), network=SYMBOLS) for _ in range(2))
    data = batch(1, 10, SYMBOLS)
    whole.learn([data])
    for one in data:
        parts.learn([one])
        parts.restore(0, parts.state(0))
    assert_same_state(parts.state(0), whole.state(0))


def test_beginning_again_resets_everything():
    learner, fresh = (started(Batches(0.05, 4, gradient="uoro")) for _ in range(2))
    learner.learn([batch(1, 6)])
    learner.begin(0, np.random.default_rng(0))
    assert_same_state(learner.state(0), fresh.state(0))
    for item in (learner, fresh):
        item.learn([batch(2, 6)])
    assert_same_state(learner.state(0), fresh.state(0))


def test_weights_change_only_when_a_batch_is_full():
    learner = started(Batches(0.05, 4))
    before = learner.weights.copy()
    learner.learn([batch(1, 3)])
    np.testing.assert_array_equal(learner.weights, before)
    learner.learn([batch(2, 1)])
    assert np.all(learner.weights != before)


def test_waiting_sequences_are_copies():
    learner, other = (started(Batches(0.05, 4)) for _ in range(2))
    data = batch(1, 3)
    for item in (learner, other):
        item.learn([data])
    data.inputs[:] = 0.0
    for item in (learner, other):
        item.learn([batch(2, 1)])
    again = started(Batches(0.05, 4))
    again.learn([Sequences.concatenate([batch(1, 3), batch(2, 1)])])
    np.testing.assert_array_equal(learner.weights, again.weights)


def test_bytes_grow_with_waiting_sequences_alone():
    learner = started(Batches(0.05, 4, gradient="truncated"))
    empty = learner.nbytes
    learner.learn([batch(1, 2)])
    assert learner.nbytes == empty + batch(1, 2).nbytes
    learner.learn([batch(1, 2)])
    assert learner.nbytes == empty
    plain = started(Batches(0.05, 4, "plain", "truncated"))
    assert empty - plain.nbytes == 2 * 8 * NETWORK.n_weights


def test_divergence_shows_in_errors_and_nowhere_else():
    """Warnings are errors in these tests."""
    learner = started(Batches(1e30, 1, "plain"))
    [errors] = learner.learn([batch(1, 6)])
    assert errors is not None
    learner.weights[:] = np.nan
    [errors] = learner.learn([batch(1, 6)])
    assert errors is not None
    assert not np.isfinite(errors.sum_sq).any()


def test_data_that_are_not_finite():
    """They are refused before anything has changed."""
    learner = started(Batches(0.5, 2))
    bad = batch(1, 2)
    bad.inputs[-1] = np.nan
    before = learner.state(0)
    with pytest.raises(DataError, match="not finite"):
        learner.learn([bad])
    assert_same_state(learner.state(0), before)
