"""Learning settings of the reference: factors of the rate, and errors of outputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Gradient, Network, RateFactors, Training
from carrousel.kernels import ReferenceKernel
from carrousel.kernels.reference.lanes import output_error
from support.case import each
from support.drawn import Kind, Lesson, drawn_data, lessons, networks, rate_factors, seeds
from support.kernels.second_opinion import Start, backwards, learned_error, play


def changed(lesson: Lesson, flat: np.ndarray, training: Training, data, seed: int) -> np.ndarray:
    after, rngs = flat[None].copy(), [np.random.default_rng(seed)]
    args = (np.array([training.rate]), np.zeros(1, np.int64), [data])
    ReferenceKernel().learn(lesson.network, training, after, *args, lesson.gradient, rngs)
    return after[0]


@settings(max_examples=60)
@given(lessons("sequence", "epoch"), rate_factors(), seeds)
def test_factors_multiply_the_change_of_each_weight(lesson, factors, seed):
    """One sequence changes weights once, by any gradient."""
    rng, network = np.random.default_rng(seed), lesson.network
    flat = rng.normal(0, 0.5, network.n_weights)
    data = drawn_data(network, rng, Kind(when="some"), [6])
    one, other = (
        Training(0.3, lesson.training.update, factors=each) for each in (RateFactors(), factors)
    )
    whole = changed(lesson, flat, one, data, seed) - flat
    part = changed(lesson, flat, other, data, seed) - flat
    wanted = factors.by_weight(network) * whole
    # Sums with weights of a few units round to 1e-16 of these.
    np.testing.assert_allclose(part, wanted, rtol=0, atol=1e-14)


@settings(max_examples=40)
@given(networks(), rate_factors(), seeds)
def test_factors_of_updates_by_step(network, factors, seed):
    """Each step with a target changes weights by the truncated gradient of that step."""
    rng = np.random.default_rng(seed)
    training = Training(0.3, "step", factors=factors)
    flat = rng.normal(0, 0.5, network.n_weights)
    data = drawn_data(network, rng, Kind(when="all"), [5])
    lesson = Lesson(network, training, Gradient("truncated"))
    ours, rates = changed(lesson, flat, training, data, seed), 0.3 * factors.by_weight(network)
    now, tape, theirs = Start.fresh(network, training), [], flat.copy()
    targets = data.dense_targets()
    for t, x in enumerate(data.dense_inputs().astype(np.float64)):
        tape += play(network, theirs, x[None], now)
        now = Start(tape[-1].y, tape[-1].s)
        theirs += rates * backwards(network, training, theirs, tape, {t: targets[t]})
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


@settings(max_examples=40)
@given(lessons(), rate_factors(), seeds)
def test_gradients_have_no_factors(lesson, factors, seed):
    rng, network = np.random.default_rng(seed), lesson.network
    flat, data = rng.normal(0, 0.5, (1, network.n_weights)), drawn_data(network, rng, Kind(), [5])
    found = [
        ReferenceKernel().gradient(
            network, training, flat, np.zeros(1, np.int64), [data], lesson.gradient,
            [np.random.default_rng(seed)],
        )[0]
        for training in (Training(0.1), Training(0.1, factors=factors))
    ]  # fmt: skip
    np.testing.assert_array_equal(found[0], found[1])


@given(
    st.lists(st.floats(-40, 40), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.02, 0.3]),
    st.sampled_from([0.0, 0.01, 0.1]),
    st.sampled_from([0.0, 0.3, 2.0]),
    seeds,
)
def test_errors_of_outputs(nets, floor, offset, tolerance, seed):
    y = 1 / (1 + np.exp(-np.array(nets)))
    goal = np.random.default_rng(seed).uniform(0, 1, len(y))
    for training in (
        Training(0.1, derivative_floor=floor, derivative_offset=offset, error_tolerance=tolerance),
        Training(0.1, output_derivative=False, error_tolerance=tolerance),
    ):
        found = output_error(training, y, goal - y)
        np.testing.assert_allclose(found, learned_error(training, y, goal), rtol=1e-15, atol=0)
        ignored = np.abs(goal - y) < tolerance
        np.testing.assert_array_equal(found[ignored], 0.0)
        slope = np.abs(found / (goal - y))[~ignored]
        if training.output_derivative:
            assert np.all(slope >= floor * (1 - 1e-15) + offset)


@each("tolerance", [0.0, 0.3])
def test_a_diverged_output_is_not_within_any_tolerance(tolerance):
    training = Training(0.1, derivative_floor=0.1, error_tolerance=tolerance)
    found = output_error(training, np.array([np.nan]), np.array([np.nan]))
    assert np.isnan(found[0])


def test_ignored_errors_are_measured():
    network = Network(1, 1, Cell(1, 1), bias="all")
    flat = np.full((1, network.n_weights), 0.1)
    data = drawn_data(network, np.random.default_rng(3), Kind(when="all"), [4])
    training = Training(1.0, error_tolerance=2.0)
    args = (np.ones(1), np.zeros(1, np.int64), [data])
    [errors] = ReferenceKernel().learn(network, training, flat, *args)
    assert errors is not None
    assert errors.max_abs[0] > 0.0
    np.testing.assert_array_equal(flat, 0.1)


@pytest.mark.parametrize("slope", [{"derivative_floor": 0.2}, {"derivative_offset": 0.2}])
def test_a_saturated_output_learns_by_a_floor_or_an_offset(slope):
    """At a net input of 40, ``y (1 - y)`` is 0."""
    network = Network(1, 1, Cell(1, 1), bias="outputs", inputs_to_outputs=True)
    for settings_of_errors, moved in (({}, False), (slope, True)):
        flat = np.zeros((1, network.n_weights))
        flat[0, -1] = 40.0
        data = drawn_data(network, np.random.default_rng(3), Kind(when="all"), [1])
        data.targets[:] = 0.0
        args = (np.ones(1), np.zeros(1, np.int64), [data])
        ReferenceKernel().learn(network, Training(1.0, **settings_of_errors), flat, *args)
        assert bool(flat[0, -1] != 40.0) is moved
