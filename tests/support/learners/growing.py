"""Networks that grow by cascade-correlation: small ones, and shorthands to drive them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import numpy as np

from carrousel.contracts import Errors, Init, Network, Simple
from carrousel.learners.cascade.learner import CascadeLearner, CascadeTraining, Phase
from carrousel.sequences import Sequences
from support.drawn import Kind, drawn_data

HASTY = CascadeTraining(
    epoch=5,
    pool=3,
    outputs=Phase(epsilon=1.0, threshold=0.05, patience=2, most_epochs=4),
    candidates=Phase(epsilon=1.0, threshold=0.05, patience=2, most_epochs=3),
)
"""Phases of a few epochs, so that every stage is soon seen."""


def network(
    units: int = 4,
    bias: str = "all",
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


def learn(learner: CascadeLearner, data: Sequences) -> Errors:
    """Errors of the only lane."""
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


def outputs_by_hand(learner: CascadeLearner, data: Sequences) -> np.ndarray:
    """Outputs of the first lane by nothing but its state, one unit and one step at a time."""
    state, inputs, found = learner.state(0), data.dense_inputs(), []
    squash = np.tanh if learner.network.cell.f == "tanh" else logistic  # type: ignore[union-attr]
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
                found.append(logistic(state["outputs"][:, : len(sources)] @ sources))
    return np.array(found).reshape(-1, data.n_outputs)


def logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))
