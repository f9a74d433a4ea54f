"""Theorems about error inside a cell: section 3 and appendix A.2 of the paper."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import Cell, Kernel, Network, Training
from carrousel.kernels import NativeKernel, ReferenceKernel, instruction_sets
from carrousel.kernels.reference.layers import Weights
from carrousel.kernels.reference.truncated import advance, begin
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import WIRINGS
from support.kernels.second_opinion import Start, play, slope

KERNELS: list[Kernel] = [ReferenceKernel(), ReferenceKernel(np.float32)]
KERNELS += [NativeKernel(instruction_set=name) for name in instruction_sets()]
NAMES = [getattr(kernel, "instruction_set", kernel.dtype.__name__) for kernel in KERNELS]
kernels = pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)


@each("wiring", WIRINGS)
@each("lag", [1, 2, 10, 1000])
def test_the_jacobian_of_a_cell_state_is_exactly_one(wiring, lag):
    """(30): ds(t)/ds(t-q) is exactly 1.0 on the truncated graph, for any q.

    The perturbation of one state is an imaginary part. Truncation makes recurrent activations
    constants, so they are reset to real numbers at every step.
    """
    rng = np.random.default_rng(5)
    network = Network(2, 1, Cell(2, 2, h="identity"), wiring=wiring)
    w = Weights.unpack(network, rng.normal(0, 0.5, network.n_weights))
    state = begin(network, Training(rate=1.0), np.float64)
    state.s = rng.normal(0, 1, 4) + 1j * np.array([1.0, 0.0, 0.0, 0.0])
    for _ in range(lag):
        advance(network, w, state, rng.normal(0, 1, 2))
        state.y = np.real(state.y)
    np.testing.assert_array_equal(np.imag(state.s), [1.0, 0.0, 0.0, 0.0])


def unit_rate_change(
    kernel: Kernel, network: Network, training: Training, flat: np.ndarray, data: Sequences
) -> np.ndarray:
    """Return minus the gradient ``[W]`` of one batch by a kernel."""
    weights = flat[None].astype(kernel.dtype)
    before = weights.copy()
    rates = np.full(1, training.rate, kernel.dtype)
    kernel.learn(network, training, weights, rates, np.array([0]), [data])
    return (weights - before)[0].astype(np.float64) / training.rate


@pytest.mark.native
@kernels
@each("wiring", ["full", "layered"])
@each("lag", [0, 1, 2, 7, 8, 9, 60])
def test_error_is_scaled_only_at_entry_and_exit(kernel, wiring, lag):
    """(41): the factors are y_out h'(s) at entry (step t) and g' y_in or g f'_in at exit (t - q).

    One symbol occurs only at step t - q, so its weights change by this path alone. They start at
    zero, so that float32 stores their change without loss. The other weights are small and in pairs
    of opposite sign, because h has no slope left in a state that drifts far.
    """
    cue, steps = 4, lag + 4
    network = Network(5, 1, Cell(2, 2), wiring=wiring)
    training = Training(rate=0.5)
    rng = np.random.default_rng([lag, 1])
    flat = rng.normal(0, 0.3, network.n_weights).astype(np.float32).astype(np.float64)
    views = network.views(flat)
    views["hidden_inputs"][:, 1:4:2] = -views["hidden_inputs"][:, 0:4:2]
    views["hidden_inputs"] *= 0.4
    views["hidden_inputs"][:, cue] = 0.0
    if wiring == "full":
        views["hidden_recurrent"] *= 0.25
    symbols = rng.integers(0, cue, steps, dtype=np.int32)
    symbols[3] = cue
    data = Sequences.from_lists([symbols], [[0.9]], n_inputs=5)
    found = unit_rate_change(kernel, network, training, flat, data)

    start = Start.fresh(network, training)
    tape = play(network, flat, data.dense_inputs().astype(np.float64), start)
    enters, leaves = tape[-1], tape[3]
    error = (float(data.targets[0, 0]) - enters.y_k[0]) * enters.y_k[0] * (1 - enters.y_k[0])
    back = network.views(flat)["output_cells"][0] * error
    inside = np.repeat(enters.y_out, 2) * slope("[-1,1]", enters.s) * back
    by_cell = slope("[-2,2]", leaves.net_cell) * np.repeat(leaves.y_in, 2)
    by_gate = leaves.g * np.repeat(leaves.y_in * (1 - leaves.y_in), 2)
    into = network.views(found)["hidden_inputs"][:, cue]
    # A state of up to 64 summands below 1 is off by 64 roundings at most, h' relatively by as much
    # (|h''| < |h'|), and 1 - |h| above 1/80 by another 80; a value of g near 0 keeps the roundings
    # of its range, 4, against others of size 0.1: 200 roundings of the largest value, and some.
    assert np.abs(enters.s).max() < 5
    for ours, theirs in (
        (into[2:6], inside * by_cell),
        (into[:2], (inside * by_gate).reshape(2, 2).sum(axis=1)),
    ):
        off = 250 * np.finfo(kernel.dtype).eps * np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=off)


@pytest.mark.native
@kernels
def test_the_error_does_not_depend_on_the_lag(kernel):
    """After a cue and silence, the change of weights is bit-identical for every lag.

    The silent symbol has zero weights, and layered wiring has no other influence on the state.
    """
    network = Network(2, 1, Cell(1, 1), wiring="layered")
    flat = np.random.default_rng(2).normal(0, 1, network.n_weights).astype(np.float32)
    network.views(flat)["hidden_inputs"][:, 1] = 0.0
    network.views(flat)["output_inputs"][:] = 0.0
    changes = []
    for lag in (1, 2, 7, 8, 9, 100, 1000):
        data = Sequences.from_lists([[0] + [1] * lag], [[1.0]], n_inputs=2)
        found = unit_rate_change(kernel, network, Training(rate=1.0), flat, data)
        changes.append(network.views(found)["hidden_inputs"][:2, 0])
    assert np.all(changes[0])
    np.testing.assert_array_equal(changes, [changes[0]] * len(changes))


@pytest.mark.native
@kernels
def test_traces_move_at_steps_without_target(kernel):
    """(25) and (27) apply at every step: the error of a late target reaches the first input."""
    network = Network(3, 1, Cell(1, 1), wiring="layered")
    flat = np.random.default_rng(4).normal(0, 1, network.n_weights)
    late = Sequences.from_lists([[2, 0, 1, 0, 1]], [[1.0]], n_inputs=3)
    found = unit_rate_change(kernel, network, Training(rate=1.0), flat, late)
    assert np.all(network.views(found)["hidden_inputs"][:2])
