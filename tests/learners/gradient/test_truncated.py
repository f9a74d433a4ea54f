"""The truncated gradient as a learner: lanes, cells that join later, states, memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.contracts import Cell, Kernel, Network, Training
from carrousel.contracts.initial import initial_weights
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.kernels import NativeKernel, ReferenceKernel
from carrousel.learners import LEARNERS, GradientLearner
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import Kind, drawn_data, networks, seeds

pytestmark = pytest.mark.native

NETWORK = Network(2, 1, Cell(2, 2), bias="all")
KERNELS: list[Kernel] = [NativeKernel(), ReferenceKernel(), ReferenceKernel(np.float32)]
kernels = each("kernel", KERNELS)


def batch(seed: int = 0, n: int = 3, network: Network = NETWORK) -> Sequences:
    rng = np.random.default_rng(seed)
    return drawn_data(network, rng, Kind(when="all"), rng.integers(1, 9, n).tolist())


def started(
    lanes: int = 1, training: Training | None = None, kernel: Kernel | None = None
) -> GradientLearner:
    learner = GradientLearner(NETWORK, training or Training(0.5), lanes, kernel)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(lane))
    return learner


@kernels
def test_begin_draws_the_networks_initial_weights(kernel):
    learner = started(3, kernel=kernel)
    assert learner.weights.dtype == kernel.dtype
    for lane in range(3):
        expected = initial_weights(NETWORK, np.random.default_rng(lane))
        np.testing.assert_array_equal(learner.weights[lane], expected)


@kernels
def test_a_lane_learns_as_if_it_were_alone(kernel):
    together = started(3, kernel=kernel)
    errors = together.learn([batch(1), None, batch(2)])
    assert errors[1] is None
    np.testing.assert_array_equal(together.weights[1], started(3, kernel=kernel).weights[1])
    for lane, data in ((0, batch(1)), (2, batch(2))):
        alone = GradientLearner(NETWORK, Training(0.5), kernel=kernel)
        alone.begin(0, np.random.default_rng(lane))
        [expected] = alone.learn([data])
        np.testing.assert_array_equal(together.weights[lane], alone.weights[0])
        np.testing.assert_array_equal(np.array(errors[lane]), np.array(expected))


@kernels
def test_a_gradient_is_what_an_epoch_of_learning_adds(kernel):
    """Computing it changes no weights, and a lane without data has none."""
    training, start = Training(0.5, "epoch"), np.array([0, 0, 1])
    weights = started(3, kernel=kernel).weights
    before, data = weights.copy(), [batch(1), None, batch(2)]
    found, errors = kernel.gradient(NETWORK, Training(0.3, "step"), weights, start, data)
    np.testing.assert_array_equal(weights, before)
    rates = np.full(3, 0.5, kernel.dtype)
    expected = kernel.learn(NETWORK, training, weights, rates, start, data)
    assert found.dtype == kernel.dtype
    off = 4 * float(np.finfo(kernel.dtype).eps)
    np.testing.assert_allclose(before + 0.5 * found, weights, rtol=off, atol=off)
    assert not found[1].any()
    assert np.abs(found[[0, 2]]).max(axis=1).min() > 1e-3
    assert errors[1] is expected[1] is None
    for lane in (0, 2):
        np.testing.assert_array_equal(np.array(errors[lane]), np.array(expected[lane]))


@kernels
def test_predicting_changes_nothing(kernel):
    learner = started(2, kernel=kernel)
    before = learner.weights.copy()
    first, idle = learner.predict([batch(), None])
    again, _ = learner.predict([batch(), None])
    assert idle is None
    assert first is not None
    assert first.shape == (len(batch().targets), 1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(learner.weights, before)


@kernels
def test_errors_are_those_of_predictions_made_before_learning(kernel):
    """With one sequence per call and updates at its end, both see the same weights."""
    learner, data = started(kernel=kernel), batch(n=1)
    [outputs] = learner.predict([data])
    [errors] = learner.learn([data])
    assert outputs is not None
    assert errors is not None
    assert (data.targets < outputs).any()  # errors of both signs
    assert (data.targets > outputs).any()
    off = np.abs(data.targets.astype(np.float64) - outputs)
    np.testing.assert_allclose(errors.max_abs, [off.max()], rtol=1e-6)
    np.testing.assert_allclose(errors.mean_abs, [off.mean()], rtol=1e-6)
    np.testing.assert_allclose(errors.sum_sq, [(off**2).sum()], rtol=1e-6)
    np.testing.assert_array_equal(errors.n_values, [off.size])


@each("kernel", KERNELS)
@each("update", ["step", "sequence", "epoch"])
def test_cells_join_after_their_number_of_sequences(kernel, update):
    """However the sequences are split into calls; until then only outputs learn."""
    training = Training(0.5, update, cells_added_after=4)
    learner = started(training=training, kernel=kernel)
    before = NETWORK.views(learner.weights[0].copy())
    for seed, n in enumerate((3, 1)):
        learner.learn([batch(seed, n)])
    after = NETWORK.views(learner.weights[0])
    for name in after:
        assert np.array_equal(after[name], before[name]) == (name != "output_bias"), name
    learner.learn([batch(9, 1)])
    for name, part in NETWORK.views(learner.weights[0]).items():
        assert np.any(part != before[name]), name


@kernels
def test_where_cells_join_does_not_depend_on_the_size_of_calls(kernel):
    training = Training(0.5, cells_added_after=4)
    at_once, in_parts = (started(training=training, kernel=kernel) for _ in range(2))
    data = batch(3, 7)
    at_once.learn([data])
    for part in (data[:3], data[3:5], data[5:]):
        in_parts.learn([part])
    np.testing.assert_array_equal(at_once.weights, in_parts.weights)


@kernels
def test_a_restored_lane_continues(kernel):
    """learn(b) after restore(state after a) is learn(a), learn(b); the lane may be another."""
    training = Training(0.5, cells_added_after=4)
    first = started(training=training, kernel=kernel)
    first.learn([batch(1)])
    state = first.state(0)
    first.learn([batch(2)])
    second = started(3, training=training, kernel=kernel)
    second.restore(2, state)
    second.learn([None, None, batch(2)])
    np.testing.assert_array_equal(second.weights[2], first.weights[0])
    np.testing.assert_array_equal(second.state(2)["seen"], first.state(0)["seen"])


def test_a_state_is_a_copy():
    learner = started()
    state = learner.state(0)
    copy = {name: array.copy() for name, array in state.items()}
    learner.learn([batch()])
    for name, array in state.items():
        np.testing.assert_array_equal(array, copy[name])


def test_beginning_again_resets_everything():
    training = Training(0.5, cells_added_after=4)
    learner = started(training=training)
    learner.learn([batch(1, 6)])
    learner.begin(0, np.random.default_rng(0))
    learner.learn([batch(2)])
    fresh = started(training=training)
    fresh.learn([batch(2)])
    np.testing.assert_array_equal(learner.weights, fresh.weights)


@given(networks(), st.integers(1, 5), seeds)
def test_bytes_are_weights_and_traces_and_do_not_depend_on_time(network, lanes, seed):
    """Complexity formula after (29): 2 C S traces of I sources, and the weights; nothing else."""
    cell = network.cell
    per_cell = network.n_inputs + len(network.fed_back) + 1
    expected = lanes * 4 * (network.n_weights + 2 * cell.blocks * cell.block_size * per_cell)
    learner = GradientLearner(network, Training(0.1), lanes)
    assert learner.nbytes == expected
    for steps in (1, 200):
        data = drawn_data(network, np.random.default_rng(seed), Kind(when="end"), [steps])
        learner.learn([data] * lanes)
        assert learner.nbytes == expected


@kernels
def test_it_learns(kernel):
    """The first step decides the target five steps later: the paper's point, in small."""
    training = Training(2.0)
    network = Network(4, 1, Cell(1, 1), bias="all")
    learner = GradientLearner(network, training, kernel=kernel)
    learner.begin(0, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    cues = rng.integers(0, 2, 800)
    inputs = [[cue, *rng.integers(2, 4, 5)] for cue in cues]
    goals = [[[float(cue)]] for cue in cues]
    data = Sequences.from_lists(inputs, goals, n_inputs=4)
    [errors] = learner.learn([data])
    assert errors is not None
    assert errors.max_abs[-50:].max() < 0.2
    assert errors.max_abs[:50].mean() > 0.4


def test_lanes_that_do_not_exist():
    learner = started(2)
    for lane in (-1, 2):
        for call in (
            lambda n: learner.begin(n, np.random.default_rng(0)),
            learner.state,
            lambda n: learner.restore(n, {}),
        ):
            with pytest.raises(SettingError, match=rf"lane is {lane}, expected 0\.\.1"):
                call(lane)


@each("parts", [0, 1, 3])
def test_another_number_of_parts_than_lanes(parts):
    learner = started(2)
    for call in (learner.learn, learner.predict):
        with pytest.raises(ShapeError, match=f"data has {parts} parts for 2 lanes; pass None"):
            call([batch()] * parts)


@each("lanes", [0, -1])
def test_no_lanes(lanes):
    with pytest.raises(SettingError, match="n_lanes"):
        GradientLearner(NETWORK, Training(0.5), lanes)


def test_refused_data_leave_weights_and_counts_alone():
    learner = started(2)
    before = [learner.state(lane) for lane in range(2)]
    bad = Sequences(
        np.full((2, 2), np.nan, np.float32), 2, np.array([0, 2]), np.ones((1, 1), np.float32),
        1, np.array([1]),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"data\[1\]"):
        learner.learn([batch(), bad])
    for lane in range(2):
        for name, array in learner.state(lane).items():
            np.testing.assert_array_equal(array, before[lane][name])


def test_the_registry_makes_learners():
    learner = LEARNERS["truncated"](NETWORK, Training(0.5), 2)
    assert (learner.n_lanes, learner.nbytes) == (2, started(2).nbytes)
