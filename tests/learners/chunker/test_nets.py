"""The chunker's nets: gradients, independent lanes, flat weights, memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Init, Network, Simple
from carrousel.errors import SettingError
from carrousel.learners.chunker.nets import LaneNets
from support.case import each

NETWORKS = {
    "direct": Network(4, 3, Simple(1), wiring="direct", init=Init(1.0)),
    "full": Network(4, 3, Simple(3), wiring="full", init=Init(1.0)),
    "tanh": Network(4, 2, Simple(2, f="tanh"), wiring="direct", bias="hidden", init=Init(1.0)),
    "biased": Network(4, 2, Simple(3), wiring="full", bias="all", init=Init(1.0)),
    "all": Network(4, 2, Simple(3, f="tanh"), wiring="direct", bias="all", init=Init(1.0)),
}
networks = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
N_VALUES = (0, 1, 4)
"""Inputs: symbols alone, symbols and the last input as a value, or values alone."""


def drawn(network: Network, lanes: int, depth: int, seed: int = 0) -> LaneNets:
    nets, rng = LaneNets(network, lanes, depth, np.float64), np.random.default_rng(seed)
    for lane in range(lanes):
        nets.load(lane, rng.uniform(-1, 1, network.n_weights))
    return nets


def drawn_inputs(n_values: int, steps: int, lanes: int) -> tuple[np.ndarray, Any]:
    rng = np.random.default_rng(7)
    symbols = rng.integers(0, max(1, 4 - n_values), (steps, lanes))
    return symbols, rng.normal(size=(steps, lanes, n_values)) if n_values else None


def forward(network: Network, weights: list[np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Outputs after the last step, with other weights at each step."""
    h, y = np.zeros(network.cell.n_units), np.zeros(network.n_outputs)
    for flat, x in zip(weights, inputs, strict=True):
        w = network.views(flat)
        net = w["hidden_inputs"] @ x + w["hidden_recurrent"] @ h + w.get("hidden_bias", 0.0)
        tanh = isinstance(network.cell, Simple) and network.cell.f == "tanh"
        h = np.tanh(net) if tanh else 1 / (1 + np.exp(-net))
        out = w["output_cells"] @ h + w.get("output_bias", 0.0)
        out = out + w["output_inputs"] @ x if network.direct else out
        y = 1 / (1 + np.exp(-out))
    return y


@networks
@each("n_values", N_VALUES)
@each("depth", [1, 2, 3, 9])
def test_the_gradient_reaches_back_over_the_last_steps_and_no_further(network, n_values, depth):
    """Finite differences of the loss by weights that differ in the last ``depth`` steps alone.

    With ``depth`` at least the number of steps, that is the whole gradient.
    """
    steps, goal = 5, np.linspace(0.1, 0.9, network.n_outputs)
    nets = drawn(network, 1, depth)
    flat = nets.flat(0)
    symbols, values = drawn_inputs(n_values, steps, 1)
    dense = np.zeros((steps, 4))
    if n_values < 4:
        dense[np.arange(steps), symbols[:, 0]] = 1.0
    if n_values:
        dense[:, 4 - n_values :] = values[:, 0]
    nets.start(n_values)
    y = nets.y
    for t in range(steps):
        y = nets.step(None, symbols[t], None if values is None else values[t])
    np.testing.assert_allclose(y[0], forward(network, [flat] * steps, dense), rtol=1e-12)
    nets.learn(None, y - goal, rate=1.0)

    def loss(weights: np.ndarray) -> float:
        late = min(depth, steps)
        per_step = [flat] * (steps - late) + [weights] * late
        return 0.5 * float(((forward(network, per_step, dense) - goal) ** 2).sum())

    eps = 1e-6  # errors of order eps^2, and of rounding, 1e-16 / eps
    gradient = [
        (loss(flat + step) - loss(flat - step)) / (2 * eps) for step in eps * np.eye(len(flat))
    ]
    np.testing.assert_allclose(flat - nets.flat(0), gradient, atol=2e-9)


@networks
@each("n_values", N_VALUES)
@each("dtype", [np.float32, np.float64])
def test_lanes_step_and_learn_alone(network, n_values, dtype):
    """Lanes that take part in some steps give the same as separate nets, to the last bit."""
    steps, lanes, rng = 30, 5, np.random.default_rng(3)
    symbols, values = drawn_inputs(n_values, steps, lanes)
    values = None if values is None else values.astype(dtype)
    together = LaneNets(network, lanes, 3, dtype)
    alone = [LaneNets(network, 1, 3, dtype) for _ in range(lanes)]
    for lane, own in enumerate(alone):
        together.load(lane, rng.uniform(-1, 1, network.n_weights))
        own.load(0, together.flat(lane))
    for nets in (together, *alone):
        nets.start(n_values)
    for t in range(steps):
        some = np.flatnonzero(rng.random(lanes) < 0.6)
        taking = None if t % 3 == 0 else some
        who = range(lanes) if taking is None else some.tolist()
        if t == 11:
            together.reset(some)
            for lane in some:
                alone[lane].reset(None)
        part = np.arange(lanes) if taking is None else some
        given = None if values is None else values[t, part]
        y = together.step(taking, part * 4 + symbols[t, part], given)
        goals = rng.random((lanes, network.n_outputs)).astype(dtype)
        for place, lane in enumerate(who):
            own = None if values is None else values[t, lane : lane + 1]
            np.testing.assert_array_equal(
                alone[lane].step(None, symbols[t, [lane]], own)[0], y[place]
            )
        pupils = some[::2]
        together.learn(pupils, together.y[pupils] - goals[pupils], 0.7)
        for lane in pupils:
            alone[lane].learn(None, alone[lane].y - goals[[lane]], 0.7)
    for lane, own in enumerate(alone):
        np.testing.assert_array_equal(together.flat(lane), own.flat(0))


@each("network", NETWORKS.values())
def test_flat_weights_go_in_and_out(network):
    nets = drawn(network, 3, 2)
    flat = [nets.flat(lane) for lane in range(3)]
    assert len(np.unique(np.concatenate(flat))) == 3 * network.n_weights  # each has its place
    nets.load(1, flat[2])
    for lane, expected in ((0, flat[0]), (1, flat[2]), (2, flat[2])):
        np.testing.assert_array_equal(nets.flat(lane), expected)
    np.testing.assert_array_equal(nets.copies(0, 2).flat(1), flat[0])


def test_bytes_are_those_of_weights_and_of_depth():
    small, deep = (LaneNets(NETWORKS["all"], 2, depth) for depth in (1, 4))
    weights = 2 * 4 * NETWORKS["all"].n_weights
    assert weights < small.nbytes < deep.nbytes
    assert deep.nbytes - small.nbytes == 3 * 2 * (8 + 4 * 3 * 2)  # a row; h(t-1) and f' of 3 units


def test_memory_cells_are_refused():
    with pytest.raises(SettingError, match="Simple"):
        LaneNets(Network(2, 2, Cell(1, 1)), 1, 3)
