"""Invalid calls of compiled lanes: one of our exceptions, and unchanged weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.contracts import Cell, Gradient, Network, RateFactors, Simple, Training
from carrousel.errors import CarrouselError, DataError, SettingError, ShapeError, UnknownNameError
from carrousel.kernels import NativeKernel, instruction_set, instruction_sets
from carrousel.kernels.native import lane_gradients
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import Kind, drawn_data, drawn_weights

pytestmark = pytest.mark.native

NETWORK = Network(3, 2, Cell(2, 1), bias="all")
W = NETWORK.n_weights


def good() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "network": NETWORK,
        "training": Training(0.5),
        "weights": drawn_weights(NETWORK, rng, 2),
        "rates": np.ones(2, np.float32),
        "cells_from": np.zeros(2, np.int64),
        "data": [drawn_data(NETWORK, rng, Kind(when="all"), [3, 2]) for _ in range(2)],
    }


def one(**changes: Any) -> Sequences:
    return dataclasses.replace(good()["data"][0], **changes)


def refused(error: type[CarrouselError], match: str, *, predict: bool = True, **changes: Any):
    call = {**good(), **changes}
    before = np.array(call["weights"], copy=True)
    with pytest.raises(error, match=match):
        NativeKernel().learn(**call)
    if predict:
        del call["rates"]
        with pytest.raises(error, match=match):
            NativeKernel().predict(**call)
    np.testing.assert_array_equal(np.array(call["weights"]), before)


def read_only() -> np.ndarray:
    weights = np.zeros((2, W), np.float32)
    weights.setflags(write=False)
    return weights


@each(
    "weights, match",
    [
        (np.zeros((2, W)), "contiguous float32, got float64"),
        (np.zeros((2, W), ">f4"), "contiguous float32"),
        (np.asfortranarray(np.zeros((2, W), np.float32)), "contiguous"),
        (np.zeros((4, W), np.float32)[::2], "contiguous"),
        (np.zeros((2, W + 1), np.float32), rf"shape \(2, {W + 1}\), expected .* = \(2, {W}\)"),
        (np.zeros((3, W), np.float32), "shape"),
        (np.zeros(W, np.float32), "shape"),
        (np.zeros((2, W)).tolist(), "list"),
        (None, "NoneType"),
        (read_only(), "read-only; pass a writable copy"),
    ],
)
def test_weights(weights, match):
    refused(ShapeError, match, weights=weights)


@each("name", ["rates", "cells_from"])
@each("value", [np.ones(3), np.ones((2, 1)), 1.0, None, []])
def test_shapes_of_rates_and_cells_from(name, value):
    refused(ShapeError, f"{name} has shape", predict=name != "rates", **{name: value})


@each("rate", [np.nan, np.inf, -np.inf])
def test_non_finite_rates(rate):
    rates = np.array([0.5, rate], np.float32)
    refused(DataError, "rates must be finite in float32", rates=rates, predict=False)


@each(
    "part, match",
    [
        (one(inputs=np.full((5, 3), np.nan, np.float32)), "inputs are not finite"),
        (one(inputs=np.full((5, 3), -np.inf, np.float32)), "inputs are not finite"),
        (one(inputs=np.array([0, 1, 2, 3, 0], np.int32)), r"outside the alphabet 0\.\.2"),
        (one(inputs=np.array([0, 1, 2, -1, 0], np.int32)), r"outside the alphabet 0\.\.2"),
    ],
)
def test_inputs(part, match):
    refused(DataError, r"data\[0\]: .*" + match, data=[part, part])


@each(
    "part, match",
    [
        (one(targets=np.full((5, 2), np.nan, np.float32)), "targets are not finite"),
        (one(targets=np.array([0, 1, 2, 1, 0], np.int32)), r"class is outside 0\.\.1"),
        (one(targets=np.array([0, 1, -1, 1, 0], np.int32)), r"class is outside 0\.\.1"),
    ],
)
def test_targets_are_checked_when_learning(part, match):
    """Predicting uses the positions of targets, not their values."""
    refused(DataError, r"data\[0\]: .*" + match, data=[part, part], predict=False)
    call = good()
    del call["rates"]
    expected = NativeKernel().predict(**call)[0]
    outputs = NativeKernel().predict(**{**call, "data": [part, part]})[0]
    np.testing.assert_array_equal(outputs, expected)


@each("n", [0, 1, 3])
def test_number_of_parts(n):
    refused(ShapeError, "shape", data=[one()] * n)


DIFFERENT = [
    [one(), one(inputs=np.zeros(5, np.int32))],
    [one(), one(targets=np.zeros(5, np.int32))],
    [one(inputs=np.zeros((5, 4), np.float32), n_inputs=4)] * 2,
    [one(targets=np.zeros((5, 1), np.float32), n_outputs=1)] * 2,
]


@each("data", DIFFERENT)
def test_lanes_of_different_kind(data):
    refused(CarrouselError, "lanes differ in kind|the network", data=data)


@pytest.mark.parametrize("data", DIFFERENT)
def test_lanes_of_different_kind_are_a_matter_of_shape(data):
    refused(ShapeError, "lanes differ in kind|the network", data=data)


@each("data", [None, 5, "ab", [1, 2], [[1.0], [2.0]], [np.zeros(3)] * 2])
def test_data_of_another_type(data):
    refused(CarrouselError, "Sequences", data=data)


@each(
    "cells_from",
    [np.full(2, 0.5), np.full(2, np.nan), np.full(2, 2**63, np.uint64), np.ones(2, complex)],
)
def test_cells_from_must_be_int64(cells_from):
    refused(CarrouselError, "cells_from", cells_from=cells_from)


def test_rates_beyond_float32():
    refused(CarrouselError, "rate", rates=np.full(2, 1e300), predict=False)


@each("threads", [0, -1, 1025, 10**9, 2**70, 1.5, None, "2", True])
def test_threads(threads):
    with pytest.raises(SettingError, match=r"threads is .* expected a whole number from 1 to 1024"):
        NativeKernel(threads)


@each("name", ["AVX2", "avx1024", "plain ", b"plain", 5])
def test_instruction_sets(name):
    with pytest.raises(UnknownNameError, match="instruction set"):
        NativeKernel(1, name)


def test_the_best_instruction_set_is_the_default():
    assert NativeKernel().instruction_set == instruction_set() == instruction_sets()[0]
    assert NativeKernel(instruction_set="plain").width == 4


@each("data", [[], [None], [None, None]])
def test_empty_calls_are_allowed(data):
    n = len(data)
    weights, start = np.ones((n, W), np.float32), np.zeros(n, np.int64)
    args = (NETWORK, Training(0.5), weights)
    assert NativeKernel().learn(*args, np.ones(n, np.float32), start, data) == data
    assert NativeKernel().predict(*args, start, data) == data
    np.testing.assert_array_equal(weights, 1)


def test_a_huge_network_is_refused_before_allocation():
    """It has 2^48 weights, which are never allocated."""
    huge = Network(1, 1, Cell(4096, 4096))
    weights = np.zeros((0, huge.n_weights), np.float32)
    nothing = np.zeros(0, np.int64)
    assert NativeKernel().predict(huge, Training(0.5), weights, nothing, []) == []
    refused(ShapeError, "expected", network=huge)


def test_partial_reach_within_some_steps(monkeypatch):
    """No wiring of today has it: within two steps, weights influence all units or what they did."""

    def chain(network: Network, steps: int) -> np.ndarray:
        reached = np.zeros((network.cell.n_units + network.cell.n_states, network.cell.n_units))
        reached[:steps] = 1
        return reached.astype(bool)

    monkeypatch.setattr(lane_gradients, "reachable", chain)
    lane_gradients.compiled.cache_clear()
    match = "'snap:2' has no native lanes for this wiring.*; use the ReferenceKernel"
    refused(SettingError, match, predict=False, gradient=Gradient("snap", 2))
    lane_gradients.compiled.cache_clear()


def test_unbounded_back_propagation_at_each_step():
    """Weights would change during the steps that errors go back through."""
    changes = {"gradient": Gradient("bptt"), "training": Training(0.5, "step")}
    refused(
        DataError,
        "depth 0 \\(unbounded\\) cannot update weights at every step",
        predict=False,
        **changes,
    )


def test_unsupported_wirings():
    sparse = Network(3, 2, Simple(4), wiring="sparse")
    weights = np.zeros((2, sparse.n_weights), np.float32)
    refused(SettingError, "kernels run it as 'united'", network=sparse, weights=weights)


def test_united_outputs_without_their_derivative():
    united = Network(3, 2, Simple(4), wiring="united")
    weights = np.zeros((2, united.n_weights), np.float32)
    training = Training(0.5, output_derivative=False)
    refused(
        DataError,
        "expected true for united outputs",
        network=united,
        weights=weights,
        training=training,
    )


def test_factors_beyond_float32():
    training = Training(0.5, factors=RateFactors(recurrent=1e300))
    refused(DataError, "factors are not finite", predict=False, training=training)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_cells_from_and_sign_of_the_rate(cells_from):
    call = {**good(), "cells_from": np.array([cells_from, 0]), "rates": np.array([-0.5, 0.0])}
    before = call["weights"].copy()
    NativeKernel().learn(**call)
    assert np.isfinite(call["weights"]).all()
    np.testing.assert_array_equal(call["weights"][1], before[1])
