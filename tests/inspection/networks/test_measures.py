"""Reports on nets of 1997: errors equal finite differences and the shares of each lag."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from carrousel.contracts import Cell, Gradient, Head, Network, Simple, Training
from carrousel.errors import DataError, SettingError, ShapeError
from carrousel.inspection import errors_by_lag
from carrousel.inspection.networks import Case, Net, inspect_network
from carrousel.inspection.networks.inspect import PATHS
from carrousel.inspection.networks.measures import gradient
from carrousel.kernels import ReferenceKernel
from carrousel.sequences import Sequences

NETWORKS = {
    "memory cells": Network(2, 2, Cell(2, 2), bias="all"),
    "forget gates": Network(2, 2, Cell(2, 1, forget_gate=True), bias="all"),
    "gates only": Network(2, 2, Cell(2, 1), feedback_into="gates"),
    "extended": Network(2, 2, Cell(2, 1, forget_gate=True), wiring="cells", bias="all"),
    "layered": Network(
        2, 2, Cell(1, 2, g="[0,1]", h="identity", output_gate=False), wiring="layered"
    ),
    "logistic": Network(2, 2, Simple(3), wiring="direct", bias="hidden"),
    "tanh": Network(2, 2, Simple(3, "tanh"), bias="all"),
    "united": Network(2, 2, Simple(4), wiring="united", bias="all"),
}
GRADIENTS = ("truncated", "immediate", "bptt", "bptt:3", "rtrl", "sparse:1")


def drawn(network: Network, seed: int, lengths: tuple[int, ...] = (9, 9, 7, 12)):
    rng = np.random.default_rng(seed)
    inputs = [rng.uniform(-1, 1, (n, network.n_inputs)) for n in lengths]
    targets = [rng.uniform(0.1, 0.9, (1, network.n_outputs)) for _ in lengths]
    weights = rng.normal(0, 0.7, network.n_weights)
    return weights, Sequences.from_lists(inputs, targets)


def net_and_case(name: str, head: Head = "logistic97", gradient: str = "bptt"):
    network = NETWORKS[name]
    weights, _ = drawn(network, 3)
    rng = np.random.default_rng(4)
    cell = network.cell
    case = Case(
        rng.uniform(-1, 1, (6, 2)),
        np.eye(2)[1] if head == "softmax" else rng.uniform(0.1, 0.9, 2),
        rng.uniform(0, 1, cell.n_units),
        rng.normal(size=cell.n_states),
    )
    return Net(network, weights, head, Gradient.named(gradient)), case


@pytest.mark.parametrize("name", NETWORKS)
def test_errors_of_states_are_derivatives(name):
    """Of the loss by activations, and by cell states at constant activations."""
    for head in get_args(Head):
        net, case = net_and_case(name, head)
        errors = net.run(case).errors
        units = net.network.cell.n_units
        for first in (0, 3):  # the state before step `first`
            steps = net.run(case).steps
            y, s = (case.y, case.s) if not first else (steps[first - 1].y, steps[first - 1].s)
            for i in range(len(y) + len(s)):
                losses = []
                for d in (1e-5, -1e-5):
                    q = np.concatenate([y, s])
                    q[i] += d
                    changed = Case(case.x[first:], case.target, q[:units], q[units:])
                    losses.append(net.run(changed).loss)
                by_difference = (losses[0] - losses[1]) / 2e-5
                np.testing.assert_allclose(errors[first, i], by_difference, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_the_reference_kernel(name):
    """Of all algorithms that follow paths; the mean over sequences."""
    network = NETWORKS[name]
    weights, data = drawn(network, 5)
    kernel, training = ReferenceKernel(np.float64), Training(rate=0.0)
    for algorithm in GRADIENTS:
        which = Gradient.named(algorithm)
        zeros = np.zeros(1, np.int64)
        found, _ = kernel.gradient(network, training, weights[None], zeros, [data], which)
        net = Net(network, weights, "logistic97", which)
        y, s = np.zeros(network.cell.n_units), np.zeros(network.cell.n_states)
        passes = [
            net.run(Case(one.dense_inputs().astype(float), one.targets[0].astype(float), y, s))
            for one in data
        ]
        np.testing.assert_allclose(-gradient(passes) * len(data), found[0], atol=1e-12)
        report = inspect_network(network, weights, data, gradient=which)
        size = np.linalg.norm(found) / len(data)
        np.testing.assert_allclose(report.gradients.total, size, atol=1e-12)
        parts = np.array(list(report.gradients.norms.values()))
        np.testing.assert_allclose(np.linalg.norm(parts), size, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_shares_by_lag_are_errors_of_states_through_one_step(name):
    network = NETWORKS[name]
    weights, data = drawn(network, 6, (8,))
    for algorithm in GRADIENTS:
        shares = errors_by_lag(network, weights, data, algorithm, range(8))
        net = Net(network, weights, "logistic97", Gradient.named(algorithm))
        y, s = np.zeros(network.cell.n_units), np.zeros(network.cell.n_states)
        one = net.run(Case(data.inputs.astype(float), data.targets[0].astype(float), y, s))
        mine = [-step.by_net.T @ e for step, e in zip(one.steps, one.errors[1:], strict=True)]
        np.testing.assert_allclose(mine[::-1], shares, rtol=1e-12, atol=1e-300)


def test_the_carrousel_is_constant_and_scaled_by_the_read_step():
    """Equation 39: the error inside a cell is that of the read step times y_out h'."""
    network = NETWORKS["memory cells"]
    weights, data = drawn(network, 7)
    for algorithm in ("truncated", "bptt"):
        reach = inspect_network(network, weights, data, gradient=algorithm).read_reach()
        assert reach.cell == "lstm97"
        assert reach.carrousel is not None
        assert reach.s is not None
        known = reach.carrousel[1:7]
        np.testing.assert_array_equal(known, np.broadcast_to(known[0], known.shape))
        assert (known > 0).all()
        if algorithm == "truncated":  # there is nothing else
            np.testing.assert_array_equal(reach.s, reach.carrousel)
            assert not np.nan_to_num(reach.h[1:]).any()
        else:
            assert (reach.total()[3] != reach.carrousel[3]).all()
    net = Net(network, weights, "logistic97", Gradient("truncated"))
    y, s = np.zeros(8), np.zeros(4)
    case = Case(data[:1].inputs.astype(float), data[:1].targets[0].astype(float), y, s)
    one = net.run(case)
    out = net.weights.read(network).T @ one.output_error
    y_out = one.y[-1, [6, 6, 7, 7]]
    h_slope = (1 - np.tanh(one.s[-1] / 2) ** 2) / 2
    np.testing.assert_allclose(one.errors[1, 8:], out * y_out * h_slope, rtol=1e-12)


