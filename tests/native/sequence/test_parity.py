"""Compiled sequence kernels match the reference, for any windows, threads and vector widths."""

from __future__ import annotations

import itertools
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Recurrence
from carrousel.contracts.recurrence import ACTIVE, RESET
from carrousel.kernels import instruction_sets
from carrousel.kernels.reference import sequence as reference_sequence
from support.case import case as named
from support.kernels import sequence_runs
from support.kernels.recurrent_cases import (
    Case,
    all_recurrences,
    cases,
    make_case,
    replaced,
    with_batch,
)
from support.kernels.sequence_runs import Setup

pytestmark = pytest.mark.native

EVERYTHING = frozenset({"bias", "unit", "norms", "fresh", "drop", "lengths", "resets", "masks"})
RESULTS = ("out", "h", "s", "states")

every_set = pytest.mark.parametrize("instruction_set", instruction_sets())
windows = st.integers(0, 8)


def assert_near(ours: np.ndarray, theirs: np.ndarray, what: str) -> None:
    """Compare sums of a few hundred float64 terms in another order.

    Layer normalisation multiplies differences by at most 300, if it divides by a deviation near
    the root of its epsilon.
    """
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11, err_msg=what)


def reference(case: Case) -> dict[str, np.ndarray]:
    """Results by name, gates, and derivatives as ``d_name``."""
    result, tape = reference_sequence.forward(case.arrays, case.recurrence, case.options)
    found = reference_sequence.backward(tape, *case.errors)
    return result._asdict() | {f"d_{name}": array for name, array in found.items()}


def native(case: Case, setup: Setup) -> dict[str, np.ndarray]:
    tape, found = sequence_runs.run(case, setup)
    results = {name: getattr(tape, name) for name in RESULTS}
    return results | {f"d_{name}": array for name, array in found.items()}


def check(case: Case, setup: Setup) -> None:
    expected, tape = reference(case), sequence_runs.forward(case, setup)
    ours = native(case, setup)
    assert set(ours) == set(expected) - {"gates"}
    for name, array in ours.items():
        assert_near(array, expected[name], name)
    flags = case.arrays.get("flags", np.full(tape.out.shape[:2], ACTIVE))
    active = flags & ACTIVE != 0
    assert tape.gates is not None
    if case.recurrence.cell in sequence_runs.CELLS:
        assert_near(tape.gates[active], expected["gates"][active], "gates")
    np.testing.assert_array_equal(tape.gates[~active], 0)


def assert_same_bits(ours: Any, theirs: Any) -> None:
    """Compare arrays, or tuples and dictionaries of arrays."""
    if isinstance(ours, dict):
        assert set(ours) == set(theirs)
        for name in ours:
            assert_same_bits(ours[name], theirs[name])
    elif isinstance(ours, tuple):
        for one, other in zip(ours, theirs, strict=True):
            assert_same_bits(one, other)
    elif ours is not None:
        np.testing.assert_array_equal(ours, theirs, strict=True)


@every_set
@settings(max_examples=80)
@given(cases(), windows, st.integers(1, 3))
def test_any_call_matches_the_reference(instruction_set, case, window, threads):
    check(case, Setup("float64", instruction_set, threads, window))


@every_set
@pytest.mark.parametrize("gradient", ["bptt", "truncated", "tbptt:2"])
def test_every_shape_with_every_option(instruction_set, gradient):
    for recurrence in all_recurrences():
        for reverse in (False, True):
            case = make_case(
                recurrence, EVERYTHING, T=5, B=3, I=3, seed=5, gradient=gradient, reverse=reverse
            )
            with named(recurrence.key, reverse):
                check(case, Setup("float64", instruction_set, 2, 2))


@every_set
@pytest.mark.parametrize("features", [frozenset(), EVERYTHING])
def test_any_number_of_rows(instruction_set, features):
    """Numbers of rows that fill tiles, groups and threads, or leave a remainder."""
    for B in [*range(1, 20), 37, 41]:
        for cell in ("lstm", "gru"):
            case = make_case(Recurrence(cell, 5), features | {"bias"}, T=2, B=B, seed=B)
            with named(B, cell):
                check(case, Setup("float64", instruction_set, 1 + B % 3))


