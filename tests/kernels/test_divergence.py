"""Diverged weights (NaN) must show as NaN in the errors."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import Cell, Kernel, Network, Training, Wiring
from carrousel.kernels import NativeKernel, ReferenceKernel, instruction_sets
from carrousel.sequences import Sequences
from support.case import each
from support.drawn import UPDATES, WIRINGS

pytestmark = [pytest.mark.native, pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")]

KERNELS = [
    pytest.param(ReferenceKernel(), id="float64"),
    pytest.param(ReferenceKernel(np.float32), id="float32"),
    *[pytest.param(NativeKernel(instruction_set=name), id=name) for name in instruction_sets()],
]


def with_targets(network: Network, steps: list[int]) -> Sequences:
    """Five steps of symbols, with a target of ones at each of the given steps."""
    return Sequences(
        inputs=np.arange(5, dtype=np.int32) % network.n_inputs,
        n_inputs=network.n_inputs,
        offsets=np.array([0, 5]),
        targets=np.ones((len(steps), network.n_outputs), np.float32),
        n_outputs=network.n_outputs,
        target_steps=np.array(steps),
    )


@pytest.mark.parametrize("kernel", KERNELS)
@each("update", UPDATES)
@each("inputs", [3, 20])
@each("wiring", WIRINGS)
@each("nan_output", [0, 1, 19])
def test_a_nan_error_stays_nan(kernel: Kernel, nan_output: int, wiring: Wiring, inputs, update):
    """For any output, and any later targets in this lane and in others."""
    network = Network(inputs, 20, Cell(1, 1), wiring=wiring)
    weights = np.full((3, network.n_weights), 0.1, kernel.dtype)
    network.views(weights)["output_cells"][0, nan_output] = np.nan
    data = [with_targets(network, steps) for steps in ([1], [1, 2, 4], [4])]
    rates, start = np.zeros(3, kernel.dtype), np.zeros(3, np.int64)
    errors = kernel.learn(network, Training(0.0, update), weights, rates, start, list(data))
    diverged, *others = (each for each in errors if each is not None)
    np.testing.assert_array_equal([diverged.max_abs, diverged.sum_abs, diverged.sum_sq], np.nan)
    assert np.isfinite(others).all()