def test_forget_gates_scale_the_carrousel():
    network = NETWORKS["forget gates"]
    weights, data = drawn(network, 8, (6,))
    reach = inspect_network(network, weights, data).read_reach()
    assert reach.cell == "lstm"
    assert reach.carrousel is not None
    ratio = reach.carrousel[2:, 0] / reach.carrousel[1:-1, 0]
    assert ((ratio > 0) & (ratio < 1)).all()


def test_exchanged_histories_equal_runs_with_exchanged_inputs():
    """The loss and the twins of a lag, by sequences whose first inputs are another's."""
    network = NETWORKS["memory cells"]
    weights, data = drawn(network, 9, (9, 9, 9))
    report = inspect_network(network, weights, data)
    used, (memory,) = report.used, report.unit_memory
    assert used is not None
    x = data.inputs.reshape(3, 9, 2)
    for lag, loss in zip(used.lags, used.loss, strict=True):
        mixed = np.concatenate([np.roll(x, -1, axis=0)[:, : 8 - lag], x[:, 8 - lag :]], axis=1)
        swapped = Sequences.from_lists(list(mixed), [row[None] for row in data.targets])
        other = inspect_network(network, weights, swapped)
        np.testing.assert_allclose(loss, other.loss, rtol=1e-12)
    assert used.lags[-1] == 7
    assert memory.difference.shape == (8, 4)
    assert used.undisturbed == report.loss


def test_reports_describe_gates_states_and_traces():
    network = NETWORKS["extended"]
    weights, data = drawn(network, 10)
    report = inspect_network(network, weights, data, lag=5, clip=1e-9)
    (units,), (trace,), (dynamics,) = report.units, report.traces, report.dynamics
    assert set(units.gates) == {"input", "forget", "output"}
    assert units.state == "c"
    assert report.lag == 5
    assert trace.read == 8
    assert (trace.x.shape, trace.h.shape, trace.s.shape) == ((9, 2), (9, 2), (9, 2))
    assert {gate.shape for gate in trace.gates.values()} == {(9, 2)}
    assert trace.outputs is not None
    np.testing.assert_array_equal(trace.target, data.targets[0])
    predicted = ReferenceKernel(np.float64).predict(
        network, Training(rate=0.0), weights[None], np.zeros(1, np.int64), [data]
    )[0]
    assert predicted is not None
    np.testing.assert_allclose(trace.outputs[-1], predicted[0], rtol=1e-12)
    assert dynamics.spectral_radius is not None
    assert report.gradients.kept() < 1
    blocks = NETWORKS["memory cells"]
    weights, data = drawn(blocks, 10)
    report = inspect_network(blocks, weights, data)
    assert report.units[0].gates["input"].mean.shape == (2,)
    gate = report.traces[0].gates["input"]  # one for each cell
    np.testing.assert_array_equal(gate[:, [0, 2]], gate[:, [1, 3]])
    assert gate.shape == report.traces[0].s.shape
    report = inspect_network(network, *drawn(network, 10), clip=1e-9)
    norms = report.gradients.norms
    assert "hidden_inputs.forget_gates" in norms
    assert "output_bias" in norms


