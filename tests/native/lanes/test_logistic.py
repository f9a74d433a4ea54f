"""The error of the logistic function against float64, in units in the last place."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Training
from carrousel.kernels import NativeKernel, instruction_sets
from carrousel.kernels.reference.layers import logistic
from carrousel.sequences import Sequences

pytestmark = pytest.mark.native


def native_logistic(x: np.ndarray, instruction_set: str) -> np.ndarray:
    """Outputs of a network whose only weight other than zero leads from input to output."""
    network = Network(1, 1, Cell(1, 1), wiring="layered")
    weights = np.zeros((1, network.n_weights), np.float32)
    network.views(weights)["output_inputs"][:] = 1.0
    data = Sequences(
        inputs=x[:, None],
        n_inputs=1,
        offsets=np.array([0, len(x)]),
        targets=np.zeros((len(x), 1), np.float32),
        n_outputs=1,
        target_steps=np.arange(len(x)),
    )
    kernel = NativeKernel(instruction_set=instruction_set)
    (outputs,) = kernel.predict(network, Training(rate=0.0), weights, np.zeros(1, int), [data])
    assert outputs is not None
    return outputs[:, 0]


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_error_in_units_in_the_last_place(instruction_set):
    """Limits are those that ``native/common/pointwise.h`` states."""
    rng = np.random.default_rng(1997)
    for most in (0.01, 1.0, 8.0, 87.0):
        x = np.concatenate([rng.uniform(-most, most, 200_000), [most, -most, 0.0]])
        x = x.astype(np.float32)
        exact = logistic(x.astype(np.float64))
        ulp = np.spacing(exact.astype(np.float32)).astype(np.float64)
        error = np.abs(native_logistic(x, instruction_set) - exact) / ulp
        limit = 2.0 + np.where(x < -1.0, np.abs(x) / 4.0, 0.0)
        assert (error < limit).all(), (most, x[error >= limit], error[error >= limit])


@pytest.mark.parametrize("instruction_set", instruction_sets())
def test_saturation(instruction_set):
    x = np.array([88.0, 1e4, 3e38, -88.0, -1e4, -3e38], np.float32)
    y = native_logistic(x, instruction_set)
    np.testing.assert_array_equal(y[:3], 1.0)
    np.testing.assert_array_equal(y[3:], y[3])
    assert 0.0 < y[3] < 1e-37
