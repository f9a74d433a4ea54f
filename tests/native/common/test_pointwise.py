"""The logistic function of every instruction set, over all of float32."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network, Training
from carrousel.kernels import NativeKernel, instruction_sets
from carrousel.kernels.reference.layers import logistic
from carrousel.sequences import Sequences
from support.kernels.roundings import UNIT

pytestmark = pytest.mark.native

every_isa = pytest.mark.parametrize("isa", instruction_sets())
# One direct connection of weight 1, and cells that outputs ignore.
NETWORK = Network(1, 1, Cell(1, 1), wiring="layered")


def native_logistic(isa: str, x: np.ndarray) -> np.ndarray:
    weights = np.zeros((1, NETWORK.n_weights), np.float32)
    NETWORK.views(weights)["output_inputs"][:] = 1
    n = len(x)
    data = Sequences(
        inputs=x[:, None],
        n_inputs=1,
        offsets=np.arange(n + 1),
        targets=np.zeros((n, 1), np.float32),
        n_outputs=1,
        target_steps=np.arange(n),
    )
    kernel = NativeKernel(instruction_set=isa)
    [outputs] = kernel.predict(NETWORK, Training(1.0), weights, np.array([n]), [data])
    assert outputs is not None
    return outputs[:, 0].astype(np.float64)


def assert_near(isa: str, x: np.ndarray) -> None:
    """Compare with a relative error of ``2 |x| + 4`` roundings.

    ``exp(-x) = 2^(-x log2(e))``. The constant and the product are rounded to one part in 2^24,
    which changes the exponent by ``|x|`` such parts each. Sum, quotient and power add one or two
    roundings. Results below exp(-80) are denormal.
    """
    exact = logistic(x.astype(np.float64))
    off = np.abs(native_logistic(isa, x) - exact)
    most = (2 * np.abs(x.astype(np.float64)) + 4) * UNIT * exact
    near = off <= np.where(x < -80, np.exp(-80.0), most)
    assert near.all(), (x[~near][:3], off[~near][:3])


@every_isa
def test_from_zero_to_saturation(isa):
    grid = np.linspace(-120, 120, 24_001).astype(np.float32)
    tiny = np.float32(10.0) ** np.arange(-45, 1).astype(np.float32)
    assert_near(isa, np.concatenate([grid, tiny, -tiny, np.array([0.0, -0.0], np.float32)]))


@every_isa
@given(st.lists(st.floats(-(2.0**43), 2.0**43, width=32), min_size=1, max_size=20))
def test_anywhere(isa, x):
    assert_near(isa, np.array(x, np.float32))


@every_isa
def test_huge_net_inputs_saturate(isa):
    """Up to the largest float, so a diverging network outputs 0 and 1 until it overflows."""
    huge = np.geomspace(1e3, 3.4e38, 20_000).astype(np.float32)
    np.testing.assert_array_equal(native_logistic(isa, huge), 1.0)
    np.testing.assert_allclose(native_logistic(isa, -huge), 0.0, atol=float(np.exp(-80.0)))


@every_isa
def test_error_in_units_in_the_last_place(isa):
    """The limits are those that ``native/common/pointwise.h`` states."""
    rng = np.random.default_rng(1997)
    for most in (0.01, 1.0, 8.0, 80.0):
        x = rng.uniform(-most, most, 200_000).astype(np.float32)
        exact = logistic(x.astype(np.float64))
        off = np.abs(native_logistic(isa, x) - exact) / np.spacing(exact.astype(np.float32))
        limit = 2.0 + np.where(x < -1.0, np.abs(x) / 4.0, 0.0)
        assert (off < limit).all(), (most, x[off >= limit][:3], off[off >= limit][:3])
