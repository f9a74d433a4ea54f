"""Updates by ``learn``: when weights change, and by how much.

All tests run on all kernels, each compared within its own precision.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Gradient, Kernel, Network, Simple, Training, Update
from carrousel.kernels import NativeKernel, ReferenceKernel
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import Kind, When, drawn_data, seeds
from support.kernels.third_opinion import BIASED, STRUCTURES, cases_in, expected, learned, online

KERNELS: list[Kernel] = [ReferenceKernel(), ReferenceKernel(np.float32), NativeKernel()]
kernels = pytest.mark.parametrize(
    "kernel", KERNELS, ids=lambda kernel: f"{kernel.name}-{kernel.dtype.__name__}"
)
FOLLOWED = ["truncated", "immediate", "bptt", "rtrl", "sparse:1", "bptt:2", "bptt:3:2"]
"""Gradients that every kernel supports."""

ALL = [*FOLLOWED, "snap:1", "uoro"]
SAMPLE = [
    (Cell(2, 1, forget_gate=True), "full", "all"),
    (Cell(1, 2, output_gate=False), "full", "gates"),
    (Cell(1, 2), "layered", "hidden"),
    (Simple(3), "direct", "all"),
    (Simple(3, "tanh"), "united", "hidden"),
]
"""One structure of each kind."""
samples = each("cell, wiring, bias", SAMPLE)


def assert_near(kernel: Kernel, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Compare up to roundings of the kernel's precision.

    Weights of size 1 are rounded at each update. An update sums about a hundred products of factors
    of a few units, each with one rounding.
    """
    off = 256 * float(np.finfo(kernel.dtype).eps)
    np.testing.assert_allclose(ours, theirs, rtol=off, atol=off)


def batch(network: Network, seed: int, lengths: list[int], when: When = "some") -> Sequences:
    return drawn_data(network, np.random.default_rng(seed), Kind(when=when), lengths)


def weights_of(network: Network, seed: int) -> np.ndarray:
    drawn = np.random.default_rng([seed, 1]).normal(0, 0.5, network.n_weights)
    return drawn.astype(np.float32).astype(np.float64)


def change_expected(network, training, flat, data, gradient: str) -> np.ndarray:
    """Return the weights after a batch, computed from shares."""
    flat, named, waiting = flat.copy(), Gradient.named(gradient), np.zeros_like(flat)
    for n in range(len(data)):
        [case] = cases_in(network, training, flat, data[n : n + 1])
        if training.update == "step":
            flat = online(case, training.rate, named)
            continue
        waiting += training.rate * expected(case, named)
        if training.update == "sequence":
            flat, waiting = flat + waiting, np.zeros_like(flat)
    return flat + waiting


@kernels
@pytest.mark.parametrize("gradient", FOLLOWED)
@each("update", ["sequence", "epoch"])
@samples
def test_updates_per_sequence_and_per_epoch(kernel, cell, wiring, bias, update: Update, gradient):
    network = Network(2, 2, cell, wiring=wiring, bias=bias)
    training = Training(0.5, update, initial_activation=0.5)
    data, flat = batch(network, 3, [4, 1, 6], "mixed"), weights_of(network, 3)
    ours = learned(kernel, network, training, flat, data, gradient)
    theirs = change_expected(network, training, flat, data, gradient)
    assert np.abs(theirs - flat).max() > 1e-3
    assert_near(kernel, ours, theirs)


@kernels
@pytest.mark.parametrize("gradient", ["truncated", "rtrl", "bptt:1", "bptt:2", "bptt:2:2"])
@samples
def test_updates_per_step(kernel, cell, wiring, bias, gradient):
    """Each share is that of the weights at its step.

    Errors go back through the current recurrent weights; over two steps there is no difference.
    """
    network = Network(2, 2, cell, wiring=wiring, bias=bias)
    training = Training(0.5, "step", initial_activation=0.5)
    data, flat = batch(network, 5, [5, 1, 4], "all"), weights_of(network, 5)
    ours = learned(kernel, network, training, flat, data, gradient)
    theirs = change_expected(network, training, flat, data, gradient)
    assert_near(kernel, ours, theirs)
    at_its_end = Training(0.5, "sequence", initial_activation=0.5)
    offline = change_expected(network, at_its_end, flat, data, gradient)
    assert np.abs(theirs - offline).max() > 1e-4


@kernels
@each("gradient", [name for name in ALL if name != "bptt"])
def test_one_target_at_the_end_is_one_update(kernel, gradient):
    """``step`` and ``sequence`` then differ by roundings alone, also for ``bptt`` of bounded depth.

    Compiled lanes round a product before they add it to a gradient, but not to a weight.
    """
    network = Network(2, 1, Cell(1, 2, forget_gate=True), bias="all")
    data, flat = batch(network, 8, [6, 3, 5], "end"), weights_of(network, 8)
    ends = [
        learned(kernel, network, Training(0.5, update), flat, data, gradient,
                np.random.default_rng(1))
        for update in ("step", "sequence")
    ]  # fmt: skip
    assert_near(kernel, ends[0], ends[1])
    assert np.abs(ends[0] - flat).max() > 1e-3


