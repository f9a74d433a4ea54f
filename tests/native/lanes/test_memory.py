"""Kernels write all of their outputs and nothing else, and memory does not grow with time."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import TRUNCATED, Cell, Gradient, Network, Simple, Training
from carrousel.errors import DataError
from carrousel.kernels import NativeKernel, gradient_numbers, instruction_sets
from carrousel.sequences import Sequences
from support.drawn import (
    Kind,
    Lesson,
    drawn_lanes,
    drawn_weights,
    kinds,
    lessons,
    networks,
    seeds,
    trainings,
)
from support.kernels.native_calls import caught, run

pytestmark = pytest.mark.native

WRITTEN = ("max_abs", "sum_abs", "sum_sq", "outputs")
GUARD = 7
PATTERN = np.uint32(0x7FBADBAD)  # a NaN that arithmetic does not produce


def guarded(like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An array of NaN like the given one, and the longer buffer that contains it."""
    buffer = np.full(like.size + 2 * GUARD, PATTERN, np.uint32)
    return buffer[GUARD : GUARD + like.size].view(np.float32).reshape(like.shape), buffer


INPUTS, OUTPUTS = st.sampled_from([1, 3, 16, 17]), st.sampled_from([1, 3, 4, 17])
CLASSIC = networks(inputs=INPUTS, outputs=OUTPUTS)
ANYTHING = st.one_of(
    st.builds(Lesson, CLASSIC, trainings(), st.just(TRUNCATED)),
    lessons(inputs=INPUTS, outputs=OUTPUTS),
)


@settings(max_examples=120, deadline=None)
@given(
    ANYTHING,
    kinds,
    st.integers(1, 20),
    st.booleans(),
    st.sampled_from(instruction_sets()),
    seeds,
)
def test_outputs_are_written_within_their_bounds(lesson, kind, lanes, learn, isa, seed):
    """Outputs hold NaN before the call. Guard words surround outputs and weights."""
    rng, (network, training, gradient) = np.random.default_rng(seed), lesson
    data = drawn_lanes(network, rng, kind, lanes=lanes)
    if all(part is None for part in data):
        return
    weights, weights_buffer = guarded(np.zeros((lanes, network.n_weights)))
    weights[:] = drawn_weights(network, rng, lanes)
    before = weights.copy()
    kernel = NativeKernel(instruction_set=isa)
    args = (network, training, weights, data)
    call = caught(*args, learn=learn, kernel=kernel, gradient=gradient)
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
@given(ANYTHING, kinds, st.booleans(), seeds)
def test_inputs_are_only_read(lesson, kind, learn, seed):
    rng, (network, training, gradient) = np.random.default_rng(seed), lesson
    data = drawn_lanes(network, rng, kind, lanes=3, idle=0.0)
    weights = drawn_weights(network, rng, 3)
    call = caught(network, training, weights, data, learn=learn, gradient=gradient)
    read = [call["rates"], call["cells_from"]]
    read += [arrays[name] for arrays in call["data"] for name in arrays if name not in WRITTEN]
    before = [array.copy() for array in read]
    for array in read:
        array.setflags(write=False)
    run(call)
    for array, copy in zip(read, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_errors_without_targets_are_zero():
    """NativeKernel allocates its arrays without clearing them."""
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
from carrousel.contracts import Cell, Gradient, Network, Training
from carrousel.kernels import NativeKernel
from carrousel.sequences import Sequences

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

T, gradient, kernel = int(sys.argv[1]), Gradient.named(sys.argv[2]), NativeKernel()
network = Network(2, 1, Cell(2, 2), bias="all")
data = [Sequences.from_lists([np.full((T, 2), 0.5, np.float32)], [[1.0]])] * 16
weights = np.full((16, network.n_weights), 0.01, np.float32)
before = peak()
args = np.full(16, 0.1, np.float32), np.zeros(16, np.int64)
kernel.learn(network, Training(0.1), weights, *args, data, gradient)
kernel.predict(network, Training(0.1), weights, args[1], data)
print(peak() - before)
"""


measures_memory = pytest.mark.skipif(
    "CARROUSEL_SANITIZED" in os.environ or not os.path.exists("/proc/self/status"),
    reason="no /proc to ask, or a sanitizer, whose memory grows",
)


def grown(steps: int, gradient: str) -> int:
    """Growth of a process's peak memory in bytes, while 16 networks learn one sequence."""
    command = [sys.executable, "-c", textwrap.dedent(PEAK), str(steps), gradient]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


@measures_memory
@pytest.mark.parametrize(
    ("gradient", "steps"), [("truncated", 100_000), ("bptt:8:3", 20_000), ("rtrl", 20_000)]
)
def test_peak_memory_does_not_grow_with_time(gradient, steps):
    """A tape of 20,000 steps would take over 10 MB: 16 networks, with states and gates of cells."""
    assert grown(steps, gradient) - grown(100, gradient) < 4_000_000


@measures_memory
def test_size_of_the_tape_of_unbounded_back_propagation():
    """At least the size of ``gradient_numbers``; at most twice that, and an error per cell.

    The networks of one vector share a tape, and vectors follow one another.
    """
    network, steps = Network(2, 1, Cell(2, 2), bias="all"), 10_000
    expected = (
        min(16, NativeKernel().width) * 4 * gradient_numbers(network, Gradient("bptt"), steps)
    )
    found = grown(steps, "bptt") - grown(100, "bptt")
    assert 0.9 * expected < found < 2.5 * expected


@pytest.mark.parametrize("cell", [Simple(4096), Cell(1024, 2, forget_gate=True)])
def test_sensitivities_too_large_for_memory(cell):
    """Sensitivities of 4096 units need more than 1 TiB for the narrowest vector."""
    network = Network(1, 1, cell)
    weights = np.zeros((1, network.n_weights), np.float32)
    data = [Sequences.from_lists([[0.5, 0.5]], [[1.0]])]
    args = (np.ones(1, np.float32), np.zeros(1, np.int64), data, Gradient("rtrl"))
    with pytest.raises(DataError, match="too large: a lane group would need over 1 TiB"):
        NativeKernel().learn(network, Training(0.5), weights, *args)
    np.testing.assert_array_equal(weights, 0)


LIMITED = """
import resource
import numpy as np
from carrousel.contracts import Gradient, Network, Simple, Training
from carrousel.kernels import NativeKernel
from carrousel.sequences import Sequences
network, data = Network(1, 1, Simple(500)), Sequences.from_lists([[0.5, 0.5]], [[1.0]])
weights = np.full((40, network.n_weights), 0.25, np.float32)
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
args = np.ones(40, np.float32), np.zeros(40, np.int64), [data] * 40, Gradient("rtrl")
try:
    NativeKernel(threads=2, instruction_set="plain").learn(network, Training(1.0), weights, *args)
except MemoryError:
    print("refused", bool(np.all(weights == 0.25)))
"""


@measures_memory
def test_failed_allocation_raises_memory_error():
    """Sensitivities need 2 GB, less than the kernels' limit but more than that of the process."""
    command = [sys.executable, "-c", LIMITED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused True\n"), done.stderr[-2000:]
