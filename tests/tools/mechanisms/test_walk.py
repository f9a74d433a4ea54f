"""States along sequences: drift, its constants, its loop, and what a change of weights does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tools.mechanisms.walk import at_rest, end_of, growth, into_cells, loop, sensitivity, walk

from carrousel.contracts import Cell, Network, Training
from carrousel.kernels.reference.layers import Weights, forward, logistic
from carrousel.sequences import Sequences

TRAINING = Training(rate=0.1)


def silent(steps: int, inputs: int = 2) -> Sequences:
    return Sequences.from_lists([np.zeros((steps, inputs), np.float32)], [[[0.0]]])


def random_net(seed: int = 0, **settings: Any) -> tuple[Network, np.ndarray]:
    network = Network(2, 1, Cell(2, 2), **settings)
    return network, np.random.default_rng(seed).uniform(-1, 1, network.n_weights)


def test_drift_of_a_linear_cell_is_steps_times_constant():
    network = Network(2, 1, Cell(1, 1, g="identity", h="identity"), bias="hidden", feedback="none")
    for seed in range(5):
        flat = np.random.default_rng(seed).uniform(-2, 2, network.n_weights)
        gate, cell, _ = network.views(flat)["hidden_bias"]
        each = logistic(np.array(gate)) * cell
        np.testing.assert_allclose(into_cells(network, flat), [cell], rtol=1e-12)
        np.testing.assert_allclose(at_rest(network, flat).s, [each], rtol=1e-12)
        for steps in (1, 7, 500):
            end = end_of(network, TRAINING, flat, silent(steps))
            np.testing.assert_allclose(end.s, [steps * each], rtol=1e-12)


def test_gates_that_are_fed_back_act_as_a_bias():
    """Without weights from cells, the change of a step converges to the drift at rest."""
    network, flat = random_net()
    recurrent = network.views(flat)["hidden_recurrent"]
    recurrent[:, list(network.cell.read_units)] = 0.0
    states = [state.s.copy() for state in walk(network, TRAINING, flat, silent(60))]
    np.testing.assert_allclose(states[-1] - states[-2], at_rest(network, flat).s, rtol=1e-2)
    assert np.abs(at_rest(network, flat).s).min() > 0.01
    for name, units in (("feedback", "none"), ("feedback_into", "gates"), ("feedback", "cells")):
        network, flat = random_net(0, **{name: units})
        np.testing.assert_array_equal(at_rest(network, flat).s, 0.0)
        np.testing.assert_array_equal(into_cells(network, flat), 0.0)


def test_the_constant_of_half_open_gates_is_half_their_weights():
    network, flat = random_net()
    recurrent, cells = network.views(flat)["hidden_recurrent"], list(network.cell.read_units)
    gates = [unit for unit in range(network.cell.n_units) if unit not in cells]
    recurrent[gates] = 0.0
    np.testing.assert_allclose(
        into_cells(network, flat), recurrent[cells][:, gates].sum(axis=1) / 2, rtol=1e-12
    )


def test_the_loop_is_the_derivative_of_a_states_next_change():
    network, flat = random_net(seed=3)
    recurrent, cells = network.views(flat)["hidden_recurrent"], list(network.cell.read_units)
    others = [unit for unit in range(network.cell.n_units) if unit not in cells]
    recurrent[np.ix_(cells, others)] = 0.0  # no constant: states rest at 0
    recurrent[np.ix_(others, others)] = 0.0  # gates are settled
    w, nothing = Weights.unpack(network, flat), np.zeros(2)

    def change(s: np.ndarray) -> np.ndarray:
        first = forward(network, w, np.full(network.cell.n_units, 0.5) * 0, s, nothing)
        return forward(network, w, first.y, first.s, nothing).s - first.s

    size = 1e-6
    found = np.column_stack(
        [(change(size * way) - change(-size * way)) / (2 * size) for way in np.eye(len(cells))]
    )
    np.testing.assert_allclose(loop(network, flat), found, atol=1e-8)
    assert growth(network, flat) == pytest.approx(np.linalg.eigvals(found).real.max(), abs=1e-8)
    network, flat = random_net(feedback="none")
    assert growth(network, flat) == 0.0


@pytest.mark.parametrize("bias", ["none", "gates", "all"])
def test_sensitivity_is_the_squared_derivative_by_all_weights(bias):
    """Without feedback the traces are exact, so finite differences must agree."""
    network, flat = random_net(seed=1, bias=bias, feedback="none")
    rng = np.random.default_rng(2)
    one = Sequences.from_lists([rng.normal(size=(6, 2)).astype(np.float32)], [[[0.0]]])
    found = sensitivity(network, end_of(network, TRAINING, flat, one))
    size, columns = 1e-5, []
    for way in size * np.eye(network.n_weights):
        up, down = (end_of(network, TRAINING, flat + sign * way, one).s for sign in (1, -1))
        columns.append((up - down) / (2 * size))
    parts = network.views(np.square(columns).T)
    np.testing.assert_allclose(found["inputs"], parts["hidden_inputs"].sum(axis=(1, 2)), rtol=1e-6)
    biases = parts["hidden_bias"].sum(axis=1) if bias != "none" else 0.0
    np.testing.assert_allclose(found["biases"], biases, rtol=1e-6)
    np.testing.assert_array_equal([found["gates"], found["cells"]], 0.0)


def test_weights_that_a_network_does_not_have_do_not_count():
    network, flat = random_net(seed=1)
    one = Sequences.from_lists([np.ones((9, 2), np.float32)], [[[0.0]]])
    whole = sensitivity(network, end_of(network, TRAINING, flat, one))
    cut, _ = random_net(feedback_into="gates")
    fewer = sensitivity(cut, end_of(network, TRAINING, flat, one))
    for source in ("gates", "cells"):
        assert (fewer[source] < whole[source]).all()
    np.testing.assert_array_equal(fewer["inputs"], whole["inputs"])
