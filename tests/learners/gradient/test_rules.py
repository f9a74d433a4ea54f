"""Update rules against a few lines of plain Python floats."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Batches, Init, Network, Simple
from carrousel.learners import GradientLearner
from carrousel.learners.gradient.rules import update_rule
from carrousel.sequences import Sequences
from support.case import each

RULES = ["plain", "momentum", "adam"]
rules = each("rule", RULES)


def by_hand(training: Batches, gradients: list[list[float]]) -> list[list[float]]:
    """Successive changes: Kingma & Ba 2015, algorithm 1, and heavy-ball momentum."""
    n = len(gradients[0])
    m, v, changes = [0.0] * n, [0.0] * n, []
    for t, gradient in enumerate(gradients, start=1):
        norm = math.sqrt(math.fsum(g * g for g in gradient))
        if training.clip is not None and norm > training.clip:
            gradient = [g * training.clip / norm for g in gradient]
        rate = training.rate
        if training.halves_every:
            for number in range(1, t * training.size):  # sequences before the last of this change
                rate /= 2 if number % training.halves_every == 0 else 1
        row = []
        for i, g in enumerate(gradient):
            if training.rule == "adam":
                m[i] = training.momentum * m[i] + (1 - training.momentum) * g
                v[i] = training.second * v[i] + (1 - training.second) * g * g
                mean = m[i] / (1 - training.momentum**t)
                square = v[i] / (1 - training.second**t)
                row.append(rate * mean / (math.sqrt(square) + training.epsilon))
            elif training.rule == "momentum":
                m[i] = training.momentum * m[i] + g
                row.append(rate * m[i])
            else:
                row.append(rate * g)
        changes.append(row)
    return changes


numbers = st.floats(-1e3, 1e3) | st.floats(-1e-9, 1e-9)


@rules
@settings(max_examples=50)
@given(
    gradients=st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=12),
    size=st.integers(1, 4),
    clip=st.none() | st.floats(0.1, 100.0),
    halves=st.integers(0, 9),
    momentum=st.floats(0.0, 0.99),
    second=st.floats(0.0, 0.9999),
)
def test_changes_are_those_of_a_plain_loop(rule, gradients, size, clip, halves, momentum, second):
    training = Batches(
        0.3, size, rule, clip=clip, halves_every=halves, momentum=momentum, second=second
    )
    ours = update_rule(training, 1, 3)
    lane = np.array([0])
    found = [ours.step(lane, np.array([gradient]))[0] for gradient in gradients]
    np.testing.assert_allclose(found, by_hand(training, gradients), rtol=1e-9, atol=1e-30)


def test_the_first_change_of_adam_is_the_rate_by_sign():
    found = update_rule(Batches(0.01, epsilon=1e-30), 1, 3).step(
        np.array([0]), np.array([[1e-9, -5.0, 1e6]])
    )
    np.testing.assert_allclose(found, [[0.01, -0.01, 0.01]], rtol=1e-12)


@rules
def test_lanes_at_different_counts_keep_their_bits(rule):
    rng = np.random.default_rng(0)
    training = Batches(0.1, 2, rule, clip=1.0, halves_every=3)
    together, alone = update_rule(training, 5, 7), [update_rule(training, 1, 7) for _ in range(5)]
    for _ in range(30):
        lanes = np.flatnonzero(rng.random(5) < 0.5)
        gradient = rng.normal(size=(len(lanes), 7))
        found = together.step(lanes, gradient.copy())
        for lane, row, change in zip(lanes, gradient, found, strict=True):
            by_itself = alone[lane].step(np.array([0]), row[None].copy())
            np.testing.assert_array_equal(change, by_itself[0])


def test_a_clipped_gradient_keeps_its_direction():
    training = Batches(1.0, rule="plain", clip=0.5)
    lane = np.array([0])
    found = update_rule(training, 1, 2).step(
        lane, np.array([[3e200, -4e200]])
    )  # squares would overflow
    np.testing.assert_allclose(found, [[0.3, -0.4]], rtol=1e-12)
    np.testing.assert_array_equal(
        update_rule(training, 1, 2).step(lane, np.array([[0.3, 0.4]])), [[0.3, 0.4]]
    )
    np.testing.assert_array_equal(
        update_rule(training, 1, 2).step(lane, np.zeros((1, 2))), [[0.0, 0.0]]
    )


@each("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_is_not_hidden_by_clipping(bad):
    with np.errstate(all="ignore"):
        found = update_rule(Batches(1.0, rule="plain", clip=0.5), 1, 2).step(
            np.array([0]), np.array([[bad, 1.0]])
        )
    assert np.isnan(found[0, 0])


def test_a_rate_that_has_halved_thousands_of_times_is_zero():
    rule = update_rule(Batches(0.1, 1000, "plain", halves_every=1), 1, 1)
    rule.changes[0] = 10**6
    assert rule.step(np.array([0]), np.ones((1, 1)))[0, 0] == 0.0


@rules
def test_all_descend_where_the_error_is_nearly_quadratic(rule):
    """A single unit's outputs are to be 0.2 and 0.7: each rule gets there, in 400 changes."""
    rate = 0.2 if rule == "plain" else 0.02
    network = Network(2, 1, Simple(2), wiring="direct", bias="all", init=Init(range=0.1))
    learner = GradientLearner(network, Batches(rate, 2, rule))
    learner.begin(0, np.random.default_rng(0))
    data = Sequences.from_lists(
        [[[1.0, 0.0]], [[0.0, 1.0]]] * 400, [[[0.2]], [[0.7]]] * 400, n_inputs=2
    )
    [errors] = learner.learn([data])
    assert errors is not None
    assert errors.mean_abs[:2].mean() > 0.2
    assert errors.mean_abs[-2:].mean() < 0.02
