"""Gradients written by native lanes: what learning adds, exactly, and buffers that do not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import (
    EQUAL_RATES,
    Cell,
    Gradient,
    Network,
    RateFactors,
    Simple,
    Training,
)
from carrousel.errors import SettingError, ShapeError
from carrousel.kernels import NativeKernel, ReferenceKernel, instruction_sets
from support.case import case, each
from support.drawn import (
    Kind,
    Lesson,
    drawn_data,
    drawn_weights,
    kinds,
    lessons,
    rate_factors,
    seeds,
)
from support.kernels.native_calls import Call, caught, run
from support.kernels.native_lanes import Lanes

pytestmark = pytest.mark.native

SCALE = 2.0**60
"""At this rate a gradient above 1e-9 replaces a float32 weight; multiplication by it is exact."""
NETWORK = Network(3, 2, Cell(2, 1), bias="all")


def gradient_of(kernel: Any, lesson: Lesson, lanes: Lanes, n: int) -> tuple[np.ndarray, list[Any]]:
    network, training, gradient = lesson
    rngs = [np.random.default_rng(seed) for seed in lanes.seeds[:n]]
    return kernel.gradient(
        network, training, lanes.weights, lanes.cells_from, lanes.data, gradient, rngs
    )


@settings(max_examples=60, deadline=None)
@given(
    lessons("epoch", inputs=st.sampled_from([1, 2, 5, 16, 17, 20])),
    kinds,
    st.integers(1, 20),
    st.sampled_from(instruction_sets()),
    seeds,
)
def test_a_gradient_is_what_learning_adds_to_the_weights(lesson, kind, n, isa, seed):
    """To the last bit, with weights of any size; errors are equal, and weights stay."""
    rng = np.random.default_rng(seed)
    lanes, kernel = Lanes.drawn(lesson.network, kind, rng, n), NativeKernel(2, isa)
    before = lanes.weights.copy()
    found, errors = gradient_of(kernel, lesson, lanes, n)
    np.testing.assert_array_equal(lanes.weights, before)
    for rate in (SCALE, 1.0):
        learned, rates = before.copy(), np.full(n, rate, np.float32)
        rngs = [np.random.default_rng(each) for each in lanes.seeds[:n]]
        network, training, gradient = lesson
        training = replace(training, factors=EQUAL_RATES)
        theirs = kernel.learn(
            network, training, learned, rates, lanes.cells_from, lanes.data, gradient, rngs
        )
        if rate == SCALE:
            np.testing.assert_array_equal(learned, before + rates[:, None] * found)
        else:  # the product may be fused with the sum: one rounding less
            np.testing.assert_allclose(learned, before + found, rtol=2e-7, atol=1e-12)
        for one, two, part in zip(errors, theirs, lanes.data, strict=True):
            assert (one is None) == (two is None) == (part is None)
            if one is not None and two is not None:
                np.testing.assert_array_equal(np.array(tuple(one)), np.array(tuple(two)))
    for row, part in zip(found, lanes.data, strict=True):
        assert part is not None or not row.any()


@settings(max_examples=30, deadline=None)
@given(
    lessons("epoch", inputs=st.sampled_from([2, 17])), rate_factors(), kinds, st.integers(1, 9),
    st.sampled_from(instruction_sets()), seeds,
)  # fmt: skip
def test_factors_multiply_the_gradient(lesson, factors, kind, n, isa, seed):
    """Weights with a factor of 0 keep their bits."""
    network, training, gradient = lesson
    training = replace(training, factors=factors)
    lanes, kernel = Lanes.drawn(network, kind, np.random.default_rng(seed), n), NativeKernel(2, isa)
    found, _ = gradient_of(kernel, Lesson(network, training, gradient), lanes, n)
    learned, rates = lanes.weights.copy(), np.ones(n, np.float32)
    rngs = [np.random.default_rng(each) for each in lanes.seeds[:n]]
    kernel.learn(network, training, learned, rates, lanes.cells_from, lanes.data, gradient, rngs)
    by_weight = factors.by_weight(network).astype(np.float32)
    wanted = lanes.weights + by_weight * found  # with at most two roundings more or less
    np.testing.assert_allclose(learned, wanted, rtol=4e-7, atol=1e-6 * np.abs(found).max())
    kept = by_weight == 0
    np.testing.assert_array_equal(learned[:, kept], lanes.weights[:, kept])


@each("isa", instruction_sets())
@each("gradient", ["truncated", "bptt"])
@each("symbols", [0, 3, 19])
def test_each_weight_has_its_own_factor(isa, gradient, symbols):
    """The extension takes any factors, not only those of groups."""
    rng, kernel, named = np.random.default_rng(7), NativeKernel(1, isa), Gradient.named(gradient)
    network = Network(symbols or 3, 2, Cell(2, 2), bias="all", inputs_to_outputs=True)
    training, weights = Training(1.0, "epoch"), drawn_weights(network, rng, 2)
    kind = Kind(symbolic=symbols > 0, when="all")
    data = [drawn_data(network, rng, kind, lengths) for lengths in ([12, 9], [20])]
    found, _ = kernel.gradient(network, training, weights, np.zeros(2, np.int64), data, named)
    factors = rng.uniform(0, 2, network.n_weights).astype(np.float32)
    wanted = weights + factors * found  # with at most two roundings more or less
    call = caught(network, training, weights, list(data), kernel=kernel, gradient=named)
    run({**call, "factors": factors})
    np.testing.assert_allclose(weights, wanted, rtol=4e-7, atol=1e-6 * np.abs(found).max())


@each("kernel", [ReferenceKernel(), *(NativeKernel(1, isa) for isa in instruction_sets())])
@each("update", ["step", "sequence"])
@each("gradient", ["truncated", "bptt:2", "rtrl"])
def test_a_factor_of_zero_holds_in_a_lane_that_diverges(kernel, update, gradient):
    """Absent weights are such weights: cell inputs receive no hidden units here."""
    cell = Cell(1, 2, "identity", "identity", forget_gate=gradient != "truncated")
    network = Network(1, 1, cell, bias="all", feedback_into="gates")
    factors = RateFactors(recurrent=0.0, gate_biases=0.0)
    training = Training(1e30, update, output_derivative=False, factors=factors)
    rng = np.random.default_rng(0)
    data = drawn_data(network, rng, Kind(when="all"), [6, 6])
    data.inputs[:] = 1e30
    before = rng.normal(0, 1, (1, network.n_weights)).astype(kernel.dtype)
    after, kept = before.copy(), training.factors.by_weight(network) == 0
    args = (np.full(1, 1e30, kernel.dtype), np.zeros(1, np.int64), [data])
    kernel.learn(network, training, after, *args, Gradient.named(gradient))
    np.testing.assert_array_equal(after[:, kept], before[:, kept])
    if kernel.dtype is np.float32 and gradient == "truncated":
        assert not np.isfinite(after[:, ~kept]).all()


@settings(max_examples=30, deadline=None)
@given(lessons("epoch"), kinds, st.integers(2, 20), seeds, st.data())
def test_a_gradient_does_not_depend_on_neighbours(lesson, kind, n, seed, data):
    lanes = Lanes.drawn(lesson.network, kind, np.random.default_rng(seed), n)
    order = np.array(data.draw(st.permutations(range(n))))
    found, _ = gradient_of(NativeKernel(), lesson, lanes, n)
    permuted, _ = gradient_of(NativeKernel(3), lesson, lanes[order], n)
    np.testing.assert_array_equal(permuted, found[order])


@pytest.mark.parametrize("inputs", [3, 9, 30])
def test_native_and_reference_gradients_agree(inputs):
    """Values, symbols as columns and as rows; every layer, wiring and gradient.

    The sums are of float32 and of at most 80 terms: five digits of the largest.
    """
    layers = (Cell(2, 2), Cell(1, 3, forget_gate=True), Simple(4), Simple(4, f="tanh"))
    names = ("truncated", "bptt", "bptt:3", "bptt:3:2", "rtrl", "sparse:1", "snap:1", "uoro")
    kind = Kind(symbolic=inputs > 3, classes=inputs > 3, when="all")
    for layer in layers:
        for wiring in ("full", "layered") if isinstance(layer, Cell) else ("direct", "united"):
            network = Network(inputs, 2, layer, wiring=wiring, bias="all")
            rng = np.random.default_rng(inputs)
            parts = [drawn_data(network, rng, kind, rng.integers(1, 20, 4).tolist()), None]
            lanes = Lanes(drawn_weights(network, rng, 2), np.ones(2), np.array([1, 0]), parts)
            for name in names:
                with case(layer, wiring, name):
                    lesson = Lesson(network, Training(0.3), Gradient.named(name))
                    ours, _ = gradient_of(NativeKernel(), lesson, lanes, 2)
                    exact, _ = gradient_of(ReferenceKernel(), lesson, lanes, 2)
                    assert exact.dtype == np.float64
                    largest = np.abs(exact).max()
                    assert largest > 1e-3
                    np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=2e-5 * largest)


# --- buffers that do not fit ---------------------------------------------------------------------


def asked(**changes: Any) -> Call:
    """A call that asks for gradients, with some arguments replaced."""
    rng = np.random.default_rng(0)
    data = [drawn_data(NETWORK, rng, Kind(when="all"), [5, 4]) for _ in range(3)]
    call = caught(NETWORK, Training(0.5, "epoch"), drawn_weights(NETWORK, rng, 3), list(data))
    return call | {"gradients": np.zeros((3, NETWORK.n_weights), np.float32)} | changes


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def test_buffers_that_do_not_fit():
    shape = (3, NETWORK.n_weights)
    wrong = {
        "a lane too few": np.zeros((2, shape[1]), np.float32),
        "a weight too many": np.zeros((3, shape[1] + 1), np.float32),
        "flat": np.zeros(shape[0] * shape[1], np.float32),
        "float64": np.zeros(shape),
        "columns first": np.zeros(shape, np.float32, order="F"),
        "every other column": np.zeros((3, 2 * shape[1]), np.float32)[:, ::2],
        "read-only": read_only(np.zeros(shape, np.float32)),
        "no array": [[0.0] * shape[1]] * 3,
    }
    run(asked())
    for name, gradients in wrong.items():
        with case(name), pytest.raises((ValueError, TypeError)):
            run(asked(gradients=gradients))


def test_buffers_that_overlap_others():
    call = asked()
    for name, buffer in {"weights": call["weights"], "next lane": None}.items():
        if buffer is None:
            flat = np.zeros((4, NETWORK.n_weights), np.float32)
            call, buffer = call | {"weights": flat[1:]}, flat[:3]
        before = call["weights"].copy()
        with case(name), pytest.raises(ValueError, match="share memory"):
            run(call | {"gradients": buffer})
        np.testing.assert_array_equal(call["weights"], before)


def test_gradients_need_constant_weights():
    for changes in ({"update": "step"}, {"update": "sequence"}):
        with case(changes), pytest.raises(ValueError, match="update 'epoch'"):
            run(asked(**changes))
    with pytest.raises(ValueError, match="expected none unless learning"):
        run(asked(learn=False))


def test_arguments_are_checked_as_in_learning():
    data = drawn_data(NETWORK, np.random.default_rng(0), Kind(when="all"), [5])
    weights, start = drawn_weights(NETWORK, np.random.default_rng(0)), np.zeros(1, np.int64)
    with pytest.raises(ShapeError, match="weights"):
        NativeKernel().gradient(NETWORK, Training(0.5), weights.astype(float), start, [data])
    sparse = Network(3, 2, Simple(4), wiring="sparse")
    with pytest.raises(SettingError, match="'sparse'"):
        NativeKernel().gradient(sparse, Training(0.5), weights, start, [data])
