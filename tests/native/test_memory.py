"""What the kernels write, and what they leave alone; and that memory does not grow with time."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network, Training
from carrousel.kernels import NativeKernel, instruction_sets
from drawn import Kind, drawn_lanes, drawn_weights, kinds, networks, seeds, trainings
from native_calls import caught, run

pytestmark = pytest.mark.native

WRITTEN = ("max_abs", "sum_abs", "sum_sq", "outputs")
GUARD = 7
PATTERN = np.uint32(0x7FBADBAD)  # a NaN that no arithmetic makes


def guarded(like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An array of NaN like the given one, and the longer buffer it is the middle of."""
    buffer = np.full(like.size + 2 * GUARD, PATTERN, np.uint32)
    return buffer[GUARD : GUARD + like.size].view(np.float32).reshape(like.shape), buffer


@settings(max_examples=60, deadline=None)
@given(
    networks(inputs=st.sampled_from([1, 3, 16, 17]), outputs=st.sampled_from([1, 3, 4, 17])),
    trainings(),
    kinds,
    st.integers(1, 20),
    st.booleans(),
    st.sampled_from(instruction_sets()),
    seeds,
)
def test_every_output_is_written_and_nothing_beside_it(
    network, training, kind, lanes, learn, isa, seed
):
    """Outputs come poisoned with NaN, between guard words; so do the weights, except for NaN."""
    rng = np.random.default_rng(seed)
    data = drawn_lanes(network, rng, kind, lanes=lanes)
    if all(part is None for part in data):
        return
    weights, weights_buffer = guarded(np.zeros((lanes, network.n_weights)))
    weights[:] = drawn_weights(network, rng, lanes)
    before = weights.copy()
    kernel = NativeKernel(instruction_set=isa)
    call = caught(network, training, weights, data, learn=learn, kernel=kernel)
    poisoned = {}
    for lane, arrays in enumerate(call["data"]):
        for name in WRITTEN:
            if arrays is not None and name in arrays:
                arrays[name], poisoned[lane, name] = guarded(arrays[name])
    run(call)
    for (lane, name), buffer in poisoned.items():
        edges = np.concatenate([buffer[:GUARD], buffer[-GUARD:]])
        np.testing.assert_array_equal(edges, PATTERN, err_msg=f"around {name}")
        assert np.isfinite(call["data"][lane][name]).all(), name
    edges = np.concatenate([weights_buffer[:GUARD], weights_buffer[-GUARD:]])
    np.testing.assert_array_equal(edges, PATTERN)
    untouched = [part is None or not learn for part in data]
    same = (weights.view(np.uint32) == before.view(np.uint32)).all(axis=1)
    assert same[untouched].all()


@settings(max_examples=25, deadline=None)
@given(networks(), kinds, st.booleans(), seeds)
def test_inputs_are_only_read(network, kind, learn, seed):
    rng = np.random.default_rng(seed)
    data = drawn_lanes(network, rng, kind, lanes=3, idle=0.0)
    call = caught(network, Training(0.5), drawn_weights(network, rng, 3), data, learn=learn)
    read = [call["rates"], call["cells_from"]]
    read += [arrays[name] for arrays in call["data"] for name in arrays if name not in WRITTEN]
    before = [array.copy() for array in read]
    for array in read:
        array.setflags(write=False)
    run(call)
    for array, copy in zip(read, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_errors_are_poison_free_through_the_public_door():
    """The arrays NativeKernel hands out are not cleared when allocated; nothing of that shows."""
    rng = np.random.default_rng(0)
    network = Network(3, 2, Cell(1, 1))
    data = drawn_lanes(network, rng, Kind(when="none"), lanes=5, idle=0.0)
    weights, start = drawn_weights(network, rng, 5), np.zeros(5, np.int64)
    for errors in NativeKernel().learn(
        network, Training(0.5), weights, np.ones(5, np.float32), start, data
    ):
        assert errors is not None
        np.testing.assert_array_equal(np.array(tuple(errors)), 0)


PEAK = """
import resource, sys
import numpy as np
from carrousel.contracts import Cell, Network, Training
from carrousel.kernels import NativeKernel
from carrousel.sequences import Sequences

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

T, kernel = int(sys.argv[1]), NativeKernel()
network = Network(2, 1, Cell(2, 2), bias="all")
data = [Sequences.from_lists([np.full((T, 2), 0.5, np.float32)], [[1.0]])] * 16
weights = np.full((16, network.n_weights), 0.01, np.float32)
before = peak()
args = np.full(16, 0.1, np.float32), np.zeros(16, np.int64)
kernel.learn(network, Training(0.1), weights, *args, data)
kernel.predict(network, Training(0.1), weights, args[1], data)
print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc to ask")
@pytest.mark.skipif("CARROUSEL_SANITIZED" in os.environ, reason="the sanitizer's memory grows")
def test_peak_memory_does_not_grow_with_time():
    """A tape of 100,000 steps of 16 nets would take 51 MB for the cells' states and gates alone."""

    def grown(steps: int) -> int:
        command = [sys.executable, "-c", textwrap.dedent(PEAK), str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert grown(100_000) - grown(100) < 4_000_000
