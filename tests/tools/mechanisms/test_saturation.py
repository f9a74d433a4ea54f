"""Changes of net inputs in 2a and 2b, and the proof about targets at every step."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.optimize import linprog
from tools.mechanisms.nets import Nets
from tools.mechanisms.saturation import net_changes, outputs_of, pairs_of, shortened
from tools.mechanisms.walk import end_of

from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.catalogue import by_recipe
from carrousel.kernels import ReferenceKernel
from carrousel.kernels.reference.layers import Weights
from carrousel.tasks import RandomLag

pytestmark = pytest.mark.native

STEPS = 4
"""The first symbol, and distractors up to the last target."""
DISTRACTORS = 3


@pytest.mark.parametrize("recipe", ["printed", "start"])
def test_the_change_of_a_net_input_is_that_of_an_update(recipe):
    row = by_recipe(EXPERIMENTS["2b"], recipe)
    training = replace(row.training, cells_added_after=0)
    nets = Nets(replace(row, training=training, task=RandomLag(100, "last")), 1, "2b")
    network, [flat] = row.network, nets.weights
    one = nets.tasks[0].sample(nets.test_rngs()[0], 1)
    [outputs] = outputs_of(nets, flat, one)
    state = abs(end_of(network, training, flat, shortened(one)).y_cell[0])
    target = np.eye(network.n_outputs)[one.targets[0]]
    after = flat.copy()
    args = np.array([training.rate]), np.array([0])
    ReferenceKernel().learn(network, training, after[None], *args, [one])
    seen = np.zeros(network.n_inputs + 2)
    seen[one.inputs[one.target_steps[0]]], seen[-2] = 1.0, state
    change = (Weights.unpack(network, after).output - Weights.unpack(network, flat).output) @ seen
    np.testing.assert_allclose(net_changes(training, outputs, target, state), change, rtol=1e-9)
    assert np.abs(change).max() > (0.01 if recipe == "printed" else 1.0)


def test_pairs_differ_in_the_first_symbol_alone():
    task = RandomLag(7)
    one, other = (data.inputs.reshape(5, 8) for data in pairs_of(task, np.random.default_rng(0), 5))
    np.testing.assert_array_equal(one[:, 1:-1], other[:, 1:-1])
    assert set(one[:, 0]) == set(one[:, -1]) == {6}
    assert set(other[:, 0]) == {7}
    data = pairs_of(task, np.random.default_rng(0), 5)[1]
    np.testing.assert_array_equal(data.targets.reshape(5, 7), data.inputs.reshape(5, 8)[:, 1:])


def rows_of(shares: np.ndarray, outer: np.ndarray, between: bool) -> list[np.ndarray]:
    """Inequalities ``row @ (v_x, v_y, d_x, d_y) <= -1`` of a net that is right on all sequences.

    Args:
        shares: what each distractor adds to the state.
        outer: what ``x`` and ``y`` add.
        between: the steps before the last one, where both outputs must be low; else the last one.
    """
    found = []
    for middle in product(range(DISTRACTORS), repeat=STEPS - 1):
        sums = np.cumsum(shares[list(middle)])
        for place in range(STEPS - 2) if between else [STEPS - 2]:
            for first in (0, 1):
                for output in (0, 1):
                    row = np.zeros(2 + 2 * DISTRACTORS)
                    row[output] = outer[first] + sums[place]
                    row[2 + DISTRACTORS * output + middle[place]] = 1.0
                    high = not between and output == first
                    found.append(-row if high else row)
    return found


def solution(rows: list[np.ndarray]) -> np.ndarray | None:
    found = linprog(
        np.zeros(len(rows[0])), np.array(rows), -np.ones(len(rows)), bounds=(None, None)
    )
    return found.x if found.status == 0 else None


def test_no_net_is_right_at_the_end_and_silent_before():
    """A linear program for each set of shares; with the last step alone some are solvable."""
    rng, solvable = np.random.default_rng(0), 0
    for reach in (0.0, 0.05, 0.3, 1.0, 3.0):
        for _ in range(6):
            shares, outer = reach * rng.normal(size=DISTRACTORS), rng.normal(size=2)
            last, before = (rows_of(shares, outer, between) for between in (False, True))
            assert solution([*last, *before]) is None
            weights = solution(last)
            if weights is None:
                continue
            solvable += 1
            net = np.array(before) @ weights  # steps in order: classes and outputs are the last
            alarms = (net >= 1.0 - 1e-9).reshape(-1, 4).any(axis=1)
            assert alarms.all()
    assert solvable >= 8
