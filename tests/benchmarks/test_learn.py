"""Benchmark of gradients: verification of contenders, count of operations, saved results."""

from __future__ import annotations

import json
from importlib import import_module

import numpy as np
import pytest

from carrousel.contracts import Training
from carrousel.experiments.beyond.gradients import GRADIENTS, NETS
from carrousel.learners import GradientLearner

gradients = import_module("benchmarks.learn.gradients")
SAVED = import_module("benchmarks.common.results").RESULTS / "gradients.json"


def test_sequences_differ_and_have_one_length():
    parts = gradients.adding_data(3)
    assert [len(part) for part in parts] == [gradients.SEQUENCES] * 3
    assert {int(n) for part in parts for n in part.lengths} == {gradients.STEPS}
    assert not np.array_equal(parts[0].inputs, parts[1].inputs)


def test_operations_of_exact_sensitivities():
    """Each column of the sensitivities is multiplied by all recurrent weights."""
    network, _ = NETS["simple"]
    columns = 8 * (2 + 8 + 1)
    assert gradients.rtrl_operations(network) == columns * 8 * 8 * 2


@pytest.mark.parametrize("gradient", ["bptt", "rtrl"])
@pytest.mark.parametrize("net", NETS)
def test_jax_changes_weights_as_we_do(net, gradient):
    pytest.importorskip("jax")
    paths = import_module("benchmarks.contenders.jax.paths")
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


def test_saved_results_can_be_shown():
    saved = json.loads(SAVED.read_text(encoding="utf-8"))
    for net in NETS:
        assert list(saved["nets"][net]["rows"]) == list(GRADIENTS)
    assert "truncated" in gradients.text_of(saved)
