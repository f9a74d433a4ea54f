"""The state of a native stream: saved and restored exactly, and determined by its rows alone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network, Streaming
from carrousel.kernels import NativeStream, ReferenceStream, instruction_sets
from support.kernels.roundings import CHAOS, MOVES, UNIT
from support.kernels.stream_cases import (
    CERTAIN,
    HEADS,
    MOMENTUM,
    OPTIMIZERS,
    RATES,
    SECOND,
    WIRINGS,
    Rows,
    StreamCase,
    assert_same_state,
    case_of,
    stream_cases,
)
from support.paths import TESTS

pytestmark = pytest.mark.native

dtypes = st.sampled_from([np.float32, np.float64])
places = st.floats(0, 1, exclude_max=True)


def cut(case: StreamCase, share: float) -> tuple[Rows, Rows]:
    """Split the rows after the given share."""
    where = int(share * (len(case.rows) + 1))
    return case.rows[:where], case.rows[where:]


def one_by_one(case: StreamCase, kernel: NativeStream, rows: Rows, by_step: bool) -> np.ndarray:
    """Process rows as ``run`` does, by calls for single rows."""
    outputs = np.zeros((len(rows), case.network.n_outputs))
    for n, stream in enumerate(rows.streams.tolist()):
        x, target = rows.x[n], rows.targets[n]
        there = not np.isnan(target).all()
        if case.targets_first:
            state = kernel.state()
            begun = dict(zip(state["streams"].tolist(), state["flags"].tolist(), strict=True))
            delayed = "pending_counts" in state
            if there and (stream in begun if delayed else begun.get(stream) == 3):
                kernel.learn(stream, target)
            outputs[n] = kernel.advance(stream, x)
        elif by_step:
            outputs[n] = kernel.step(stream, x, target)
        else:
            outputs[n] = kernel.advance(stream, x)
            if there:
                kernel.learn(stream, target)
    return outputs


# --- saved and restored --------------------------------------------------------------------------


@settings(max_examples=60)
@given(stream_cases(), places, dtypes, st.booleans())
def test_a_restored_state_continues_as_before(case, share, dtype, new):
    """In a new kernel, or in one that has processed other rows."""
    before, after = cut(case, share)
    kernel = case.native(dtype=dtype)
    case.run(kernel, before)
    state = kernel.state()
    wanted = case.run(kernel, after)
    end = kernel.state()
    if new:
        kernel = case.native(dtype=dtype)
    kernel.restore(state)
    assert_same_state(kernel.state(), state)
    np.testing.assert_array_equal(case.run(kernel, after), wanted)
    assert_same_state(kernel.state(), end)


@settings(max_examples=30)
@given(stream_cases(), dtypes, st.data())
def test_restore_with_other_streams_in_use(case, dtype, data):
    """Some streams of both kernels wait for a target."""
    kernel, other = case.native(dtype=dtype), case.native(dtype=dtype)
    for one, share in ((kernel, 0.5), (other, 1.0)):
        case.run(one, cut(case, share)[0])
        one.reset(data.draw(st.integers(0, case.n_streams - 1)))
    state = kernel.state()
    other.restore(state)
    assert_same_state(other.state(), state)
    np.testing.assert_array_equal(case.run(other), case.run(kernel))
    assert_same_state(other.state(), kernel.state())


def test_states_work_in_both_precisions_and_every_instruction_set():
    network = Network(3, 2, Cell(3, 2, forget_gate=True), wiring="cells", bias="all")
    case = case_of(network, Streaming(), n_streams=2)
    kernel = case.native(dtype=np.float64)
    case.run(kernel)
    state = kernel.state()
    wanted = case.run(kernel)
    for name in instruction_sets():
        for dtype, near in ((np.float64, 1e-9), (np.float32, 1e-3)):
            other = case.native(dtype=dtype, instruction_set=name)
            other.restore(state)
            np.testing.assert_allclose(case.run(other), wanted, rtol=0, atol=near)


def test_states_are_copies():
    case = case_of(Network(2, 1, Cell(2, 2), wiring="full", bias="all"), Streaming())
    kernel = case.native()
    case.run(kernel)
    state, before = kernel.state(), kernel.state()
    for part in state.values():
        part[...] = 7
    kernel.weights[:] = 7
    assert_same_state(kernel.state(), before)
    taken = kernel.state()
    kernel.restore(taken)
    for part in taken.values():
        part[...] = 7
    assert_same_state(kernel.state(), before)


DIRTY = """
import numpy as np
from carrousel.contracts import Cell, Network, Streaming
from support.kernels.stream_cases import assert_same_state, case_of

