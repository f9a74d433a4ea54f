"""Random weight guessing, against a plain loop over guesses and sequences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Init, Learner, Network, Simple
from carrousel.contracts.initial import initial_weights
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.kernels import ReferenceKernel
from carrousel.learners.guess.learner import AHEAD, GuessLearner, GuessTraining
from carrousel.sequences import Sequences
from carrousel.tasks import Latch, TwoSequence
from support.case import case

KERNEL = ReferenceKernel()
SHORT = TwoSequence(3, 1, "a", longest=6)
UNITED = Network(1, 1, Simple(2), wiring="united", bias="all", init=Init(100.0))
SPARSE = Network(1, 1, Simple(4), wiring="sparse", bias="all", init=Init(100.0))
NETWORKS = {
    "united": UNITED,
    "united tanh": Network(1, 1, Simple(1, "tanh"), wiring="united", init=Init(100.0)),
    "sparse": SPARSE,
    "full": Network(1, 1, Simple(3), bias="hidden", init=Init(5.0)),
    "cells": Network(1, 1, Cell(2, 1), bias="all", init=Init(20.0, input_gate_bias=(-1.0, -2.0))),
}
seeds = st.integers(0, 2**32)
networks = st.sampled_from(list(NETWORKS.values()))
kinds = st.sampled_from(
    [(net, last) for net in NETWORKS.values() for last in (False, True)[: 1 + net.united]]
)


class Counting:
    """A kernel that counts the sequences of its calls."""

    name = "counting"
    dtype: type[np.floating] = np.float64

    def __init__(self) -> None:
        self.shown = self.calls = 0

    def learn(self, *args, **settings):
        raise AssertionError("guessing never follows a gradient")

    gradient = learn

    def predict(self, network, training, weights, cells_from, data):
        self.calls += 1
        self.shown += sum(len(part) for part in data if part is not None)
        return KERNEL.predict(network, training, weights, cells_from, data)


def started(network=UNITED, lanes: int = 1, seed: int = 0, **settings) -> GuessLearner:
    settings = {"tolerance": 0.2, **settings}
    learner = GuessLearner(network, GuessTraining(**settings), lanes, KERNEL)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng([seed, lane]))
    return learner


def outputs_by_hand(
    network: Network, weights: np.ndarray, data: Sequences, outputs_last: bool = False
) -> np.ndarray:
    """Outputs of one united or sparse network at the end of one sequence."""
    parts, units, outs = network.views(weights), network.cell.n_units, network.n_outputs
    y = np.zeros(units)
    for x in data.inputs.astype(np.float64):
        before, y = y, y.copy()
        for unit in range(units):
            if outputs_last and unit == units - outs:
                before = y.copy()
            net = parts["hidden_inputs"][unit] @ x + parts["hidden_bias"][unit]
            if network.wiring == "united":
                net += parts["hidden_recurrent"][unit] @ before
            elif unit < units - outs:
                net += parts["hidden_self"][unit] * before[unit]
                net += parts["hidden_outputs"][unit] @ before[units - outs :]
            else:
                net += parts["output_recurrent"][unit - units + outs] @ before
            y[unit] = 1 / (1 + np.exp(-net)) if net > -700 else 0.0
    return y[units - outs :]


@settings(max_examples=20, deadline=None)
@given(
    seed=seeds, network=st.sampled_from([UNITED, SPARSE]), held=st.booleans(), last=st.booleans()
)
def test_against_a_loop_over_sequences(seed, network, held, last):
    places = ((0, 2.5), (network.n_weights - 1, 0.0)) if held else ()
    training = GuessTraining(tolerance=0.2, held=places, outputs_last=last)
    learner = GuessLearner(network, training, kernel=KERNEL)
    learner.begin(0, np.random.default_rng(seed))
    data = SHORT.sample(np.random.default_rng(seed), 40)
    [errors] = learner.learn([data])
    assert errors is not None

    rng = np.random.default_rng(seed)
    rng = np.random.Generator(np.random.SFC64(rng.integers(2**63)))

    def guess() -> np.ndarray:
        drawn = initial_weights(network, rng).astype(np.float64)
        for place, value in places:
            drawn[place] = value
        return drawn

    weights, guesses, expected = guess(), 1, []
    for one in data:
        off = abs(outputs_by_hand(network, weights, one, last)[0] - one.targets[0, 0])
        expected.append(off)
        if not off < 0.2:
            weights, guesses = guess(), guesses + 1
    np.testing.assert_allclose(errors.max_abs, expected, atol=1e-9)
    np.testing.assert_allclose(errors.sum_sq, np.square(expected), atol=1e-9)
    np.testing.assert_array_equal(errors.sum_abs, errors.max_abs)
    np.testing.assert_array_equal(errors.n_values, 1)
    np.testing.assert_array_equal(learner.weights[0], weights)
    assert learner.measures(0) == {"guesses": guesses}


@settings(max_examples=15, deadline=None)
@given(seed=seeds, kind=kinds, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_where_a_chunk_ends_changes_nothing(seed, kind, cuts):
    data = SHORT.sample(np.random.default_rng(seed), 30)
    network, last = kind
    whole, pieces = (started(network, seed=seed, outputs_last=last) for _ in range(2))
    [errors] = whole.learn([data])
    assert errors is not None
    ends = [0, *sorted(cuts), 30]
    found = [pieces.learn([data[a:b]])[0] for a, b in pairwise(ends)]
    for column, parts in zip(errors, zip(*found, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), column)
    assert_same_state(whole, pieces)


def assert_same_state(one: GuessLearner, two: GuessLearner, lane: int = 0, other: int = 0) -> None:
    for name, array in one.state(lane).items():
        np.testing.assert_array_equal(array, two.state(other)[name])
    assert one.measures(lane) == two.measures(other)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, kind=kinds)
def test_lanes_do_not_depend_on_their_neighbours(seed, kind):
    network, last = kind
    data = [SHORT.sample(np.random.default_rng([seed, lane]), 5 + 9 * lane) for lane in range(3)]
    together = started(network, 3, seed, outputs_last=last)
    errors = together.learn([data[0], None, data[2]])
    assert errors[1] is None
    for lane in (0, 2):
        training = GuessTraining(tolerance=0.2, outputs_last=last)
        alone = GuessLearner(network, training, kernel=KERNEL)
        alone.begin(0, np.random.default_rng([seed, lane]))
        [expected] = alone.learn([data[lane]])
        np.testing.assert_array_equal(np.array(errors[lane]), np.array(expected))
        assert_same_state(together, alone, lane)
    untouched = started(network, 3, seed)
    assert_same_state(together, untouched, 1, 1)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, network=networks)
def test_a_restored_lane_continues(seed, network):
    rng = np.random.default_rng(seed)
    first, then = SHORT.sample(rng, 20), SHORT.sample(rng, 20)
    learner, other = started(network, seed=seed), started(network, 2, seed + 1)
    learner.learn([first])
    other.restore(1, learner.state(0))
    np.testing.assert_array_equal(
        other.predict([None, then])[1],  # type: ignore[arg-type]
        learner.predict([then])[0],  # type: ignore[arg-type]
    )
    [errors], [_, others] = learner.learn([then]), other.learn([None, then])
    np.testing.assert_array_equal(np.array(errors), np.array(others))
    assert_same_state(learner, other, 0, 1)
    kept = learner.state(0)
    kept["weights"][:] = 7.0
    assert not (learner.weights == 7.0).any()


def test_a_guess_that_is_right_stays():
    network = Network(3, 1, Simple(1, "tanh"), wiring="united", init=Init(100.0))
    held = ((0, 50.0), (1, -50.0), (2, 1.0), (3, 60.0))
    learner = started(network, tolerance=0.8, held=held)
    [errors] = learner.learn([Latch("I", 30, 40).sample(np.random.default_rng(0), 60)])
    assert errors is not None
    np.testing.assert_allclose(errors.max_abs, 0.2, atol=1e-6)
    assert learner.measures(0) == {"guesses": 1}


def test_every_call_runs_several_sequences():
    kernel = Counting()
    held = tuple((place, 0.0) for place in range(UNITED.n_weights))  # always wrong: 0.5
    learner = GuessLearner(UNITED, GuessTraining(0.2, held), kernel=kernel)
    learner.begin(0, np.random.default_rng(0))
    learner.learn([SHORT.sample(np.random.default_rng(1), 50)])
    assert learner.measures(0)["guesses"] == 51
    assert kernel.calls == -(-50 // AHEAD)
    assert kernel.shown <= 50 * (AHEAD + 1) / 2


def test_a_sequence_without_a_target_neither_keeps_nor_discards():
    data = Sequences(
        inputs=np.ones((5, 1), np.float32),
        n_inputs=1,
        offsets=np.array([0, 2, 3, 5]),
        targets=np.full((2, 1), 0.5, np.float32),
        n_outputs=1,
        target_steps=np.array([3, 4]),
    )
    learner = started(tolerance=1e-9)
    [errors] = learner.learn([data])
    assert errors is not None
    assert errors.n_values.tolist() == [0, 0, 2]
    assert errors.max_abs[:2].tolist() == [0.0, 0.0]
    assert learner.measures(0)["guesses"] == 2


def test_guesses_fill_the_range():
    learner = started(lanes=300)
    drawn = learner.weights.ravel()
    assert -100 <= drawn.min() < -98 < 98 < drawn.max() <= 100
    assert abs(drawn.mean()) < 5 * 100 / np.sqrt(3 * drawn.size)


def test_it_is_a_learner_and_counts_its_bytes():
    assert isinstance(started(), Learner)
    assert started(lanes=2).nbytes == 2 * 8 * UNITED.n_weights
    busy = started(SPARSE)
    busy.learn([SHORT.sample(np.random.default_rng(0), 30)])
    assert 8 * SPARSE.n_weights <= busy.nbytes <= 2 * AHEAD * 8 * SPARSE.n_weights


def test_impossible_settings_are_refused():
    for setting, message in (
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": 0.1, "held": ((-1, 0.0),)}, "held place"),
        ({"tolerance": 0.1, "held": ((1, float("nan")),)}, "held value"),
        ({"tolerance": 0.1, "held": ((1, 0.0), (1, 1.0))}, "twice"),
    ):
        with case(setting), pytest.raises(SettingError, match=message):
            GuessTraining(**setting)  # type: ignore[arg-type]


def test_wrong_calls_are_refused():
    with pytest.raises(SettingError, match="held place is 12, expected 0"):
        GuessLearner(UNITED, GuessTraining(0.1, ((12, 0.0),)), kernel=KERNEL)
    with pytest.raises(SettingError, match="change last anyway"):
        GuessLearner(NETWORKS["full"], GuessTraining(0.1, outputs_last=True), kernel=KERNEL)
    with pytest.raises(SettingError, match="n_lanes"):
        GuessLearner(UNITED, GuessTraining(0.1), 0, KERNEL)
    with pytest.raises(SettingError, match="training is"):
        GuessLearner(UNITED, 0.1, kernel=KERNEL)  # type: ignore[arg-type]
    learner = started()
    for call in (learner.state, learner.measures):
        with pytest.raises(SettingError, match="lane is 1"):
            call(1)
    for call in (learner.learn, learner.predict):
        with pytest.raises(ShapeError, match="2 parts for 1 lanes"):
            call([None, None])
    data = SHORT.sample(np.random.default_rng(0), 2)
    data.inputs[1] = np.nan
    for each in (learner, started(outputs_last=True)):
        with pytest.raises(DataError, match="not finite"):
            each.learn([data])
        with pytest.raises(ShapeError):
            each.learn([Latch("I", 3, 3).sample(np.random.default_rng(0), 2)])
