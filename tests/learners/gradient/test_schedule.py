"""Rates that halve, and cells that join where error has stopped decreasing."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Errors, Init, Network, Simple, Training, Update
from carrousel.errors import SettingError
from carrousel.kernels import NativeKernel, ReferenceKernel
from carrousel.learners import GradientLearner
from carrousel.learners.gradient.schedule import Schedule
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import Kind, drawn_data

NETWORK = Network(2, 1, Cell(1, 2), wiring="layered", bias="all", init=Init(range=0.5))


def batch(seed: int, n: int) -> Sequences:
    rng = np.random.default_rng(seed)
    return drawn_data(NETWORK, rng, Kind(when="all"), rng.integers(1, 9, n).tolist())


def started(training: Training, lanes: int = 1, name: str = "truncated") -> GradientLearner:
    learner = GradientLearner(NETWORK, training, lanes, gradient=name)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(lane))
    return learner


def learn_one_by_one(training: Training, data: Sequences, joined: int | None) -> GradientLearner:
    """The schedule again: a fresh learner with constant settings for each sequence."""
    learner = started(training)
    weights = learner.weights
    for n, one in enumerate(data):
        rate = training.rate
        if training.halves_every:
            rate /= 2 ** (n // training.halves_every)
        later = 2**40 if joined is None or n < joined else 0
        plain = Training(rate, training.update, cells_added_after=later)
        learner = GradientLearner(NETWORK, plain)
        learner.weights[:] = weights
        learner.learn([one])
        weights = learner.weights
    return learner


@each("update", ["step", "sequence"])
@each("every", [1, 3, 7, 50])
def test_the_rate_halves_after_each_so_many_sequences(update: Update, every: int):
    training, data = Training(0.7, update, halves_every=every), batch(1, 20)
    learner = started(training)
    learner.learn([data])
    expected = learn_one_by_one(training, data, joined=0)
    np.testing.assert_array_equal(learner.weights, expected.weights)
    if every < 20:
        constant = started(Training(0.7, update))
        constant.learn([data])
        assert np.any(constant.weights != learner.weights)


@each("update", ["step", "sequence"])
@each("every", [2, 5])
def test_cells_join_where_error_no_longer_decreases(update: Update, every: int):
    """Computed again from the errors, summed as Python floats."""
    training, data = Training(0.2, update, plateau=every), batch(2, 60)
    learner = started(training)
    [errors] = learner.learn([data])
    assert errors is not None
    means = [float(e) for e in errors.mean_abs]
    stretches = [sum(means[i : i + every]) / every for i in range(0, 60, every)]
    joined = next(
        every * m for m in range(2, len(stretches)) if stretches[m - 1] > 0.98 * stretches[m - 2]
    )
    assert learner.measures(0) == {"cells_added_at": joined}
    assert 2 * every <= joined < 60
    expected = learn_one_by_one(training, data, joined)
    np.testing.assert_array_equal(learner.weights, expected.weights)
    never = started(Training(0.2, update, cells_added_after=1000))
    never.learn([data[:joined]])
    early = started(training)
    early.learn([data[:joined]])
    np.testing.assert_array_equal(early.weights, never.weights)


def stretches_of(schedule: Schedule, means: list[float]) -> list[dict[str, float]]:
    found = []
    for mean in means:
        schedule.note(0, Errors(*[np.full(1, mean)] * 3, n_values=np.ones(1, np.int64)))
        found.append(dict(schedule.measures(0)))
    return found


@each(
    "means, joined",
    [
        ([1, 1, 1, 1], 4),
        ([1, 1, 0.9, 0.9, 0.9, 0.9], 6),
        ([1, 0, 0, 0.97], None),
        ([1, 0, 0, 0.99], 4),
        ([2, 2, 1, 1, 0.5, 0.5, 5, 5], 8),
        ([0, 0, 0, 0, 0, 0], None),
        ([1, 2, 3], None),
        ([1, 0, 0, 0.98], None),
        ([1, 1, np.nan, 1, 1, 1, 1, 1], 8),
    ],
)
def test_the_first_multiple_at_which_error_has_stopped(means, joined):
    """From the second on; a part of exactly 0.98 is not above it; NaN is no plateau."""
    schedule = Schedule(Training(0.1, plateau=2), 1)
    assert schedule.room(0) == 2
    found = stretches_of(schedule, means)
    for n, item in enumerate(found, start=1):
        seen = joined is not None and n >= joined
        assert item == ({"cells_added_at": joined} if seen else {}), n
    assert (schedule.cells_from[0] == 0) == (joined is not None)
    schedule.begin(0)
    assert schedule.measures(0) == {}
    assert schedule.cells_from[0] > 2**40


@each("name", ["truncated", "bptt", "uoro"])
@settings(max_examples=20)
@given(
    halves=st.integers(0, 9),
    plateau=st.integers(0, 6),
    cuts=st.lists(st.integers(0, 30), max_size=6),
    update=st.sampled_from(["step", "sequence"]),
)
def test_a_lane_does_not_depend_on_where_its_data_are_cut(name, halves, plateau, cuts, update):
    """Nor on being stored in between."""
    update = "sequence" if name == "bptt" else update
    training = Training(0.2, update, halves_every=halves, plateau=plateau)
    whole, parts = started(training, name=name), started(training, name=name)
    data = batch(1, 30)
    [expected] = whole.learn([data])
    found = []
    for first, last in pairwise([0, *sorted(cuts), 30]):
        found += parts.learn([data[first:last]])
        state = parts.state(0)
        parts = started(training, name=name)
        parts.begin(0, np.random.default_rng(99))
        parts.restore(0, state)
    assert expected is not None
    for column, theirs in zip(zip(*found, strict=True), expected, strict=True):
        np.testing.assert_array_equal(np.concatenate(column), theirs)
    ours, theirs = parts.state(0), whole.state(0)
    assert set(ours) == set(theirs)
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)
    assert parts.measures(0) == whole.measures(0)


@settings(max_examples=15)
@given(lanes=st.integers(2, 18), seed=st.integers(0, 99))
def test_lanes_do_not_depend_on_their_neighbours(lanes, seed):
    training = Training(0.2, halves_every=4, plateau=3)
    learner, rng = started(training, lanes), np.random.default_rng(seed)
    lane = int(rng.integers(lanes))
    alone = started(training)
    alone.restore(0, learner.state(lane))
    for turn in range(4):
        data: list[Sequences | None] = [
            None if rng.random() < 0.3 else batch(100 * turn + n, int(rng.integers(0, 8)))
            for n in range(lanes)
        ]
        found = learner.learn(data)
        assert [item is None for item in found] == [part is None for part in data]
        alone.learn([data[lane]])
    ours, theirs = learner.state(lane), alone.state(0)
    for key in theirs:
        np.testing.assert_array_equal(ours[key], theirs[key], err_msg=key)


def test_cells_take_no_part_in_predictions_before_they_join():
    learner = started(Training(0.2, plateau=5))
    never = started(Training(0.2, cells_added_after=100))
    data = batch(3, 4)
    for item in (learner, never):
        item.learn([data])
    [ours], [theirs] = learner.predict([data]), never.predict([data])
    assert ours is not None
    assert theirs is not None
    np.testing.assert_array_equal(ours, theirs)


def test_native_lanes_and_the_reference_halve_alike():
    training, data = Training(0.3, halves_every=5), batch(4, 17)
    weights = []
    for kernel in (NativeKernel(), ReferenceKernel()):
        learner = GradientLearner(NETWORK, training, 1, kernel)
        learner.begin(0, np.random.default_rng(0))
        learner.learn([data])
        weights.append(learner.weights[0])
    np.testing.assert_allclose(*weights, rtol=1e-4, atol=1e-5)


def test_keys_of_states():
    usual = {"weights", "seen", "rate", "schedule"}
    assert set(started(Training(0.2)).state(0)) == usual
    assert set(started(Training(0.2, halves_every=2)).state(0)) == usual
    watching = started(Training(0.2, plateau=2)).state(0)
    assert set(watching) == usual | {"stretches", "added_at"}


def test_settings_that_contradict_each_other():
    with pytest.raises(SettingError, match=r"cells_added_after is 4, but plateau = 2"):
        Training(0.1, cells_added_after=4, plateau=2)

    def made(update: Update = "sequence", **settings: Any) -> Training:
        return Training(0.1, update, **settings)

    for name in ("halves_every", "plateau"):
        with pytest.raises(SettingError, match="update is 'epoch'"):
            made("epoch", **{name: 3})
        with pytest.raises(SettingError, match=f"{name} is -1"):
            made("step", **{name: -1})
    learner = GradientLearner(Network(2, 1, Simple(2)), Training(0.1, halves_every=3))
    with pytest.raises(SettingError, match=r"lane is 1, expected 0\.\.0"):
        learner.measures(1)