@every_set
@pytest.mark.parametrize("cell", ["peephole", "gru"])
def test_any_number_of_units(instruction_set, cell):
    """Vectors and panels of vectors, full and partial; small and large weights."""
    for units in (*range(1, 19), 31, 33, 47, 64, 65, 130):
        options = {"projection": units // 2, "layer_norm": True} if cell == "peephole" else {}
        case = make_case(
            Recurrence(cell, units, **options), {"bias", "unit", "norms"}, T=2, B=7, seed=units
        )
        weights = {name: case.arrays[name] / np.sqrt(units) for name in ("w_hh", "w_ih")}
        with named(units):
            check(replaced(case, **weights), Setup("float64", instruction_set, 1 + units % 2))


# --- float32 -------------------------------------------------------------------------------------


class Single:
    """NumPy with float32 as ``float64``, which makes the reference the naive float32 layer."""

    float64 = np.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def single(array: np.ndarray) -> np.ndarray:
    """Round to numbers that float32 can represent."""
    return array.astype(np.float32).astype(array.dtype)


def rounded(case: Case) -> Case:
    arrays = {name: single(array) for name, array in case.arrays.items()}
    d_out, d_h, d_s, d_states = (single(error) for error in case.errors)
    return case._replace(arrays=arrays, errors=(d_out, d_h, d_s, d_states))


def naive(case: Case) -> dict[str, np.ndarray]:
    """The reference in float32. Absent arrays are filled in, so that they are not float64."""
    filled = reference_sequence._filled(case.arrays, case.recurrence, case.options)
    d_out, d_h, d_s, d_states = (error.astype(np.float32) for error in case.errors)
    case = replaced(case, **filled)._replace(errors=(d_out, d_h, d_s, d_states))
    with mock.patch.object(reference_sequence, "np", Single()):
        found = reference(case)
    assert found["d_w_hh"].dtype == np.float32
    return found


def size(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if array.size else 0.0


@pytest.mark.parametrize("recurrence", all_recurrences(16), ids=lambda r: r.key)
def test_single_precision_errors_are_at_most_twice_the_naive_ones(recurrence):
    """Compare the errors of the kernel and of the reference in float32.

    Both round some thousand times, so the error of a single array varies, most of all if a layer
    amplifies. The test compares geometric means of relative errors over all arrays of several
    calls. Errors below a quarter of a rounding count as a quarter.
    """
    errors: dict[str, list[np.ndarray]] = {name: [] for name in instruction_sets()}
    for seed, features in enumerate([frozenset({"bias", "unit", "norms"}), EVERYTHING] * 3):
        case = rounded(make_case(recurrence, features, T=6, B=7, I=5, seed=seed))
        exact, other = reference(case), naive(case)
        for instruction_set, found in errors.items():
            ours = native(case, Setup("float32", instruction_set))
            for name, array in ours.items():
                if scale := size(exact[name]):
                    off = [size(each - exact[name]) / scale for each in (array, other[name])]
                    found.append(np.log(np.array(off) + 2.0**-26))
    for instruction_set, found in errors.items():
        ours_off, naive_off = np.exp(np.mean(found, 0))
        assert ours_off <= 2 * naive_off, instruction_set


# --- theorems ------------------------------------------------------------------------------------

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def assert_alike(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], case: Case) -> None:
    """Compare bits if the call gives net inputs: steps do not depend on the limits of windows.

    Products of inputs and weights do: a row outside full tiles of a window is summed in another
    order. Gradients of weights are sums over windows.
    """
    sums = ("w_ih", "w_hh", "bias", "w_hr")
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        if case.recurrence.layer_norm and name not in sums:
            assert_same_bits(array, theirs[name])
        elif array.dtype == np.float64:
            assert_near(array, theirs[name], name)


@dtypes
@settings(max_examples=60)
@given(cases(), windows, st.sampled_from(instruction_sets()))
def test_windows_do_not_matter(dtype, case, window, instruction_set):
    whole, parts = Setup(dtype, instruction_set), Setup(dtype, instruction_set, 1, window)
    ours, theirs = sequence_runs.forward(case, parts), sequence_runs.forward(case, whole)
    for name in RESULTS:
        assert_alike({name: getattr(ours, name)}, {name: getattr(theirs, name)}, case)
    back = [sequence_runs.backward(case, theirs, None, setup) for setup in (parts, whole)]
    assert_alike(back[0], back[1], case)


@dtypes
@settings(max_examples=60)
@given(cases(), windows, st.integers(1, 9), st.sampled_from(instruction_sets()))
def test_a_recomputed_tape_is_the_same(dtype, case, window, recompute, instruction_set):
    setup = Setup(dtype, instruction_set, 1, window)
    kept = sequence_runs.forward(case, setup)
    short = sequence_runs.forward(case, setup, recompute=recompute)
    for name in ("out", "h", "s"):
        assert_alike({name: getattr(short, name)}, {name: getattr(kept, name)}, case)
    ours = sequence_runs.backward(case, short, None, setup, recompute=recompute)
    assert_alike(ours, sequence_runs.backward(case, kept, None, setup), case)


@dtypes
@settings(max_examples=30)
@given(cases(), st.sampled_from(instruction_sets()), st.integers(1, 3))
def test_outputs_are_the_same_without_a_tape(dtype, case, instruction_set, threads):
    setup = Setup(dtype, instruction_set, threads, 2)
    ours = sequence_runs.forward(case, setup, keep=False)
    assert_same_bits(tuple(ours)[:3], tuple(sequence_runs.forward(case, setup))[:3])


@dtypes
@settings(max_examples=40)
@given(cases(), st.sampled_from(instruction_sets()), st.data())
def test_other_sequences_do_not_matter(dtype, case, instruction_set, data):
    """Other sequences change no bit, even if they diverge.

    Their number may: a row outside full tiles is summed in another order.
    """
    B = len(case.arrays["h0"])
    mine = data.draw(st.integers(0, B - 1))
    others = np.arange(B) != mine
    arrays = {name: case.arrays[name].copy() for name in ("x", "h0", "s0")}
    arrays["x"][:, others], arrays["h0"][others], arrays["s0"][others] = np.nan, np.inf, np.nan
    if "flags" in case.arrays:
        arrays["flags"] = case.arrays["flags"].copy()
        arrays["flags"][:, others] ^= ACTIVE
    setup = Setup(dtype, instruction_set)
    both = [case, replaced(case, **arrays)]
    tapes = [sequence_runs.forward(each, setup) for each in both]
    backs = [
        sequence_runs.backward(each, tape, None, setup)
        for each, tape in zip(both, tapes, strict=True)
    ]
    for name in ("out", "states"):
        ours, theirs = (getattr(tape, name)[:, mine] for tape in tapes)
        assert_same_bits(ours, theirs)
    assert_same_bits(backs[0]["x"][:, mine], backs[1]["x"][:, mine])
    for name in ("h0", "s0"):
        assert_same_bits(backs[0][name][mine], backs[1][name][mine])


@every_set
@settings(max_examples=30)
@given(cases(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_order_in_the_batch_does_not_matter(instruction_set, case, random, threads):
    B = len(case.arrays["h0"])
    order = np.array(random.sample(range(B), B))
    setup = Setup("float64", instruction_set, threads)
    ours, theirs = native(case, setup), native(with_batch(case, order), setup)
    axes = {"out": 1, "h": 0, "s": 0, "states": 1, "d_x": 1, "d_h0": 0, "d_s0": 0}
    for name, array in ours.items():
        if name in axes:
            array = np.take(array, order, axes[name])
        assert_near(theirs[name], array, name)


@dtypes
@settings(max_examples=40)
@given(cases(features={"lengths"}), st.sampled_from(instruction_sets()))
def test_padding_is_not_read(dtype, case, instruction_set):
    """Inputs, errors and masks in padding have no effect. Errors of the state pass through."""
    inactive = (case.arrays["flags"] & ACTIVE) == 0
    poisoned = {"x": np.where(inactive[:, :, None], np.nan, case.arrays["x"])}
    for name in ("keep_h", "keep_s"):
        if name in case.arrays:
            poisoned[name] = np.where(inactive[:, :, None], 255, case.arrays[name])
            poisoned[name] = poisoned[name].astype(np.uint8)
    d_out = np.where(inactive[:, :, None], np.nan, case.errors[0])
    other = replaced(case, **poisoned)._replace(errors=(d_out, *case.errors[1:]))
    setup = Setup(dtype, instruction_set, 2)
    assert_same_bits(native(other, setup), native(case, setup))
    ours, zero = sequence_runs.run(case, setup), np.zeros((), dtype)
    np.testing.assert_array_equal(ours[0].out[inactive], zero)
    np.testing.assert_array_equal(ours[1]["x"][inactive], zero)


@dtypes
@settings(max_examples=30)
@given(cases(features={"fresh"}), st.sampled_from(instruction_sets()), st.integers(0, 6))
def test_a_reset_removes_nan(dtype, case, instruction_set, where):
    T, B = case.arrays["x"].shape[:2]
    flags = case.arrays.get("flags", np.full((T, B), ACTIVE, np.uint8)).copy()
    first = T - 1 if case.options.reverse else 0
    flags[first] |= RESET
    case, setup = replaced(case, flags=flags), Setup(dtype, instruction_set)
    nan = {name: np.full_like(case.arrays[name], np.nan) for name in ("h0", "s0")}
    ours, theirs = native(replaced(case, **nan), setup), native(case, setup)
    assert_same_bits(ours, theirs)
    np.testing.assert_array_equal(theirs["d_h0"], 0)
    np.testing.assert_array_equal(theirs["d_s0"], 0)


@every_set
@dtypes
def test_nan_inputs_give_nan_outputs(instruction_set, dtype):
    for recurrence in all_recurrences(6):
        case = make_case(recurrence, {"bias"}, T=3, B=3)
        case.arrays["x"][1, 1] = np.nan
        out = sequence_runs.forward(case, Setup(dtype, instruction_set)).out
        assert np.isnan(out[1:, 1]).all(), recurrence.key
        assert np.isfinite(out[:, [0, 2]]).all(), recurrence.key


@every_set
@dtypes
def test_gates_saturate(instruction_set, dtype):
    """Net inputs too large for exp(). States are sums of a few numbers of 2 at most."""
    for recurrence, size in itertools.product(all_recurrences(6), (30.0, 100.0, 1e4, 1e30)):
        if recurrence.layer_norm or recurrence.cell == "rnn_relu":
            continue
        case = make_case(recurrence, {"bias", "unit"}, T=3, B=3)
        case.arrays["x"][:] = np.sign(case.arrays["x"]) * size
        result = sequence_runs.forward(rounded(case), Setup(dtype, instruction_set)).out
        with named(recurrence.key, size):
            np.testing.assert_allclose(result, reference(rounded(case))["out"], rtol=0, atol=1e-5)


@dtypes
@every_set
def test_no_steps_and_no_sequences(dtype, instruction_set):
    for recurrence, (T, B) in itertools.product(all_recurrences(2), ((0, 2), (3, 0), (0, 0))):
        case = make_case(recurrence, EVERYTHING, T=T, B=B)
        ours, theirs = native(case, Setup(dtype, instruction_set, 3)), reference(case)
        for name, array in ours.items():
            with named(recurrence.key, T, B, name):
                assert array.shape == theirs[name].shape
                np.testing.assert_allclose(array, theirs[name], rtol=1e-6)


def test_gradients_without_errors_are_zero():
    case = make_case(Recurrence("lstm", 5), EVERYTHING, T=4)
    found = sequence_runs.backward(case, sequence_runs.forward(case), (None,) * 4)
    for name, array in found.items():
        np.testing.assert_array_equal(array, 0, err_msg=name)
