"""What is measured about nets of the Reber grammar, on made-up outputs and small runs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tools.mechanisms.reber import (
    INNER,
    by_context,
    contexts,
    measure,
    read,
    worst_context,
    wrong_steps,
)

from carrousel.tasks import EmbeddedReber

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def task() -> EmbeddedReber:
    return EmbeddedReber().draw(np.random.default_rng(4))


def perfect(task: EmbeddedReber) -> np.ndarray:
    legal = replace(task, target="legal").test(np.random.default_rng(0), 1).targets
    return legal / legal.sum(axis=1, keepdims=True)


def test_contexts_are_states_of_the_grammar(task):
    data = task.test(np.random.default_rng(0), 1)
    legal = perfect(task) > 0
    where = contexts(data)
    assert set(where) == {-1, *range(INNER + 1)}
    assert (np.bincount(where[where >= 0]) > 0).all()
    for context in range(1, INNER - 1):
        np.testing.assert_array_equal(legal[where == context].sum(axis=1), 2)
    outer = data.targets[where == INNER]
    second = data.inputs[data.offsets[:-1] + 1]
    np.testing.assert_array_equal(outer, second)


def test_right_and_wrong_steps_are_those_of_the_task(task):
    data, outputs = task.test(np.random.default_rng(0), 1), perfect(task)
    legal = outputs > 0
    assert not wrong_steps(outputs, legal).any()
    spoiled = outputs + np.random.default_rng(1).normal(0, 0.3, outputs.shape)
    ends = data.target_offsets
    ours = [wrong_steps(spoiled, legal)[a:b].any() for a, b in pairwise(ends)]
    np.testing.assert_array_equal(np.logical_not(ours), task.correct(spoiled, data))
    assert 0 < np.mean(ours) < 1


def test_the_worst_context_of_a_net_with_dead_outputs(task):
    data, outputs = task.test(np.random.default_rng(0), 1), perfect(task)
    where = contexts(data)
    outputs[where == 4] = 1e-6
    found = worst_context(data, outputs)
    assert (found["context"], found["wrong"], found["others"]) == (4, 1.0, 0.0)
    assert found["slope"] == pytest.approx(1e-6, rel=1e-3)
    assert found["error"] == pytest.approx(0.5, rel=1e-3)
    outputs[where == 5] = 1e-6
    [most, least] = by_context([found, found, {**found, "context": 1, "wrong": 0.5}])
    assert (most["name"], most["nets"], least["wrong"]) == ("state 4: X or S", 2, 0.5)


def test_a_linear_reader_finds_what_is_there():
    rng = np.random.default_rng(0)
    values, signs = rng.normal(size=(400, 3)), rng.choice([-1.0, 1.0], 400)
    half = slice(0, 200), slice(200, 400)
    chance = read(values[half[0]], signs[half[0]], values[half[1]], signs[half[1]])
    assert 0.35 < chance < 0.65
    values[:, 1] += 10 * signs
    assert read(values[half[0]], signs[half[0]], values[half[1]], signs[half[1]]) == 1.0


def test_a_small_run_has_all_figures():
    found = measure("1-4", "direct", learned=200, count=2)
    assert (found["nets"], found["stuck"]) == (2, 2)
    assert sum(each["nets"] for each in found["contexts"]) == 2
    assert found["as before"] == {"dead": [], "others": []}
    assert 0.3 < found["cells"]["outer"] < 0.7
