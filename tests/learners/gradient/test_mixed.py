"""Lanes of one learner with initial weights, rates and schedules of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from carrousel.contracts import Batches, Cell, Init, Network, Training
from carrousel.errors import SettingError
from carrousel.kernels import NativeKernel, ReferenceKernel
from carrousel.learners import GradientLearner, learner_named, shared_settings
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import Kind, drawn_data

NETWORK = Network(2, 1, Cell(1, 2), wiring="layered", bias="all", init=Init(range=0.5))
OTHER = replace(NETWORK, init=Init(range=0.1, input_gate_bias=(-1.0,)))

LANES = {
    "truncated": [
        (NETWORK, Training(0.5)),
        (OTHER, Training(0.1, cells_added_after=12)),
        (NETWORK, Training(0.2, halves_every=5)),
        (OTHER, Training(0.3, plateau=4, halves_every=7)),
    ],
    "adam": [
        (NETWORK, Batches(0.01, size=3)),
        (OTHER, Batches(0.02, size=3, halves_every=6)),
        (NETWORK, Batches(0.003, size=3, halves_every=2)),
    ],
}


def batch(seed: int) -> Sequences:
    rng = np.random.default_rng(seed)
    return drawn_data(NETWORK, rng, Kind(when="all"), rng.integers(1, 9, 10).tolist())


@pytest.mark.native
@each("kernel", [NativeKernel, ReferenceKernel])
@each("name", LANES)
def test_a_lane_among_others_equals_a_learner_of_its_own(kernel, name):
    """To the last bit, before and after its state has moved to a lane with other settings."""
    kinds = LANES[name]
    shared = shared_settings(name, *kinds[0])
    assert shared is not None
    assert all(shared_settings(name, *kind) == shared for kind in kinds)
    gradient = "bptt" if name == "adam" else name
    mixed, moved = (GradientLearner(*shared, len(kinds), kernel(), gradient) for _ in range(2))
    alone = [GradientLearner(net, how, 1, kernel(), gradient) for net, how in kinds]
    for lane, kind in enumerate(kinds):
        mixed.assign(lane, *kind)
        mixed.begin(lane, np.random.default_rng(lane))
        alone[lane].begin(0, np.random.default_rng(lane))
    for turn in range(4):
        if turn == 2:
            for lane in range(len(kinds)):
                moved.restore(len(kinds) - 1 - lane, mixed.state(lane))
            mixed, alone = moved, alone[::-1]
        data = [batch(10 * turn + lane) for lane in range(len(kinds))]
        found, outputs = mixed.learn(data), mixed.predict(data)
        for lane, own in enumerate(alone):
            [expected] = own.learn([data[lane]])
            for ours, theirs in zip(found[lane], expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
            np.testing.assert_array_equal(outputs[lane], own.predict([data[lane]])[0])
            np.testing.assert_array_equal(mixed.weights[lane], own.weights[0])
            assert mixed.measures(lane) == own.measures(0)


@each(
    "network, training, argument",
    [
        (replace(NETWORK, cell=Cell(2, 1)), Training(0.5), "network"),
        (NETWORK, Training(0.5, "step"), "training"),
        (NETWORK, Training(0.5, output_derivative=False), "training"),
        (NETWORK, Batches(0.5, gradient="truncated"), "training"),
    ],
)
def test_lanes_that_differ_in_more_are_refused(network, training, argument):
    learner = GradientLearner(NETWORK, Training(0.1), 2)
    with pytest.raises(SettingError, match=f"^{argument} of lane 1 differs"):
        learner.assign(1, network, training)


def test_only_learners_by_gradient_share_lanes():
    for name in ("cascade", "chunker", "compressor", "guess", "unheard-of"):
        assert shared_settings(name, NETWORK, Training(0.1)) is None
    assert shared_settings("truncated", NETWORK, "other settings") is None
    for name in ("elman", "bptt:3", "uoro"):
        assert shared_settings(name, NETWORK, Training(0.1)) is not None
        learner_named(name)
