"""Learning that diverges: it stops, changes nothing more, and can be restored."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Streaming
from carrousel.errors import DivergedError
from carrousel.kernels import NativeStream
from support.kernels.stream_cases import case_of

pytestmark = pytest.mark.native

INPUTS, OUTPUTS = 3, 2
NETWORK = Network(INPUTS, OUTPUTS, Cell(2, 2, forget_gate=True), wiring="cells", bias="all")


def test_learning_that_diverges_stops():
    """The step at which learning with a huge rate diverges keeps the state that streams share.

    If its outputs are finite, but not its errors, the stream has advanced.
    """
    case = case_of(NETWORK, Streaming(optimizer="sgd", rate=1e20), n=60)
    kernel = case.native()
    with pytest.raises(DivergedError, match=r"no longer finite.*smaller rate") as caught:
        case.run(kernel)
    row, outputs = caught.value.row, caught.value.outputs
    assert row is not None
    assert 0 < row < 60
    assert outputs is not None
    assert outputs.shape == (row, OUTPUTS)
    assert np.isfinite(outputs).all()
    state = kernel.state()
    weights = [state[name] for name in ("hidden", "output")]
    assert kernel.finite == all(np.isfinite(each).all() for each in weights)
    for _ in range(2):  # repeated calls raise again
        with pytest.raises(DivergedError):
            case.run(kernel, case.rows[row:])
    after = kernel.state()
    for name in ("hidden", "output", "hidden_first", "inputs", "targets", "changes"):
        np.testing.assert_array_equal(after.get(name), state.get(name), err_msg=name)


def test_an_error_that_overflows_inside_the_cells_is_not_learned():
    """The output and its error are finite; times a huge output weight the error is not."""
    network = Network(1, 1, Cell(1, 1, forget_gate=True), wiring="cells", bias="all")
    weights = np.zeros(network.n_weights, np.float32)
    network.views(weights)["output_cells"][...] = 3e38
    kernel = NativeStream(network, Streaming(optimizer="sgd", rate=0.1, clip=100.0), weights)
    assert np.isfinite(kernel.advance(0, np.array([1.0]))).all()
    with pytest.raises(DivergedError):
        kernel.learn(0, np.array([50.0]))
    np.testing.assert_array_equal(kernel.weights, weights)


def test_restore_after_divergence():
    case = case_of(NETWORK, Streaming(optimizer="sgd", rate=0.1), n=20)
    kernel = case.native()
    case.run(kernel)
    state = kernel.state()
    wanted = case.run(kernel)
    kernel.restore(state)
    kernel.rate = 1e25
    with pytest.raises(DivergedError):
        case.run(kernel)
    kernel.restore(state)
    kernel.rate = 0.1
    np.testing.assert_array_equal(case.run(kernel), wanted)
