"""Nets of a row: the same draws for all readings, and training that changes midway."""

from __future__ import annotations

import numpy as np
import pytest
from tools.mechanisms.nets import Nets

from carrousel.contracts import Experiment
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import by_recipe

pytestmark = pytest.mark.native


def row(name: str, recipe: str) -> Experiment:
    return by_recipe(EXPERIMENTS[name], recipe)


def test_readings_start_from_the_same_draws_and_learn_the_same_sequences():
    one, other = (Nets(row("2c-1", name), 2, "2c-1") for name in ("inputs-only", "gates-only"))
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        parts = [net.experiment.network.views(w) for net, w in ((one, ours), (other, theirs))]
        np.testing.assert_array_equal(parts[0]["hidden_inputs"], parts[1]["hidden_inputs"])
    again = Nets(row("2c-1", "gates-only"), 2, "2c-1")
    for nets in (other, again):
        nets.learn(3)
    np.testing.assert_array_equal(other.weights, again.weights)
    first, second = other.weights
    assert not np.array_equal(first, second)


def test_weights_are_all_that_a_net_keeps():
    """A copy with the same settings learns the same from the same data."""
    nets = Nets(row("1-4", "direct"), 2, "1-4")
    nets.learn(20)
    copy, changed = nets.continued(), nets.continued(derivative_floor=0.2)
    assert changed.experiment.training.derivative_floor == 0.2
    data = [task.sample(rng, 30) for task, rng in zip(nets.tasks, nets.test_rngs(), strict=True)]
    for each in (nets, copy, changed):
        each.learner.learn(data)
    np.testing.assert_array_equal(nets.weights, copy.weights)
    assert not np.array_equal(nets.weights, changed.weights)


def test_a_net_that_passes_a_test_learns_no_more(monkeypatch):
    nets = Nets(row("1-4", "direct"), 3, "1-4")
    start, calls = nets.weights, iter([[True, False, False], [True, False, True]])
    monkeypatch.setattr(nets, "correct", lambda: np.array(next(calls)))
    after = []
    monkeypatch.setattr(nets, "learn", lambda n, lanes: after.append((n, lanes)))
    assert nets.solved_at(20, 10) == [10, None, 20]
    assert after == [(10, [0, 1, 2]), (10, [1, 2])]
    np.testing.assert_array_equal(nets.weights, start)


def test_only_chosen_nets_learn():
    nets = Nets(row("1-4", "direct"), 2, "1-4")
    start = nets.weights
    nets.learn(5, [1])
    np.testing.assert_array_equal(nets.weights[0], start[0])
    assert not np.array_equal(nets.weights[1], start[1])
    assert not nets.correct().any()
