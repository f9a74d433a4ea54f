"""The bound on the sensitivities of streams: equal in both kernels, and without effect below it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Streaming
from carrousel.contracts.streaming import LARGEST_SENSITIVITY
from carrousel.kernels import NativeStream, ReferenceStream
from carrousel.kernels.native import stream_settings as native
from support.case import each
from support.kernels.stream_cases import WIRINGS, StreamCase, case_of

pytestmark = pytest.mark.native

CARRIED = ("rtrl", "sparse:2", "snap:1", "uoro")
"""Gradients that carry sensitivities through recurrent connections."""

FREE = {"rtrl": 1e6, "sparse:2": 100, "snap:1": 1, "uoro": 1e6}
"""Sizes that the chaotic layer below reaches without a bound."""


def chaotic(gradient: str, n: int = 150) -> StreamCase:
    """Return a case whose recurrent weights are so large that the Jacobian expands."""
    cell = Cell(12, 1, "[-2,2]", "identity", forget_gate=True)
    network = Network(2, 1, cell, wiring="cells", bias="all")
    how = Streaming(optimizer="sgd", rate=1e-5, gradient=gradient, clip=1.0)
    case = case_of(network, how, seed=1, n=n)
    network.views(case.weights)["hidden_recurrent"][:] *= 6
    case.rows.x[:] *= 0.1
    return case


def size_of(kernel: ReferenceStream) -> float:
    """Return the root mean square, over weights, of the norm of a weight's sensitivities."""
    rule: Any = kernel.rule(0)
    weights = kernel.network.cell.n_units * kernel.network.n_sources
    if hasattr(rule, "p"):
        return float(np.sqrt((rule.p[rule.used] ** 2).sum() / weights))
    return float(np.linalg.norm(rule._q) * np.linalg.norm(rule._w) / np.sqrt(weights))


@pytest.mark.parametrize("gradient", CARRIED)
def test_sizes_never_exceed_the_bound(gradient):
    """Sensitivities of the same run without a bound grow far beyond it."""
    case = chaotic(gradient)
    bounded, free = case.reference(bound=0.5), case.reference(bound=np.inf)
    sizes = []
    for x in case.rows.x:
        for kernel in (bounded, free):
            kernel.advance(0, x)
        sizes.append((size_of(bounded), size_of(free)))
    assert max(one for one, _ in sizes) <= 0.5 * (1 + 1e-12)
    assert max(other for _, other in sizes) > FREE[gradient]


@pytest.mark.parametrize("gradient", CARRIED)
@each("wiring", WIRINGS)
@each("bound", [1e-3, 0.2, 1.0])
def test_kernels_agree_where_sensitivities_are_shrunk(monkeypatch, gradient, wiring, bound):
    """From the first step on, and from a later one on."""
    monkeypatch.setattr(native, "LARGEST_SENSITIVITY", bound)
    network = Network(2, 2, Cell(3, 2, forget_gate=True), wiring=wiring, bias="all")
    case = case_of(network, Streaming(optimizer="sgd", rate=0.05, gradient=gradient), n=25)
    ours, theirs = case.native(dtype=np.float64), case.reference(bound=bound)
    np.testing.assert_allclose(case.run(ours), case.run(theirs), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-9, atol=1e-11)
    if bound < 1:
        free = case.reference(bound=np.inf)
        case.run(free)
        assert np.abs(free.weights - theirs.weights).max() > 1e-6


@pytest.mark.parametrize("gradient", CARRIED)
def test_a_bound_that_is_not_reached_has_no_effect(gradient):
    network = Network(2, 2, Cell(3, 1, forget_gate=True), wiring="cells", bias="all")
    case = case_of(network, Streaming(optimizer="rmsprop", rate=0.01, gradient=gradient), n=40)
    bounded, free = case.reference(), case.reference(bound=np.inf)
    np.testing.assert_array_equal(case.run(bounded), case.run(free))
    np.testing.assert_array_equal(bounded.weights, free.weights)


@pytest.mark.parametrize("gradient", CARRIED)
def test_a_chaotic_layer_does_not_end_the_run(gradient):
    """In single precision, free sensitivities would overflow long before the end."""
    case = chaotic(gradient, n=2000)
    kernel = case.native()
    assert np.isfinite(case.run(kernel)).all()
    assert kernel.finite
    for name in ("sensitivities", "q", "w"):
        part = kernel.state().get(name, np.zeros(1))
        most = LARGEST_SENSITIVITY * np.sqrt(kernel.state()["hidden"].size)
        assert np.abs(part).max() <= most * (1 + 1e-5)


def test_sensitivities_that_overflow_restart():
    """An input of 1e25 has sensitivities whose squares are infinite in single precision."""
    network = Network(1, 1, Cell(1, 1, forget_gate=True), wiring="cells", bias="all")
    how = Streaming(gradient="rtrl")
    kernel = NativeStream(network, how, np.zeros(network.n_weights))
    kernel.advance(0, np.array([1e25]))
    np.testing.assert_array_equal(kernel.state()["sensitivities"], 0)
    kernel.advance(0, np.array([1.0]))
    sensitivities = kernel.state()["sensitivities"]
    assert np.isfinite(sensitivities).all()
    assert np.abs(sensitivities).max() > 0
