"""Overlapping arrays and threads that cannot start raise an exception; the process survives."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Training
from support.case import case
from support.drawn import Kind, drawn_data, drawn_weights
from support.kernels.native_calls import Call, caught, run
from support.paths import TESTS

pytestmark = pytest.mark.native

NETWORK = Network(3, 2, Cell(2, 1), bias="all")


def aliased(*, of: str, learn: bool) -> Call:
    """A call of which one output overlaps another array."""
    rng = np.random.default_rng(0)
    data = [drawn_data(NETWORK, rng, Kind(when="all"), [5, 4]) for _ in range(3)]
    weights = drawn_weights(NETWORK, rng, 3)
    call = caught(NETWORK, Training(0.5), weights, list(data), learn=learn)
    name = "sum_abs" if learn else "outputs"
    out = call["data"][1][name]
    source = {
        "the same": lambda: call["data"][0][name],
        "a part of the same": lambda: np.zeros(out.size + 1, np.float32),
        "weights": lambda: call["weights"],
        "inputs": lambda: call["data"][0]["inputs"],
        "offsets": lambda: call["data"][0]["offsets"].view(np.float32),
    }[of]()
    flat = source.reshape(-1)
    if of == "a part of the same":
        call["data"][0][name] = flat[:-1].reshape(out.shape)
        flat = flat[1:]
    call["data"][1][name] = flat[: out.size].reshape(out.shape)
    return call


def test_one_array_as_two_outputs():
    for learn in (True, False):
        with pytest.raises(ValueError, match="share memory"):
            run(aliased(of="the same", learn=learn))


def test_outputs_that_overlap():
    for of in ("a part of the same", "weights", "inputs", "offsets"):
        call = aliased(of=of, learn=True)
        before = call["weights"].copy()
        with case(of), pytest.raises(ValueError, match="share memory"):
            run(call)
        np.testing.assert_array_equal(call["weights"], before)


def run_in_new_process(code: str) -> None:
    """Run code that might crash. The exit code must be 0."""
    code = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_outputs_that_overlap_offsets_do_not_crash():
    run_in_new_process(
        """
        import numpy as np
        from carrousel.contracts import Cell, Network, Training
        from support.drawn import Kind, drawn_data, drawn_weights
        from support.kernels.native_calls import caught, run
        network, rng = Network(3, 1, Cell(2, 1)), np.random.default_rng(0)
        data = drawn_data(network, rng, Kind(when="end"), [5, 4, 3, 2])
        call = caught(network, Training(0.5), drawn_weights(network, rng), [data], learn=False)
        lane = call["data"][0]
        lane["outputs"] = lane["offsets"].view(np.float32)[4:8].reshape(4, 1)
        try:
            run(call)
        except ValueError:
            pass
        """
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to ask")
@pytest.mark.skipif("CARROUSEL_SANITIZED" in os.environ, reason="limits its memory")
def test_threads_that_cannot_start_do_not_crash():
    run_in_new_process(
        """
        import resource
        import numpy as np
        from carrousel.contracts import Cell, Network, Training
        from carrousel.kernels import NativeKernel
        from support.drawn import Kind, drawn_data, drawn_weights
        network, rng = Network(3, 1, Cell(2, 1)), np.random.default_rng(0)
        data = [drawn_data(network, rng, Kind(when="end"), [5])] * 1000
        weights, rates = drawn_weights(network, rng, 1000), np.ones(1000, np.float32)
        status = open("/proc/self/status").read().split("VmSize:")[1]
        now = int(status.split()[0]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (now + 100 * 2**20,) * 2)
        kernel = NativeKernel(200, "plain")
        try:
            kernel.learn(network, Training(0.5), weights, rates, np.zeros(1000, np.int64), data)
        except Exception:
            pass
        """
    )
