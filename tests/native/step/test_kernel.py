"""The native step matches the float64 reference of whole sequences, for stacks of every cell."""

from __future__ import annotations

import gc
import itertools
from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Recurrence
from carrousel.kernels import instruction_sets
from carrousel.kernels.reference.sequence import forward
from support.case import case as named
from support.kernels.recurrent_cases import Case, Options, all_recurrences
from support.kernels.step_calls import layer_cases, open_native, run_all, weights_of

pytestmark = pytest.mark.native

T, B, LAYERS = 6, 3, 2
RECURRENCES = [*all_recurrences(), Recurrence("lstm", 37), Recurrence("gru", 33, layer_norm=True)]
every_recurrence = pytest.mark.parametrize("R", RECURRENCES, ids=lambda R: R.key)


def expected(
    R: Recurrence, cases: list[Case], x: np.ndarray, zones: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs of the last layer and last states of all layers, by the reference."""
    hs, ss = [], []
    for case in cases:
        options = Options(zone_h=zones[0], zone_s=zones[1])
        result, _ = forward(case.arrays | {"x": x}, R, options)
        x = result.out[..., : R.n_outputs]
        hs.append(result.h)
        ss.append(result.s)
    return x, np.stack(hs), np.stack(ss)


def stepped(
    R: Recurrence,
    cases: list[Case],
    x: np.ndarray,
    dtype: str,
    *,
    zones: tuple[float, float] = (0.0, 0.0),
    prepare: bool = False,
    isa: str = "",
) -> tuple[np.ndarray, ...]:
    native = open_native(R, weights_of(cases, dtype), dtype, batch=B, zones=zones, isa=isa)
    native.write_state(*states(cases, dtype))
    out = run_all(native, x.astype(dtype), prepare=prepare)
    return out, *read(native, R, dtype)


def states(cases: list[Case], dtype: str) -> tuple[np.ndarray, np.ndarray]:
    h, s = (np.stack([case.arrays[name] for case in cases]).astype(dtype) for name in ("h0", "s0"))
    return h, s


def read(native: Any, R: Recurrence, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    h = np.full((LAYERS, B, R.n_sources), np.nan, dtype)
    s = np.full((LAYERS, B, R.n_states), np.nan, dtype)
    native.read_state(h, s)
    return h, s


@every_recurrence
def test_outputs_and_states_match_the_reference(R):
    cases = layer_cases(R, LAYERS, T, B)
    x = cases[0].arrays["x"]
    for zones, prepare in itertools.product(((0.0, 0.0), (0.2, 0.35)), (False, True)):
        want = expected(R, cases, x, zones)
        have = stepped(R, cases, x, "float64", zones=zones, prepare=prepare)
        for one, other in zip(have, want, strict=True):
            # Rounding errors of T steps, each a few hundred units in the last place where layer
            # norm divides by a small deviation.
            with named(zones, prepare):
                np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


@every_recurrence
def test_single_precision_errors_are_rounding_errors(R):
    cases = [
        case._replace(arrays={k: a.astype(np.float32) for k, a in case.arrays.items()})
        for case in layer_cases(R, LAYERS, T, B)
    ]
    x = cases[0].arrays["x"]
    wide = [
        case._replace(arrays={k: a.astype(float) for k, a in case.arrays.items()}) for case in cases
    ]
    want = expected(R, wide, x.astype(float), (0.0, 0.0))
    # The bound is the response to a change of every weight by one rounding, times twice the square
    # root of the number of terms of a sum (below 50).
    rng = np.random.default_rng(0)
    moved = [
        case._replace(
            arrays={
                k: a * (1 + rng.choice([-1, 1], a.shape) * 2.0**-24) for k, a in case.arrays.items()
            }
        )
        for case in wide
    ]
    near = expected(R, moved, moved[0].arrays["x"], (0.0, 0.0))
    have = stepped(R, cases, x, "float32")
    for one, other, close in zip(have, want, near, strict=True):
        if other.size:
            response = np.abs(other - close).max()
            assert np.abs(one - other).max() <= 14 * response + 1e-6


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_instruction_sets_agree(isa, dtype):
    R = Recurrence("peephole", 21, projection=6, layer_norm=True)
    cases = layer_cases(R, LAYERS, T, B)
    have = stepped(R, cases, cases[0].arrays["x"], dtype, isa=isa)
    want = stepped(R, cases, cases[0].arrays["x"], "float64", isa="plain")
    for one, other in zip(have, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("units", [1, 15, 16, 17, 65])
def test_sizes_around_the_width_of_vectors(units):
    for batch in (1, 2, 7):
        R = Recurrence("lstm", units)
        cases = layer_cases(R, 1, T, batch, inputs=units)
        native = open_native(R, weights_of(cases, "float64"), "float64", batch=batch, inputs=units)
        native.write_state(*states(cases, "float64"))
        x = cases[0].arrays["x"]
        want, _, _ = expected(R, cases, x, (0.0, 0.0))
        with named(batch):
            np.testing.assert_allclose(run_all(native, x), want, rtol=1e-12, atol=1e-13)


def fresh(dtype: str = "float64") -> tuple[Recurrence, list[Case], Any]:
    R = Recurrence("lstm97", 4, block_size=2, gate_sources=True)
    cases = layer_cases(R, LAYERS, T, B)
    return R, cases, open_native(R, weights_of(cases, dtype), dtype, batch=B)


def test_reset():
    _, cases, native = fresh()
    x = cases[0].arrays["x"]
    first = run_all(native, x)
    native.prepare()
    native.reset()
    np.testing.assert_array_equal(run_all(native, x), first)


def test_reset_of_one_row_keeps_the_others():
    R, cases, native = fresh()
    run_all(native, cases[0].arrays["x"])
    h, s = read(native, R, "float64")
    native.prepare()
    native.reset(1)
    h_now, s_now = read(native, R, "float64")
    for now, then, name in ((h_now, h, "fresh_h"), (s_now, s, "fresh_s")):
        np.testing.assert_array_equal(now[:, [0, 2]], then[:, [0, 2]])
        np.testing.assert_array_equal(now[:, 1], [case.arrays[name] for case in cases])


def test_a_restored_state_continues_as_before():
    R, cases, native = fresh()
    x = cases[0].arrays["x"]
    run_all(native, x[:3])
    state = read(native, R, "float64")
    rest = run_all(native, x[3:])
    native.prepare()
    native.write_state(*state)
    np.testing.assert_array_equal(run_all(native, x[3:]), rest)


def test_new_weights_keep_the_state():
    R, cases, native = fresh()
    x = cases[0].arrays["x"]
    run_all(native, x[:3])
    state = read(native, R, "float64")
    others = weights_of([c for c in layer_cases(R, LAYERS + 1, T, B) if c], "float64")
    others = [others[0], others[2]]
    native.prepare()
    native.load(others)
    other = open_native(R, others, "float64", batch=B)
    other.write_state(*state)
    np.testing.assert_array_equal(run_all(native, x[3:]), run_all(other, x[3:]))


def test_weights_are_copies():
    R = Recurrence("gru", 5)
    cases = layer_cases(R, 1, T, B)
    weights = weights_of(cases, "float64")
    native = open_native(R, weights, "float64", batch=B)
    first = run_all(native, cases[0].arrays["x"])
    for name in [name for name, array in weights[0].items() if array is not None]:
        weights[0][name][...] = np.nan
    del weights
    gc.collect()
    native.reset()
    np.testing.assert_array_equal(run_all(native, cases[0].arrays["x"]), first)


def test_buffers_outlive_the_object():
    _, _, native = fresh()
    view, out = native.input, native.output
    native.run()
    kept = out.copy()
    del native
    gc.collect()
    view[...] = 1.0
    np.testing.assert_array_equal(out, kept)
    np.testing.assert_array_equal(view, 1.0)


def test_nan_inputs_give_nan_until_a_reset():
    R = Recurrence("lstm", 5)
    cases = layer_cases(R, 1, T, B)
    native = open_native(R, weights_of(cases, "float64"), "float64", batch=B)
    x = cases[0].arrays["x"].copy()
    x[0, 1] = np.nan
    out = run_all(native, x)
    assert np.isnan(out[:, 1]).all()
    assert np.isfinite(out[:, [0, 2]]).all()
    native.reset(1)
    assert np.isfinite(run_all(native, x[1:])).all()