@kernels
@settings(max_examples=40)
@given(st.sampled_from(BIASED), st.sampled_from(["sequence", "epoch"]), st.booleans(), seeds)
def test_rtrl_and_bptt_learn_the_same(kernel, structure, update, derivative, seed):
    """RTRL and BPTT are equal while weights are constant."""
    cell, wiring, bias = structure
    network = Network(2, 2, cell, wiring=wiring, bias=bias)
    derivative = derivative or network.united
    training = Training(0.5, update, derivative, initial_activation=-0.75)
    data, flat = batch(network, seed, [3, 9, 1, 5], "mixed"), weights_of(network, seed)
    forwards, backwards, bounded = (
        learned(kernel, network, training, flat, data, gradient)
        for gradient in ("rtrl", "bptt", "bptt:9:4")
    )
    assert_near(kernel, forwards, backwards)
    assert_near(kernel, bounded, backwards)
    if kernel.dtype is np.float64:
        np.testing.assert_allclose(forwards, backwards, rtol=1e-11, atol=1e-11)


@kernels
@each(
    "gradient, update",
    [(name, update) for name in ALL for update in ("sequence", "step")[: 1 + (name != "bptt")]],
)
def test_results_do_not_depend_on_slicing(kernel, gradient, update):
    """A batch may be passed in parts, random signs included."""
    network = Network(2, 1, Cell(1, 2, forget_gate=True), bias="all")
    training, data = Training(0.5, update), batch(network, 2, [4, 3, 6, 2])
    flat = weights_of(network, 2).astype(kernel.dtype)
    rng = np.random.default_rng(9)
    at_once = learned(kernel, network, training, flat, data, gradient, np.random.default_rng(9))
    for part in (data[:1], data[1:3], data[3:]):
        flat = learned(kernel, network, training, flat, part, gradient, rng)
    np.testing.assert_array_equal(flat, at_once)


@kernels
@each("gradient", ALL)
def test_lanes_are_independent(kernel, gradient):
    """Each has separate weights, data, rates and random signs; an idle lane does not change."""
    network = Network(2, 2, Simple(3), wiring="direct", bias="all")
    lanes = [batch(network, seed, [5, 2]) for seed in range(3)]
    flat = np.array([weights_of(network, seed) for seed in range(4)])
    rates, weights = np.array([0.1, 0.2, 0.7, 0.4], kernel.dtype), flat.astype(kernel.dtype)
    kernel.learn(
        network, Training(1.0), weights, rates, np.zeros(4, np.int64), [*lanes, None],
        Gradient.named(gradient), [np.random.default_rng(lane) for lane in range(4)],
    )  # fmt: skip
    for lane, data in enumerate(lanes):
        training = Training(float(rates[lane]))
        rng = np.random.default_rng(lane)
        alone = learned(kernel, network, training, flat[lane], data, gradient, rng)
        np.testing.assert_array_equal(weights[lane], alone)
    np.testing.assert_array_equal(weights[3], flat[3])


@kernels
@each("gradient", ALL)
def test_only_outputs_learn_before_cells_are_added(kernel, gradient):
    network = Network(2, 2, Simple(3), wiring="direct", bias="all")
    flat = weights_of(network, 4).astype(kernel.dtype)[None]
    before, data = network.views(flat.copy()), batch(network, 4, [5, 2, 4], "all")
    kernel.learn(
        network, Training(0.5), flat, np.full(1, 0.5, kernel.dtype), np.array([3]), [data],
        Gradient.named(gradient), [np.random.default_rng(1)],
    )  # fmt: skip
    for name, part in network.views(flat).items():
        assert np.any(part != before[name]) == (name in ("output_inputs", "output_bias")), name


@kernels
@each("gradient", ALL)
@each("cell, wiring", STRUCTURES[::5])
def test_diverged_weights_give_nan_errors(kernel, cell, wiring, gradient):
    """There is no exception and no warning.

    The largest finite rate saturates a network, which may stay finite. An infinite rate does not;
    compiled lanes refuse it.
    """
    network, largest = Network(2, 1, cell, wiring=wiring), np.finfo(kernel.dtype).max
    for rate in (largest, np.inf) if kernel.name == "reference" else (largest,):
        data, weights = batch(network, 1, [4] * 6, "all"), weights_of(network, 1)[None]
        weights = weights.astype(kernel.dtype)
        [errors] = kernel.learn(
            network, Training(1.0), weights, np.full(1, rate, kernel.dtype), np.array([0]), [data],
            Gradient.named(gradient), [np.random.default_rng(1)],
        )  # fmt: skip
        assert errors is not None
        np.testing.assert_array_equal(errors.n_values, 4)
        assert np.isfinite(errors.max_abs[0])
        assert (rate == largest) or np.isnan(errors[1:].max_abs).all()
        kernel.predict(network, Training(1.0), weights, np.array([0]), [data])
