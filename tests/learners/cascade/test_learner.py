"""Cascade-correlation as a learner: lanes, states, memory, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import Cell, Init, Learner, Network, Simple
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.learners.cascade import learner as cascade
from carrousel.learners.cascade.learner import CascadeLearner, CascadeTraining, Phase
from carrousel.sequences import Sequences
from support.case import case
from support.learners.growing import (
    HASTY,
    assert_same,
    batch,
    grown,
    learn,
    network,
    outputs_by_hand,
    predict,
    started,
)


def test_it_is_a_learner():
    assert isinstance(started(), Learner)


def test_pausing_changes_nothing():
    """At every epoch, in either phase: a restored learner continues to the same bits."""
    whole, paused, data = started(), started(), batch()
    phases = set()
    for _ in range(50):
        state = paused.state(0)
        phases.add(int(state["stage"][1]))
        paused = CascadeLearner(paused.network, HASTY)
        paused.restore(0, state)
        np.testing.assert_array_equal(learn(paused, data), learn(whole, data))
        assert_same(paused.state(0), whole.state(0))
    assert phases == {0, 1}
    assert grown(whole) == 4


def test_a_state_is_a_copy():
    learner, data = started(), batch()
    state = learner.state(0)
    kept = {name: array.copy() for name, array in state.items()}
    for _ in range(20):
        learn(learner, data)
    assert_same(state, kept)


def test_a_call_is_cut_into_epochs():
    """Twelve sequences in epochs of five are two epochs and a smaller one."""
    data = batch(n=12)
    once, thrice = started(), started()
    for _ in range(10):
        errors = learn(once, data)
        parts = [learn(thrice, data[n : n + 5]) for n in (0, 5, 10)]
        np.testing.assert_array_equal(errors, np.concatenate([np.array(p) for p in parts], axis=1))
    assert_same(once.state(0), thrice.state(0))
    empty = learn(once, data[:0])
    assert len(empty.sum_sq) == 0
    assert_same(once.state(0), thrice.state(0))


def test_the_order_within_an_epoch_does_not_matter():
    rng = np.random.default_rng(0)
    data, straight, mixed = batch(), started(), started()
    for _ in range(40):
        order = rng.permutation(len(data))
        expected = np.array(learn(straight, data))[:, order]
        np.testing.assert_array_equal(learn(mixed, data.take(order)), expected)
    assert_same(straight.state(0), mixed.state(0))


def test_a_lane_learns_as_if_it_were_alone():
    together = started(3)
    alone = [started(3), started(3)]
    idle = together.state(1)
    for seed in range(30):
        first, last = batch(seed), batch(seed + 100)
        errors = together.learn([first, None, last])
        assert errors[1] is None
        np.testing.assert_array_equal(errors[0], alone[0].learn([first, None, None])[0])
        np.testing.assert_array_equal(errors[2], alone[1].learn([None, None, last])[2])
    assert_same(together.state(1), idle)
    assert_same(together.state(0), alone[0].state(0))
    assert_same(together.state(2), alone[1].state(2))


def test_lanes_with_equal_nets_predict_as_each_alone():
    learner, data = started(4), batch(3, n=9)
    for seed in range(30):
        learner.learn([batch(seed), batch(seed + 1), None, None])
    for lane in (2, 3):
        learner.restore(lane, learner.state(0))
    whole = predict(learner, data)
    first, other, second, third = learner.predict([data[:2], data, data[2:6], data[6:]])
    assert first is not None
    assert second is not None
    assert third is not None
    np.testing.assert_array_equal(np.concatenate([first, second, third]), whole)
    np.testing.assert_array_equal(other, learner.predict([None, data, None, None])[1])
    assert np.any(other != whole)
    none = learner.predict([data[:0], None, None, None])[0]
    assert none is not None
    assert none.shape == (0, 2)


def test_cached_activations_are_used_only_where_they_fit():
    """Not with other target steps, other weights, or after further growth."""
    learner, data = started(), batch()
    other = Sequences(
        data.inputs, 2, data.offsets, data.targets[:1], 2, data.target_steps[-1:].copy()
    )
    for _ in range(30):
        for asked in (data, other, data):
            np.testing.assert_allclose(
                predict(learner, asked), outputs_by_hand(learner, asked), atol=1e-12
            )
        learn(learner, data)


def test_the_cache_is_bounded(monkeypatch):
    monkeypatch.setattr(cascade, "MOST_KEPT", 3000)
    learner, plain = started(), sum(array.nbytes for array in started().state(0).values())
    answers = [predict(learner, batch(seed, n=n)) for seed in range(20) for n in (1, 9)]
    assert 0 < learner.nbytes - plain <= 3000
    monkeypatch.undo()
    again = [predict(started(), batch(seed, n=n)) for seed in range(20) for n in (1, 9)]
    for one, two in zip(answers, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_beginning_again_resets_everything():
    learner, data = started(), batch()
    for _ in range(30):
        learn(learner, data)
    learner.begin(0, np.random.default_rng(0))
    fresh = started()
    assert_same(learner.state(0), fresh.state(0))
    for _ in range(30):
        np.testing.assert_array_equal(learn(learner, data), learn(fresh, data))


def test_divergence_shows_in_the_errors_alone():
    huge = Phase(epsilon=1e300, threshold=0.0, decay=1e300)
    learner = started(training=CascadeTraining(epoch=5, outputs=huge, candidates=huge))
    for _ in range(30):
        learn(learner, batch())
    errors = learn(learner, batch())
    assert not np.isfinite(errors.sum_sq).any()
    assert np.isfinite(errors.n_values).all()


def test_bytes_are_counted():
    learner = started(2)
    empty = learner.nbytes
    assert empty == 2 * sum(array.nbytes for array in learner.state(0).values())
    learn_one = learner.learn([batch(), None])
    assert learn_one[1] is None
    assert learner.nbytes > empty


def test_networks_that_cannot_grow_are_refused():
    with pytest.raises(SettingError, match=r"'truncated', 'bptt', 'rtrl'"):
        CascadeLearner(Network(2, 2, Cell(1, 1)), HASTY)
    with pytest.raises(SettingError, match="expected 'direct'"):
        CascadeLearner(Network(2, 2, Simple(3)), HASTY)
    narrow = Network(2, 2, Simple(3), wiring="direct", init=Init(0.1, output_range=0.01))
    with pytest.raises(SettingError, match=r"output_range is 0\.01"):
        CascadeLearner(narrow, HASTY)
    with pytest.raises(SettingError, match="n_lanes is 0"):
        CascadeLearner(network(), HASTY, 0)
    for lane in (-1, 1):
        with pytest.raises(SettingError, match=rf"lane is {lane}, expected 0\.\.0"):
            started().state(lane)


def test_data_that_do_not_fit_are_refused():
    learner = started()
    with pytest.raises(ShapeError, match="2 parts for 1 lanes"):
        learner.learn([None, None])
    with pytest.raises(ShapeError, match="3 inputs and 2 outputs, expected 2 and 2"):
        learner.learn([Sequences.from_lists([[0]], [[0]], n_inputs=3, n_outputs=2)])
    wrong = batch()
    wrong.inputs[0] = np.nan
    for call in (learner.learn, learner.predict):
        with pytest.raises(DataError, match="not finite"):
            call([wrong])


def test_settings_out_of_range_are_refused():
    for make, message in (
        (lambda: CascadeTraining(epoch=0), "epoch is 0"),
        (lambda: CascadeTraining(pool=0), "pool is 0"),
        (lambda: CascadeTraining(offset=-0.1), "offset is -0.1"),
        (lambda: CascadeTraining(outputs="fast"), "outputs is 'fast'"),  # type: ignore[arg-type]
        (lambda: CascadeTraining(normalised=1), "normalised is 1"),  # type: ignore[arg-type]
        (lambda: Phase(epsilon=0.0, threshold=0.1), "epsilon is 0.0"),
        (lambda: Phase(epsilon=1.0, threshold=-0.1), "threshold is -0.1"),
        (lambda: Phase(epsilon=1.0, threshold=0.1, mu=1.0), "mu is 1.0"),
        (lambda: Phase(epsilon=1.0, threshold=0.1, decay=-1.0), "decay is -1.0"),
        (lambda: Phase(epsilon=1.0, threshold=0.1, patience=0), "patience is 0"),
        (lambda: Phase(epsilon=1.0, threshold=0.1, most_epochs=0), "most_epochs is 0"),
        (lambda: CascadeLearner(network(), "fast"), "training is 'fast'"),  # type: ignore[arg-type]
    ):
        with case(message), pytest.raises(SettingError, match=message):
            make()