def test_lyapunov_exponents_are_those_of_known_systems():
    """A unit with weight w near 0 shrinks by w per step; a carrousel neither grows nor shrinks."""
    network = Network(1, 1, Simple(1, "tanh"))
    for w in (0.5, 0.9):
        data = Sequences.from_lists([[0.0] * 40], [[1.0]])
        report = inspect_network(network, np.array([1.0, w, 1.0]), data)
        exponent = report.dynamics[0].lyapunov
        assert exponent is not None
        assert math.isclose(exponent, math.log(w), rel_tol=1e-12)
        assert report.dynamics[0].spectral_radius == w
        assert math.isclose(report.reach[0].rate(), w, rel_tol=1e-9)
        assert math.isclose(report.dynamics[0].initial, w**40, rel_tol=1e-9)
    network = NETWORKS["layered"]
    weights, data = drawn(network, 11, (30, 30))
    report = inspect_network(network, weights, data)
    assert report.dynamics[0].lyapunov is not None
    assert abs(report.dynamics[0].lyapunov) < 0.1
    assert report.dynamics[0].spectral_radius is None


def test_a_sequence_ends_at_its_last_target():
    network = NETWORKS["tanh"]
    weights, data = drawn(network, 12, (9, 9))
    longer = Sequences(
        data.inputs, 2, data.offsets, data.targets, 2, np.array([6, 9 + 4], np.int64)
    )
    report = inspect_network(network, weights, longer)
    assert report.read_reach().n_lags == 7
    assert np.isnan(report.read_reach().h[5, 1])
    alone = inspect_network(network, weights, longer[:1])
    assert alone.used is None
    assert alone.unit_memory == ()
    np.testing.assert_array_equal(alone.read_reach().h[:, 0], report.read_reach().h[:, 0])
    lanes = np.stack([np.zeros_like(weights), weights])
    second = inspect_network(network, lanes, longer, lane=1)
    assert second.loss == report.loss


def test_symbols_are_one_hot():
    network = NETWORKS["logistic"]
    weights, _ = drawn(network, 13)
    symbols = Sequences.from_lists([[0, 1, 1, 0]], [[1]], n_inputs=2, n_outputs=2)
    vectors = Sequences.from_lists([np.eye(2)[[0, 1, 1, 0]]], [np.eye(2)[[1]]])
    a, b = (inspect_network(network, weights, data) for data in (symbols, vectors))
    np.testing.assert_array_equal(a.read_reach().h, b.read_reach().h)


def test_bad_input_is_named():
    network = NETWORKS["memory cells"]
    weights, data = drawn(network, 14)
    with pytest.raises(ShapeError, match="weights have shape"):
        inspect_network(network, weights[1:], data)
    with pytest.raises(DataError, match="not finite"):
        inspect_network(network, weights * np.nan, data)
    with pytest.raises(SettingError, match="estimate without paths"):
        inspect_network(network, weights, data, gradient="uoro")
    with pytest.raises(ShapeError, match="n_inputs = 1"):
        inspect_network(network, weights, Sequences.from_lists([[0.5]], [[1.0]]))
    no_targets = np.zeros((0, 2), np.float32), 2, np.zeros(0, np.int64)
    none = Sequences(data.inputs[:3], 2, np.array([0, 3]), *no_targets)
    with pytest.raises(DataError, match="sequence 0 has no target"):
        inspect_network(network, weights, none)
    long = Sequences.from_lists([np.zeros((200_001, 2))], [[[0.5, 0.5]]])
    with pytest.raises(DataError, match="fewer or shorter"):
        inspect_network(network, weights, long)
    sparse = Network(2, 1, Simple(3), wiring="sparse")
    one = Sequences.from_lists([np.zeros((3, 2))], [[[0.5]]])
    with pytest.raises(SettingError, match="weight guessing"):
        inspect_network(sparse, np.zeros(sparse.n_weights), one)
    assert "snap" not in PATHS
