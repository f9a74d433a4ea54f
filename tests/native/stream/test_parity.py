"""Native streams match the reference in float64, on every instruction set."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from carrousel.contracts import SQUASHES, Cell, Network, Streaming
from carrousel.kernels import NativeStream, ReferenceStream, instruction_sets
from carrousel.kernels.reference.layers import Weights
from carrousel.kernels.reference.running import RunningScale
from support.case import case as named
from support.kernels.stream_cases import (
    EPSILON,
    GRADIENTS,
    HEADS,
    OPTIMIZERS,
    RATES,
    WIRINGS,
    StreamCase,
    case_of,
    stream_cases,
)

pytestmark = pytest.mark.native


def flat(network: Network, state: dict[str, np.ndarray], which: str = "") -> np.ndarray:
    """Matrices of a native state as flat weights."""
    found = np.zeros(network.n_weights)
    Weights(state[f"hidden{which}"], state[f"output{which}"]).add_to(network, found, 1.0)
    return found


def assert_parity(case: StreamCase) -> None:
    """Compare outputs, weights, running gradients, means and traces after all rows.

    Both programs use float64. They differ by 1e-16 at each of some hundred operations per step.
    Learning accumulates the difference over rows, and a division by at least EPSILON multiplies it
    by at most 1000.
    """
    reference = case.reference()
    wanted = case.run(reference)
    for name in instruction_sets():
        native = case.native(dtype=np.float64, instruction_set=name)
        np.testing.assert_allclose(case.run(native), wanted, rtol=1e-9, atol=1e-9, err_msg=name)
        compare(case, native, reference)


def compare(case: StreamCase, native: NativeStream, reference: ReferenceStream) -> None:
    def close(ours: np.ndarray, theirs: np.ndarray, what: str) -> None:
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9, err_msg=what)

    network, state = case.network, native.state()
    close(native.weights, reference.weights, "weights")
    close(flat(network, state), reference.weights, "weights of the state")
    for which, theirs in (("_first", reference.net.first), ("_second", reference.net.second)):
        if f"hidden{which}" in state:
            close(flat(network, state, which), theirs, which)
    assert state["changes"][0] == reference.net.changes
    for name, scales in (("inputs", reference.inputs), ("targets", reference.net.targets)):
        if case.streaming.by_key:
            close(state[f"{name}_all"], numbers_of(scales.all), name)
            for place, stream in enumerate(state["streams"].tolist()):
                close(state[name][place], numbers_of(scales.of(stream)), name)
        else:
            close(state[name], numbers_of(scales.all), name)
    for place, stream in enumerate(state["streams"]):
        rule: Any = reference.net.states[stream].rule
        layer = rule.state
        close(state["s"][place], layer.s, "s")
        close(state["y"][place], layer.y, "y")
        assert reference.net.stands(stream) == (state["flags"][place] == 3)
        if case.streaming.gradient == "truncated":
            traces = moved_on(state, place)
            theirs = [layer.ds_cell, layer.ds_in, layer.ds_forget][: len(traces)]
            close(traces, np.stack(theirs), "traces")


def numbers_of(scale: RunningScale) -> np.ndarray:
    return np.stack([scale.seen, scale.mean, scale.variance, scale.odd], axis=1)


def moved_on(state: dict[str, np.ndarray], place: int) -> np.ndarray:
    """Traces of cells, input gates and forget gates, including a step that waits for a target."""
    traces = state["traces"][place]
    if state["flags"][place] != 3:
        return traces
    gains = [state[f"gain_{of}"][place] for of in ("cell", "in", "forget")][: len(traces)]
    new = [np.outer(gain, state["sources"][place]) for gain in gains]
    return state["kept"][place][:, None] * traces + np.stack(new)


@settings(max_examples=120)
@given(stream_cases())
def test_any_network_and_settings(case):
    assert_parity(case)


CELLS = [
    Cell(2, size, forget_gate=forget) for size, forget in itertools.product((1, 2), (True, False))
]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_head_with_every_optimizer(head, optimizer):
    for wiring, cell in itertools.product(WIRINGS, CELLS):
        network = Network(3, 2, cell, wiring=wiring, bias="all")
        how = Streaming(head, optimizer, RATES[optimizer], epsilon=EPSILON, clip=0.5)
        with named(wiring, cell):
            assert_parity(case_of(network, how, seed=3, n=12, n_streams=2))


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("wiring", WIRINGS)
def test_every_gradient(gradient, wiring):
    for cell in CELLS:
        network = Network(3, 2, cell, wiring=wiring, bias="all")
        how = Streaming("logistic", "sgd", 0.1, gradient=gradient)
        case = case_of(network, how, seed=5, n=20, n_streams=2, scaled=True)
        with named(cell):
            assert_parity(case)
            assert_parity(replace(case, targets_first=True))


@pytest.mark.parametrize("gradient", ["rtrl", "snap:1", "uoro"])
def test_sensitivities_around_the_width_of_vectors(gradient):
    cell = Cell(2, 2, forget_gate=True)
    for inputs, seed in itertools.product((1, 14, 30), range(3)):
        network = Network(inputs, 2, cell, wiring="full", bias="all")
        how = Streaming("logistic", "sgd", 0.1, gradient=gradient)
        with named(inputs, seed):
            assert_parity(case_of(network, how, seed=seed, n=6))


@pytest.mark.parametrize("g", SQUASHES)
def test_every_squashing_function(g):
    for h in SQUASHES:
        network = Network(2, 1, Cell(3, 1, g, h, forget_gate=True), wiring="cells", bias="all")
        with named(h):
            assert_parity(case_of(network, Streaming(rate=0.02, epsilon=EPSILON), seed=4, n=15))


@pytest.mark.parametrize("blocks", [1, 3, 4, 7, 8, 15, 16, 17, 33])
def test_sizes_around_the_width_of_vectors(blocks):
    for inputs, (size, wiring) in itertools.product(
        (1, 7, 8, 16), zip((1, 2), WIRINGS, strict=True)
    ):
        cell = Cell(blocks, size, forget_gate=bool(blocks % 2))
        network = Network(inputs, blocks, cell, wiring=wiring, bias="all")
        how = Streaming("softmax", rate=0.02, epsilon=EPSILON)
        with named(inputs, size, wiring):
            assert_parity(case_of(network, how, seed=blocks, n=5))


def test_a_long_run_on_scaled_rows_of_several_streams():
    """Many more rows than the horizon, of every kind."""
    network = Network(4, 2, Cell(3, 2, forget_gate=True), wiring="cells", bias="all")
    how = Streaming(
        rate=0.005, epsilon=EPSILON, clip=1.0, scale_targets=True, horizon=50.0, missing=True
    )
    for targets_first in (False, True):
        case = case_of(network, how, n=600, n_streams=3, scaled=True, targets_first=targets_first)
        assert_parity(case)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_reset(gradient):
    network = Network(2, 2, Cell(2, 2, forget_gate=True), wiring="full", bias="all")
    how = Streaming(epsilon=EPSILON, gradient=gradient)
    case = case_of(network, how, n=24, n_streams=2)
    reference, native = case.reference(), case.native(dtype=np.float64)
    for part in (slice(0, 8), slice(8, 16), slice(16, 24)):
        wanted = case.run(reference, case.rows[part])
        np.testing.assert_allclose(case.run(native, case.rows[part]), wanted, rtol=1e-9, atol=1e-9)
        reference.reset(1)
        native.reset(1)
    reference.reset(0)
    native.reset(0)
    compare(case, native, reference)


def test_the_rate_may_change_between_steps():
    network = Network(2, 2, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")
    case = case_of(network, Streaming(optimizer="sgd"), n=20)
    reference, native = case.reference(), case.native(dtype=np.float64)
    for place, rate in enumerate((0.1, 0.0, 0.3, 0.05)):
        native.rate = reference.rate = rate
        part = case.rows[5 * place : 5 * place + 5]
        np.testing.assert_allclose(
            case.run(native, part), case.run(reference, part), rtol=1e-9, atol=1e-9
        )
    compare(case, native, reference)
