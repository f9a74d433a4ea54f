"""Cascade-correlation as a learner: when it grows, what it keeps, what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest

from carrousel.contracts import BiasScheme, Cell, Init, Learner, Network, Simple
from carrousel.learners.cascade import CascadeLearner, CascadeTraining
from carrousel.learners.cascade_train import Phase
from carrousel.sequences import Sequences
from carrousel.shapes import DataError, SettingError, ShapeError
from carrousel.tasks import EmbeddedReber
from drawn import Kind, drawn_data

HASTY = CascadeTraining(
    epoch=5,
    pool=3,
    outputs=Phase(epsilon=1.0, threshold=0.05, patience=2, most_epochs=4),
    candidates=Phase(epsilon=1.0, threshold=0.05, patience=2, most_epochs=3),
)
"""Phases of a few epochs, so that every stage is soon seen."""


def network(
    units: int = 4,
    bias: BiasScheme = "all",
    n_inputs: int = 2,
    n_outputs: int = 2,
    f: Literal["logistic", "tanh"] = "logistic",
) -> Network:
    cell = Simple(units, f)
    return Network(n_inputs, n_outputs, cell, wiring="direct", bias=bias, init=Init(range=1.0))


def started(lanes: int = 1, training: CascadeTraining = HASTY, **settings) -> CascadeLearner:
    learner = CascadeLearner(network(**settings), training, lanes)
    for lane in range(lanes):
        learner.begin(lane, np.random.default_rng(lane))
    return learner


def batch(seed: int = 0, n: int = 5) -> Sequences:
    rng = np.random.default_rng(seed)
    return drawn_data(network(), rng, Kind(when="some"), rng.integers(1, 9, n).tolist())


def learn(learner: CascadeLearner, data: Sequences):
    [errors] = learner.learn([data])
    assert errors is not None
    return errors


def predict(learner: CascadeLearner, data: Sequences) -> np.ndarray:
    """Outputs of the first lane."""
    outputs = learner.predict([data, *[None] * (learner.n_lanes - 1)])[0]
    assert outputs is not None
    return outputs


def grown(learner: CascadeLearner, lane: int = 0) -> int:
    return int(learner.measures(lane)["hidden_units"])


def assert_same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def by_hand(learner: CascadeLearner, data: Sequences) -> np.ndarray:
    """Outputs of the first lane by nothing but its state, one unit and one step at a time."""
    state, inputs, found = learner.state(0), data.dense_inputs(), []
    squash = np.tanh if learner.network.cell.f == "tanh" else _logistic  # type: ignore[union-attr]
    for start, stop in pairwise(data.offsets):
        hidden = np.zeros(grown(learner))
        for step in range(start, stop):
            sources = np.concatenate([[1.0], inputs[step], hidden])
            first = 1 + inputs.shape[1]
            for unit in range(len(hidden)):  # sees earlier units now, and itself one step ago
                used = first + unit + 1
                sources[first + unit] = squash(state["hidden"][unit, :used] @ sources[:used])
            hidden = sources[first:]
            if step in data.target_steps:
                found.append(_logistic(state["outputs"][:, : len(sources)] @ sources))
    return np.array(found).reshape(-1, data.n_outputs)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def test_it_is_a_learner():
    assert isinstance(started(), Learner)


@pytest.mark.parametrize("f", ["logistic", "tanh"])
@pytest.mark.parametrize("bias", ["none", "hidden", "all"])
@pytest.mark.parametrize("symbolic", [False, True])
def test_outputs_are_those_of_the_equations(symbolic, bias, f):
    learner = started(bias=bias, f=f)
    rng = np.random.default_rng(0)
    kind = Kind(symbolic=symbolic, when="some")
    data = drawn_data(network(), rng, kind, rng.integers(1, 9, 5).tolist())
    seen = set()
    for _ in range(40):
        np.testing.assert_allclose(predict(learner, data), by_hand(learner, data), atol=1e-12)
        learn(learner, data)
        seen.add(grown(learner))
    assert seen == {0, 1, 2, 3, 4}
    state = learner.state(0)
    assert np.any(state["outputs"][:, 0]) == (bias == "all")
    assert np.any(state["hidden"][:, 0]) == (bias != "none")


def test_errors_are_those_of_predictions_made_before_learning():
    learner, data = started(), batch(n=4)
    for _ in range(20):
        wrong = predict(learner, data) - data.dense_targets()
        errors = learn(learner, data)
        ends = data.target_offsets
        for n, (first, last) in enumerate(pairwise(ends)):
            part = np.abs(wrong[first:last])
            np.testing.assert_allclose(errors.max_abs[n], part.max(initial=0.0), rtol=1e-12)
            np.testing.assert_allclose(errors.sum_abs[n], part.sum(), rtol=1e-12)
            np.testing.assert_allclose(errors.sum_sq[n], (part**2).sum(), rtol=1e-12)
            assert errors.n_values[n] == part.size


def test_tenure_changes_no_output_and_freezes_what_leads_in():
    learner, data = started(), batch()
    frozen = learner.state(0)["hidden"]
    while grown(learner) < 4:
        before, units = predict(learner, data), grown(learner)
        learn(learner, data)
        if grown(learner) > units:
            np.testing.assert_array_equal(predict(learner, data), before)
        hidden = learner.state(0)["hidden"]
        np.testing.assert_array_equal(hidden[:units], frozen[:units])
        frozen = hidden


def test_the_best_candidate_is_granted_tenure():
    learner, data = started(), batch()
    state = learner.state(0)
    while grown(learner) == 0:
        state = learner.state(0)
        learn(learner, data)
    new = learner.state(0)["hidden"][0]
    assert any(np.array_equal(new, candidate) for candidate in state["pool"])
    wrong = predict(learner, data) - data.dense_targets()
    best = _correlation(new, data, wrong)
    assert best >= max(_correlation(each, data, wrong) for each in state["pool"]) - 1e-12


def _correlation(weights: np.ndarray, data: Sequences, wrong: np.ndarray) -> float:
    """``S`` of a first hidden unit, up to a factor that all candidates share."""
    inputs, values = data.dense_inputs(), np.zeros(data.n_steps)
    for start, stop in pairwise(data.offsets):
        value = 0.0
        for step in range(start, stop):
            value = _logistic(weights[0] + weights[1:3] @ inputs[step] + weights[3] * value)
            values[step] = value
    at = values[data.target_steps]
    return float(np.abs((at - at.mean()) @ (wrong - wrong.mean(axis=0))).sum())


def test_it_grows_only_where_outputs_stagnate():
    """With an error that falls by more than the threshold all the time, nothing grows."""
    data = Sequences.from_lists([[[1.0, 0.0]]] * 5, [[[1.0, 0.0]]] * 5)
    phase = Phase(epsilon=1.0, threshold=0.001, patience=2, most_epochs=10**6)
    falling = started(training=CascadeTraining(epoch=5, pool=3, outputs=phase))
    last = np.inf
    for _ in range(30):
        error = learn(falling, data).sum_sq.sum()
        assert error < 0.999 * last
        last = error
    assert grown(falling) == 0
    assert falling.state(0)["stage"][1] == 0

    # One input with two answers: the error soon stands still, and only then candidates are drawn.
    torn = Sequences.from_lists([[[1.0, 0.0]]] * 2, [[[1.0, 0.0]], [[0.0, 1.0]]])
    stuck, errors = started(training=CascadeTraining(epoch=2, pool=3, outputs=phase)), []
    while stuck.state(0)["stage"][1] == 0:
        errors.append(learn(stuck, torn).sum_sq.sum())
    assert len(errors) > 3
    assert abs(errors[-1] - errors[-3]) <= 0.001 * errors[-3]


def test_it_grows_to_the_networks_size_and_no_further():
    learner, data = started(units=2), batch()
    for _ in range(60):
        learn(learner, data)
    assert learner.measures(0) == {"hidden_units": 2.0, "weights": 2 * 3 + 3 + 2 * (3 + 2)}
    before = learner.state(0)["outputs"]
    learn(learner, data)
    assert np.any(learner.state(0)["outputs"] != before)  # outputs go on training


def test_pausing_changes_nothing():
    """At every epoch, in either phase: what is restored elsewhere learns on to the same bits."""
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


def test_the_order_of_an_epoch_plays_no_part():
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


def test_lanes_with_one_net_answer_as_each_alone():
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


def test_beginning_anew_forgets():
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


def test_what_cannot_grow_is_refused():
    with pytest.raises(SettingError, match=r"'truncated', 'bptt', 'rtrl'"):
        CascadeLearner(Network(2, 2, Cell(1, 1)), HASTY)
    with pytest.raises(SettingError, match="expected 'direct'"):
        CascadeLearner(Network(2, 2, Simple(3)), HASTY)
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


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("make", "message"),
    [
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
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize("seed", range(4))
def test_it_learns_the_parity_of_two_bits_in_a_row(seed):
    """Needs memory of one step and a unit that is no linear function of it: at least two units."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (24, 10))
    parity = bits ^ np.pad(bits, ((0, 0), (1, 0)))[:, :-1]
    data = Sequences.from_lists(
        list(bits), [row[:, None].astype(float) for row in parity], n_inputs=2, n_outputs=1
    )
    learner = CascadeLearner(network(units=8, n_outputs=1), CascadeTraining(epoch=24))
    learner.begin(0, rng)
    epochs = 0
    while learn(learner, data).max_abs.max() > 0.4:
        epochs += 1
        assert epochs < 1500
    assert 1 <= grown(learner) <= 8
    np.testing.assert_array_equal(predict(learner, data) > 0.5, data.targets > 0.5)


def test_reber_strings_within_the_outer_symbol():
    """The inner grammar needs a few units; that much is learned, whatever becomes of the rest."""
    task = EmbeddedReber(n_train=64, n_test=64, order="epochs").draw(np.random.default_rng(0))
    learner = CascadeLearner(network(5, n_inputs=7, n_outputs=7), CascadeTraining(epoch=64))
    learner.begin(0, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    first = learn(learner, task.sample(rng, 64)).sum_sq.sum()
    last = min(learn(learner, task.sample(rng, 64)).sum_sq.sum() for _ in range(350))
    assert last < 0.35 * first
