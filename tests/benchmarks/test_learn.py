"""The benchmark of gradients: contenders compute the same, and what it saved can be read."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from carrousel.contracts import Training
from carrousel.experiments.beyond.gradients import GRADIENTS, NETS
from carrousel.learners import GradientLearner

gradients = import_module("benchmarks.learn.gradients")
SAVED = Path(__file__).parents[2] / "docs" / "gradients.json"


def test_data_are_sequences_of_one_length_that_differ():
    parts = gradients.adding_data(3)
    assert [len(part) for part in parts] == [gradients.SEQUENCES] * 3
    assert {int(n) for part in parts for n in part.lengths} == {gradients.STEPS}
    assert not np.array_equal(parts[0].inputs, parts[1].inputs)


def test_operations_of_exact_sensitivities():
    """Each column of the sensitivities meets all recurrent weights: counted by hand for one net."""
    network, _ = NETS["simple"]
    columns = 8 * (2 + 8 + 1)
    assert gradients.rtrl_operations(network) == columns * 8 * 8 * 2


@pytest.mark.parametrize("gradient", ["bptt", "rtrl"])
@pytest.mark.parametrize("net", NETS)
def test_jax_learns_what_we_learn(net, gradient):
    pytest.importorskip("jax")
    paths = import_module("benchmarks.contenders.jax_paths")
    network, training = NETS[net]
    slow = Training(training.rate / 100, output_derivative=False)
    data = gradients.adding_data(2)
    ours = GradientLearner(network, slow, 2, gradient=gradient)
    for lane in range(2):
        ours.begin(lane, np.random.default_rng(lane))
    before = ours.weights.copy()
    contender = paths.JaxPaths(network, slow, gradient, before)
    contender.learn(contender.pack(data))
    ours.learn(data)
    change = np.abs(ours.weights - before).max()
    # Twenty changes of weights, each a sum over a hundred steps, in float32 on both sides.
    np.testing.assert_allclose(np.asarray(contender.weights), ours.weights, atol=1e-3 * change)


def test_what_was_saved_can_be_read():
    saved = json.loads(SAVED.read_text(encoding="utf-8"))
    for net in NETS:
        assert list(saved["nets"][net]["rows"]) == list(GRADIENTS)
    assert "truncated" in gradients.text_of(saved)
