"""Cascade-correlation: outputs, growth, and learning."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from carrousel.learners.cascade.learner import CascadeLearner, CascadeTraining, Phase
from carrousel.sequences import Sequences
from carrousel.tasks import EmbeddedReber
from support.case import each
from support.drawn import Kind, drawn_data
from support.learners.growing import (
    batch,
    grown,
    learn,
    logistic,
    network,
    outputs_by_hand,
    predict,
    started,
)


@each("symbolic", [False, True])
@each("bias", ["none", "hidden", "all"])
@each("f", ["logistic", "tanh"])
def test_outputs_are_those_of_the_equations(symbolic, bias, f):
    learner = started(bias=bias, f=f)
    rng = np.random.default_rng(0)
    kind = Kind(symbolic=symbolic, when="some")
    data = drawn_data(network(), rng, kind, rng.integers(1, 9, 5).tolist())
    seen = set()
    for _ in range(40):
        np.testing.assert_allclose(
            predict(learner, data), outputs_by_hand(learner, data), atol=1e-12
        )
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


def test_tenure_changes_no_output_and_freezes_input_weights():
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


def test_each_phase_begins_without_memory_of_steps():
    learner, data = started(), batch()
    stages = set()
    for _ in range(40):
        before = learner.state(0)["stage"]
        learn(learner, data)
        state = learner.state(0)
        if state["stage"][2] == 0 and np.any(before[:2] != state["stage"][:2]):
            name = "pool" if state["stage"][1] else "outputs"
            stages.add(name)
            assert not state[name + "_step"].any()
            assert not state[name + "_slope"].any()
    assert stages == {"pool", "outputs"}


def test_a_candidate_that_diverged_is_not_the_best():
    learner, data = started(), batch()
    while learner.state(0)["stage"][1] == 0:
        learn(learner, data)
    state = learner.state(0)
    state["pool"][0] = np.nan
    learner.restore(0, state)
    while grown(learner) == 0:
        learn(learner, data)
    assert np.isfinite(learner.state(0)["hidden"][0]).all()


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
    assert best >= max(_correlation(item, data, wrong) for item in state["pool"]) - 1e-12


def _correlation(weights: np.ndarray, data: Sequences, wrong: np.ndarray) -> float:
    """``S`` of a first hidden unit, up to a factor that all candidates share."""
    inputs, values = data.dense_inputs(), np.zeros(data.n_steps)
    for start, stop in pairwise(data.offsets):
        value = 0.0
        for step in range(start, stop):
            value = logistic(weights[0] + weights[1:3] @ inputs[step] + weights[3] * value)
            values[step] = value
    at = values[data.target_steps]
    return float(np.abs((at - at.mean()) @ (wrong - wrong.mean(axis=0))).sum())


def test_it_grows_only_where_outputs_stagnate():
    """While the error falls by more than the threshold each epoch, nothing grows."""
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

    # One input with two targets: candidates are drawn only once the error has stopped falling.
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
    assert np.any(learner.state(0)["outputs"] != before)  # outputs continue to learn


@each("seed", range(4))
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
    """The inner grammar needs a few units; only that much must be learned."""
    task = EmbeddedReber(n_train=64, n_test=64, order="epochs").draw(np.random.default_rng(0))
    learner = CascadeLearner(network(5, n_inputs=7, n_outputs=7), CascadeTraining(epoch=64))
    learner.begin(0, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    first = learn(learner, task.sample(rng, 64)).sum_sq.sum()
    last = min(learn(learner, task.sample(rng, 64)).sum_sq.sum() for _ in range(350))
    assert last < 0.35 * first