network = Network(3, 2, Cell(2, 2, forget_gate=True), wiring="cells", bias="all")
case = case_of(network, Streaming(), n=60, n_streams=2)
first, second = case.native(), case.native()
case.run(first, case.rows[:30])
second.restore(first.state())
np.testing.assert_array_equal(case.run(first), case.run(second))
assert_same_state(first.state(), second.state())
assert second.finite
"""


@pytest.mark.skipif("CARROUSEL_SANITIZED" in os.environ, reason="sanitizers use another malloc")
@pytest.mark.parametrize("byte", [1, 128])
def test_uninitialised_memory_has_no_effect(byte):
    """glibc fills allocated memory with a byte, here huge numbers or NaN."""
    environment = os.environ | {"MALLOC_PERTURB_": str(byte)}
    environment["PYTHONPATH"] = os.pathsep.join([*sys.path, str(TESTS)])
    done = subprocess.run(
        [sys.executable, "-c", DIRTY], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


# --- rows in order -------------------------------------------------------------------------------


@settings(max_examples=40)
@given(stream_cases(most=15), dtypes, st.booleans())
def test_run_equals_calls_for_single_rows(case, dtype, by_step):
    whole, single = case.native(dtype=dtype), case.native(dtype=dtype)
    wanted = one_by_one(case, single, case.rows, by_step)
    np.testing.assert_array_equal(case.run(whole), wanted)
    assert_same_state(whole.state(), single.state())


@settings(max_examples=40)
@given(stream_cases(), places, dtypes)
def test_run_may_be_split(case, share, dtype):
    whole, parts = case.native(dtype=dtype), case.native(dtype=dtype)
    found = np.concatenate([case.run(parts, part) for part in cut(case, share)])
    np.testing.assert_array_equal(case.run(whole), found)
    assert_same_state(whole.state(), parts.state())


@settings(max_examples=40)
@given(stream_cases(), places, dtypes)
def test_peek_keeps_the_state(case, share, dtype):
    before, after = cut(case, share)
    assume(len(after))
    kernel = case.native(dtype=dtype)
    case.run(kernel, before)
    state = kernel.state()
    for stream in range(case.n_streams):
        seen = kernel.peek(stream, after.x[0])
        assert_same_state(kernel.state(), state)
        np.testing.assert_array_equal(kernel.peek(stream, after.x[0]), seen)
        np.testing.assert_array_equal(kernel.advance(stream, after.x[0]), seen)
        kernel.restore(state)


def test_no_rows_and_no_targets():
    network = Network(3, 2, Cell(2, 1, forget_gate=True), wiring="cells", bias="all")
    case = case_of(network, Streaming(head="softmax"), n_streams=2)
    kernel, other = case.native(), case.native()
    assert case.run(kernel, case.rows[:0]).shape == (0, 2)
    assert_same_state(kernel.state(), other.state())
    weights = kernel.weights
    found = kernel.run(case.rows.streams, case.rows.x)
    np.testing.assert_array_equal(kernel.weights, weights)
    silent = replace(case.rows, targets=np.full_like(case.rows.targets, np.nan))
    np.testing.assert_array_equal(case.run(other, silent), found)
    assert_same_state(kernel.state(), other.state())


# --- streams of one kernel -----------------------------------------------------------------------


@settings(max_examples=40)
@given(stream_cases(still=True), dtypes)
def test_streams_are_independent_at_rate_zero(case, dtype):
    """Each stream alone has the same results, if the means that streams share are not used."""
    case = replace(
        case,
        scaled=np.zeros_like(case.scaled),
        streaming=replace(case.streaming, scale_targets=False),
    )
    among = case.native(dtype=dtype)
    outputs, state = case.run(among), among.state()
    for stream in range(case.n_streams):
        alone, own = case.native(dtype=dtype), case.rows.streams == stream
        np.testing.assert_array_equal(case.run(alone, case.rows[own]), outputs[own])
        found = alone.state()
        place = list(state["streams"]).index(stream) if own.any() else 0
        for name, (of_stream, _) in alone._parts.items():
            if of_stream and own.any():
                np.testing.assert_array_equal(found[name][0], state[name][place], err_msg=name)


@settings(max_examples=40)
@given(stream_cases(gradients=CERTAIN), dtypes, st.randoms(use_true_random=False))
def test_streams_may_be_renumbered(case, dtype, random):
    order = np.array(random.sample(range(case.n_streams), case.n_streams))
    one, other = case.native(dtype=dtype), case.native(dtype=dtype)
    renamed = replace(case.rows, streams=order[case.rows.streams])
    np.testing.assert_array_equal(case.run(other, renamed), case.run(one))
    ours, theirs = one.state(), other.state()
    np.testing.assert_array_equal(np.sort(order[ours["streams"]]), theirs["streams"])
    places = np.argsort(order[ours["streams"]])
    for name, part in ours.items():
        moved = name == "flags" or (name in one._parts and one._parts[name][0])
        if name != "streams":
            np.testing.assert_array_equal(part[places] if moved else part, theirs[name], name)


@settings(max_examples=40)
@given(stream_cases(gradients=CERTAIN), places, dtypes)
def test_a_stream_after_reset_equals_an_unused_one(case, share, dtype):
    """reset() keeps shared parts of the state: weights, running gradients and means."""
    case = replace(case, n_streams=case.n_streams + 1)  # of which the last has no row
    before, after = cut(case, share)
    reset = case.native(dtype=dtype)
    case.run(reset, before)
    shared = reset.state()
    new = case.native(dtype=dtype)
    new.restore(shared)
    reset.reset(0)
    found = reset.state()
    assert 0 not in found["streams"]
    for name, (of_stream, _) in reset._parts.items():
        if not of_stream:
            np.testing.assert_array_equal(found[name], shared[name], err_msg=name)
    elsewhere = replace(
        after, streams=np.where(after.streams == 0, case.n_streams - 1, after.streams)
    )
    np.testing.assert_array_equal(case.run(reset, after), case.run(new, elsewhere))


def test_memory_is_counted_and_does_not_grow():
    network = Network(4, 2, Cell(3, 2, forget_gate=True), wiring="cells", bias="all")
    case = case_of(network, Streaming(), n_streams=3)
    kernel = case.native()
    nbytes = kernel.nbytes
    for _ in range(20):
        case.run(kernel)
    assert kernel.nbytes == nbytes
    sizes = [replace(case, n_streams=n).native().nbytes for n in (1, 2, 3)]
    assert sizes[2] == nbytes
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0
    numbers = sum(np.prod(part.shape) for name, part in kernel.state().items() if name in SIZED)
    assert 4 * numbers < nbytes < 40 * 4 * numbers  # rows are padded to whole cache lines
    assert 1.5 * nbytes < case.native(dtype=np.float64).nbytes < 2.1 * nbytes


SIZED = ("hidden", "output", "hidden_first", "output_first", "hidden_second", "traces")


# --- theorems and roundings ----------------------------------------------------------------------


@settings(max_examples=40)
@given(stream_cases(still=True, gradients=["truncated"]))
def test_the_carrousel_adds_and_never_scales(case):
    """Without forget gates, traces are sums of gains times sources, equations (25) and (27).

    This holds whether steps were learned or not.
    """
    network = replace(case.network, cell=replace(case.network.cell, forget_gate=False))
    weights = np.random.default_rng(1).normal(0, 0.4, network.n_weights)
    streaming = replace(case.streaming, delay=0)
    case = replace(case, network=network, weights=weights, n_streams=1, streaming=streaming)
    kernel, sums = case.native(dtype=np.float64), 0.0
    for x, target in zip(case.rows.x, case.rows.targets, strict=True):
        kernel.advance(0, x)
        state = kernel.state()
        np.testing.assert_array_equal(state["kept"], 1.0)
        gains = np.stack([state["gain_cell"][0], state["gain_in"][0]])
        sums = sums + gains[:, :, None] * state["sources"][0]
        if not np.isnan(target).all():
            kernel.learn(0, target)
            np.testing.assert_allclose(kernel.state()["traces"][0], sums, rtol=1e-12, atol=1e-13)
    kernel.advance(0, case.rows.x[0])  # adds the step that waited
    np.testing.assert_allclose(kernel.state()["traces"][0], sums, rtol=1e-12, atol=1e-13)


def moved(case: StreamCase, kernel: NativeStream | ReferenceStream) -> dict[str, np.ndarray]:
    return {"outputs": case.run(kernel), "weights": kernel.weights.astype(np.float64)}


def assert_near(case: StreamCase) -> bool:
    """Compare float32 with the exact result; returns False for a run too chaotic to compare.

    The bound is twice the error of the naive float32 reference, plus MOVES times the response to
    a change of every weight by one rounding (see ``roundings``).
    """
    case = replace(case, weights=case.weights.astype(np.float32).astype(float))
    exact, rng = moved(case, case.reference()), np.random.default_rng(0)
    sizes = {name: np.abs(array).max() for name, array in exact.items()}

    def share(other: dict[str, np.ndarray]) -> float:
        return max(np.abs(other[k] - exact[k]).max() / size for k, size in sizes.items())

    signs = rng.choice([-1.0, 1.0], (3, *case.weights.shape))
    near = [replace(case, weights=case.weights * (1 + UNIT * sign)) for sign in signs]
    response = UNIT + max(share(moved(other, other.reference())) for other in near)
    if response > CHAOS:
        return False
    naive = share(moved(case, case.reference(dtype=np.float32)))
    for name in instruction_sets():
        found = share(moved(case, case.native(instruction_set=name)))
        assert found <= 2 * naive + MOVES * response, name
    return True


@settings(max_examples=60)
@given(stream_cases(most=20))
def test_single_precision_errors_are_rounding_errors(case):
    assert_near(case)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_typical_runs_can_be_compared(head, optimizer):
    """Typical settings are not chaotic, so the test above compares most of its runs."""
    for wiring in WIRINGS:
        network = Network(5, 3, Cell(3, 2, forget_gate=True), wiring=wiring, bias="all")
        how = Streaming(head, optimizer, RATES[optimizer], MOMENTUM, SECOND, epsilon=1e-3, clip=1.0)
        assert assert_near(case_of(network, how, n=25, n_streams=2, scaled=True)), wiring
