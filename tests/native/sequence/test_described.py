"""Described cells: kernels call their row functions by address, with the documented arguments.

The functions of this test are Python functions with C addresses, made by ``ctypes``.
"""

from __future__ import annotations

import ctypes
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import CellKind, Recurrence
from carrousel.kernels import instruction_sets
from carrousel.kernels.described import DescribedCell, describe
from carrousel.kernels.reference import sequence as reference_sequence
from carrousel.kernels.reference.cells import CELL_STEPS, CellErrors, CellResult
from support.kernels import sequence_runs
from support.kernels.recurrent_cases import FEATURES, make_case
from support.kernels.sequence_runs import Setup

pytestmark = pytest.mark.native

NAME, TAPE = "user:by_address", 3
REALS = {"float32": ctypes.c_float, "float64": ctypes.c_double}
CALLBACKS: list[Any] = []


def sigma(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


# f = sigma(x_f + r_f); c = f c' + x_g + p r_g; m = tanh(c) + h' / 2. This cell uses separate net
# inputs, a state, a unit parameter, and the hidden state itself.


def ahead(x: Any, r: Any, c0: Any, h0: Any, p: Any) -> tuple[Any, Any, Any]:
    f = sigma(x[0] + r[0])
    c = f * c0 + x[1] + p * r[1]
    return c, np.tanh(c) + h0 / 2, (f, np.tanh(c), r[1])


def back(tape: Any, c0: Any, p: Any, dm: Any, dc: Any) -> tuple[Any, ...]:
    f, y, r_g = tape
    dc = dc + dm * (1 - y * y)
    df = dc * c0 * f * (1 - f)
    return dc * f, (df, dc), (df, dc * p), dm / 2, dc * r_g


def step(x: Any, r: Any, c0: Any, h0: Any, w: Any) -> CellResult:
    M = c0.shape[1]
    c, m, tape = ahead((x[:, :M], x[:, M:]), (r[:, :M], r[:, M:]), c0, h0[:, :M], w.unit[0])
    return CellResult(c, m, np.zeros_like(x), (*tape, c0))


def step_back(d_c: Any, d_m: Any, d_gates: Any, kept: tuple[Any, ...], w: Any) -> CellErrors:
    *tape, c0 = kept
    ds, dx, dr, dh, dp = back(tape, c0, w.unit[0], d_m, d_c)
    dh = dh if dh.shape[1] == w.recurrence.n_sources else 0.0
    return CellErrors(np.hstack(dx), np.hstack(dr), ds, dh, dp.sum(0))


def addresses(dtype: str) -> tuple[int, int]:
    """Addresses of both row functions, which read all inputs and write all outputs."""
    pointer = ctypes.POINTER(REALS[dtype])

    def rows(at: Any, n: int, M: int) -> np.ndarray:
        return np.ctypeslib.as_array(at, (n, M))

    def forward(M: int, x: Any, r: Any, s0: Any, h0: Any, p: Any, s: Any, m: Any, tape: Any):
        c, y, kept = ahead(
            rows(x, 2, M), rows(r, 2, M), rows(s0, 1, M)[0], rows(h0, 1, M)[0], rows(p, 1, M)[0]
        )
        rows(s, 1, M)[0], rows(m, 1, M)[0], rows(tape, TAPE, M)[:] = c, y, kept

    def backward(
        M: int,
        tape: Any,
        s0: Any,
        _: Any,
        p: Any,
        dm: Any,
        ds: Any,
        dx: Any,
        dr: Any,
        dh: Any,
        dp: Any,
    ):
        given = rows(s0, 1, M)[0], rows(p, 1, M)[0], rows(dm, 1, M)[0], rows(ds, 1, M)[0]
        found = back(rows(tape, TAPE, M), *given)
        rows(ds, 1, M)[0], rows(dx, 2, M)[:], rows(dr, 2, M)[:] = found[:3]
        rows(dh, 1, M)[0] = found[3]
        rows(dp, 1, M)[0] += found[4]

    made = [
        ctypes.CFUNCTYPE(None, ctypes.c_int64, *[pointer] * n)(function)
        for function, n in ((forward, 8), (backward, 10))
    ]
    CALLBACKS.extend(made)
    one, other = (ctypes.cast(each, ctypes.c_void_p).value or 0 for each in made)
    return one, other


@pytest.fixture(scope="module", autouse=True)
def cell():
    """Register the cell, and its reference."""
    found = {dtype: addresses(dtype) for dtype in REALS}
    ahead, back = ({dtype: each[way] for dtype, each in found.items()} for way in (0, 1))
    kind = CellKind(("f", "g"), ("c",), ("p",), projects=True)
    describe(DescribedCell(NAME, kind, lambda *_: (), TAPE, ahead, back, CALLBACKS))
    with mock.patch.dict(CELL_STEPS, {NAME: (step, step_back)}):  # type: ignore[arg-type]
        yield


def check(setup: Setup, features: Any, units: int = 3, **more: Any) -> None:
    options = {name: more.pop(name) for name in ("gradient", "reverse", "seed") if name in more}
    recurrence = Recurrence(NAME, units, **more)
    case = make_case(recurrence, frozenset(features) | {"unit"}, T=4, B=5, **options)
    expected, tape = reference_sequence.forward(case.arrays, recurrence, case.options)
    derivatives = reference_sequence.backward(tape, *case.errors)
    ours, found = sequence_runs.run(case, setup)
    # float64: the same operations. float32: 4 steps of some 10 roundings, of numbers up to 100.
    near = {"float64": 1e-11, "float32": 4 * 10 * 100 * 2.0**-24}[setup.dtype]
    for name in ("out", "h", "s", "states"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(expected, name), rtol=near, atol=near, err_msg=name
        )
    assert set(found) == set(derivatives)
    for name, array in derivatives.items():
        np.testing.assert_allclose(found[name], array, rtol=near, atol=near, err_msg=name)


@settings(max_examples=60)
@given(
    st.frozensets(st.sampled_from(FEATURES)),
    st.sampled_from(["bptt", "truncated", "tbptt:1", "tbptt:2"]),
    st.booleans(),
    st.sampled_from([1, 3, 4, 9]),
    st.builds(
        Setup,
        st.sampled_from(list(REALS)),
        st.sampled_from(instruction_sets()),
        st.integers(1, 3),
        st.integers(0, 3),
    ),
    st.integers(0, 2**32 - 1),
)
def test_row_functions_get_the_documented_arguments(
    features, gradient, reverse, units, setup, seed
):
    check(setup, features, units, gradient=gradient, reverse=reverse, seed=seed)


@pytest.mark.parametrize("instruction_set", instruction_sets())
@pytest.mark.parametrize("features", [(), FEATURES])
def test_layer_norm(instruction_set, features):
    check(Setup("float64", instruction_set), features, layer_norm=True)
