"""Kernels with stored weights match the float64 reference with the weights rounded as stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Recurrence
from carrousel.errors import SettingError
from carrousel.kernels import instruction_sets
from carrousel.kernels.native import sequence
from carrousel.kernels.native.sequence import extra_width, gates_width
from carrousel.kernels.reference.sequence import forward
from support.case import case as named
from support.kernels.recurrent_cases import Case, Options, all_recurrences, make_case

pytestmark = pytest.mark.native

STORAGES = ("bfloat16", "float16", "int8")
FEATURES = frozenset({"bias", "unit", "norms"})
MATRICES = {"w_ih": "s_ih", "w_hh": "s_hh", "w_hr": "s_hr"}
I = 5  # noqa: E741  odd: the last word of a row is not full

each_storage = pytest.mark.parametrize("storage", STORAGES)
each_set = pytest.mark.parametrize("isa", instruction_sets())


def bits_of(values: np.ndarray, storage: str) -> tuple[np.ndarray, np.ndarray]:
    """The 16 bits of rounded numbers, and these numbers."""
    if storage == "float16":
        half = values.astype(np.float16)
        return half.view(np.uint16), half.astype(np.float64)
    wide = values.astype(np.float32).view(np.uint32)
    bits = ((wide + 0x7FFF + (wide >> 16 & 1)) >> 16).astype(np.uint16)
    return bits, (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def rounded(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers up to 127 that rows are multiples of, and the scale of each row."""
    most = np.abs(values).max(1, keepdims=True)
    scales = np.where(most > 0, most / 127, 1.0).astype(np.float32)
    return np.rint(values / scales).astype(np.int8), scales[:, 0]


def stored(case: Case, storage: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Arguments of a native call, and the same arrays for the reference, with rounded weights."""
    call: dict[str, Any] = {name: a.astype(np.float32) for name, a in case.arrays.items()}
    exact = dict(case.arrays)
    for name, scale in MATRICES.items():
        if (matrix := case.arrays.get(name)) is None:
            continue
        if storage == "int8":
            call[name], call[scale] = rounded(matrix)
            exact[name] = call[name] * call[scale][:, None].astype(np.float64)
        else:
            call[name], exact[name] = bits_of(matrix, storage)
    return call | {"storage": storage}, exact


def run(R: Recurrence, call: dict[str, Any], isa: str, *, tape: bool = False) -> np.ndarray:
    T, B = call["x"].shape[:2]
    sizes = {"out": (T, B, R.n_sources), "h": (B, R.n_sources), "s": (B, R.n_states)}
    if tape:
        widths = (R.n_states, gates_width(R), extra_width(R, False, "ln_ih" in call))
        kept = zip(("states", "gates", "extra"), widths, strict=True)
        sizes |= {name: (T, B, width) for name, width in kept}
    results = {name: np.full(shape, np.nan, np.float32) for name, shape in sizes.items()}
    sequence.forward(R, "float32", {**call, **results, "instruction_set": isa})
    return results["out"]


def shaped(R: Recurrence, T: int, B: int, inputs: int = I, *, whole: bool = False) -> Case:
    """A case with a state; if `whole`, factors are multiples of their row's largest / 127."""
    case = make_case(R, FEATURES, T=T, B=B, I=inputs)
    arrays, drawn = dict(case.arrays), np.random.default_rng(3)
    if whole:
        for name in ("x", "h0"):
            flat = arrays[name].reshape(-1, arrays[name].shape[-1])
            flat = drawn.integers(-126, 127, flat.shape).astype(np.float64)
            flat[:, -1] = 127
            arrays[name] = (flat / 128).reshape(arrays[name].shape)
    return case._replace(arrays=arrays)


def calm(case: Case) -> Case:
    """Smaller weights, with which errors do not grow from step to step."""
    small = np.sqrt(case.recurrence.units)
    arrays = {k: a / small if k in MATRICES else a for k, a in case.arrays.items()}
    return case._replace(arrays=arrays)


@each_storage
@each_set
def test_one_step_of_every_cell(storage, isa):
    for R in all_recurrences():
        if R.projection and storage == "int8":  # rounds the output of the cell too
            continue
        case = shaped(R, 1, 3, whole=True)
        call, exact = stored(case, storage)
        want, _ = forward(exact, R, Options())
        with named(R.key):
            np.testing.assert_allclose(run(R, call, isa), want.out, rtol=0, atol=5e-5)


@each_storage
@each_set
def test_sizes_around_the_width_of_words_and_vectors(storage, isa):
    for units in (1, 2, 15, 16, 17, 65, 130):
        R = Recurrence("lstm", units)
        for batch in (1, 2, 7, 20):
            case = shaped(R, 1, batch, inputs=units + 1, whole=True)
            call, exact = stored(case, storage)
            want, _ = forward(exact, R, Options())
            with named(units, batch):
                np.testing.assert_allclose(run(R, call, isa), want.out, rtol=0, atol=5e-6)


@pytest.mark.parametrize("storage", STORAGES[:2])
@each_set
def test_halves_over_many_steps(storage, isa):
    for R in (Recurrence("peephole", 37, projection=9), Recurrence("gru", 21)):
        case = calm(shaped(R, 40, 5))
        call, exact = stored(case, storage)
        want, _ = forward(exact, R, Options())
        with named(R.key):
            np.testing.assert_allclose(run(R, call, isa), want.out, rtol=0, atol=2e-5)


@each_set
def test_int8_over_many_steps(isa):
    """Factors are rounded as well, so the error is that of rounding, and has a bound."""
    for R in (Recurrence("lstm", 64), Recurrence("gru", 33), Recurrence("lstm", 48, projection=24)):
        case = calm(shaped(R, 100, 4, inputs=32))
        call, _ = stored(case, "int8")
        want, _ = forward(case.arrays, R, Options())
        error = np.abs(run(R, call, isa) - want.out)
        with named(R.key):
            assert error.max() < 0.03
            assert 1e-5 < np.median(error) < 0.003


@each_set
def test_float16_of_every_size(isa):
    """Zeros, subnormal and normal numbers of both signs, up to the largest."""
    numbers = np.arange(0x7C00, dtype=np.uint16)[::61]
    bits = np.concatenate([numbers, numbers | 0x8000])
    R = Recurrence("rnn_relu", len(bits))
    case = shaped(R, 1, 1, inputs=1)
    call, _ = stored(case, "float16")
    call |= {"w_ih": bits[:, None].copy(), "w_hh": call["w_hh"] * np.uint16(0), "bias": None}
    call["x"] = np.full_like(call["x"], 0.5)
    want = np.maximum(bits.view(np.float16).astype(np.float32) / 2, 0)
    np.testing.assert_array_equal(run(R, call, isa)[0, 0], want)


@each_set
def test_int8_rows_that_cannot_be_scaled(isa):
    R = Recurrence("rnn_tanh", 20)
    case = shaped(R, 1, 5, whole=True)
    call, exact = stored(case, "int8")
    call["x"][0, 1, 2], call["x"][0, 2, 0], call["x"][0, 3] = np.nan, -np.inf, 1e-38
    exact["x"][0, 3], exact["x"][0, 4] = 0, 0
    call["x"][0, 4] = 0
    want, _ = forward(exact, R, Options())
    have = run(R, call, isa)[0]
    assert np.isnan(have[1:3]).all()
    np.testing.assert_allclose(have[[0, 3, 4]], want.out[0, [0, 3, 4]], rtol=0, atol=1e-6)


@each_set
def test_the_largest_sums_of_int8(isa):
    """All factors have the largest size; their sums need all 32 bits."""
    R = Recurrence("rnn_relu", 2)
    call, _ = stored(shaped(R, 1, 2, inputs=2**16), "int8")
    call |= {"w_ih": np.full_like(call["w_ih"], 127), "w_hh": call["w_hh"] * 0, "bias": None}
    call |= {"s_ih": np.full(2, 1 / 127, np.float32), "x": np.ones_like(call["x"])}
    np.testing.assert_allclose(run(R, call, isa), 2.0**16, rtol=1e-6)
    call["w_ih"] *= -1
    call["x"] *= -1
    np.testing.assert_allclose(run(R, call, isa), 2.0**16, rtol=1e-6)


@each_storage
def test_words_that_are_not_aligned(storage):
    R = Recurrence("lstm", 16)
    case = shaped(R, 3, 2, inputs=8)
    call, _ = stored(case, storage)
    want = run(R, call, "")
    for name in ("w_ih", "w_hh"):
        matrix = call[name]
        memory = np.zeros(matrix.nbytes + matrix.itemsize, np.uint8)
        moved = memory[matrix.itemsize :].view(matrix.dtype).reshape(matrix.shape)
        moved[...] = matrix
        call[name] = moved
    np.testing.assert_array_equal(run(R, call, ""), want)


def test_tape_and_outputs_do_not_depend_on_each_other():
    R = Recurrence("lstm", 24, layer_norm=True)
    call, _ = stored(shaped(R, 6, 3), "bfloat16")
    np.testing.assert_array_equal(run(R, call, ""), run(R, call, "", tape=True))


def test_wrong_calls():
    R = Recurrence("lstm", 8)
    case = shaped(R, 2, 2)
    plain = {name: a for name, a in stored(case, "bfloat16")[0].items() if name != "storage"}
    scale = np.ones(32, np.float32)
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("bfloat16", {"storage": "int4"}, "int4"),
        ("bfloat16", {"storage": 3}, "storage"),
        ("bfloat16", {"w_hh": case.arrays["w_hh"].astype(np.float32)}, "w_hh"),
        ("bfloat16", {"w_hh": plain["w_hh"][:, :-1].copy()}, "w_hh"),
        ("bfloat16", {"s_hh": scale}, "s_hh"),
        ("float16", {"w_ih": plain["w_ih"].view(np.int16)}, "w_ih"),
        ("int8", {"s_hh": None}, "s_hh"),
        ("int8", {"s_ih": scale[:-1].copy()}, "s_ih"),
        ("int8", {"s_ih": scale.astype(np.float64)}, "s_ih"),
        ("int8", {"s_hr": np.ones(8, np.float32)}, "s_hr"),
        ("int8", {"w_ih": plain["w_ih"]}, "w_ih"),
    ]
    for storage, change, words in wrong:
        call, _ = stored(case, storage)
        with named(storage, list(change)), pytest.raises(SettingError, match=words):
            run(R, call | change, "")
    wide = shaped(Recurrence("rnn_tanh", 1), 1, 1, inputs=2**16 + 1)
    with pytest.raises(SettingError, match="65537 columns, expected at most 65536"):
        run(Recurrence("rnn_tanh", 1), stored(wide, "int8")[0], "")
    call, _ = stored(case, "bfloat16")
    with pytest.raises(SettingError, match=r"storage|wrong type"):
        sequence.forward(R, "float64", call | {"out": np.zeros((2, 2, 8)), "h": None, "s": None})
    with pytest.raises(SettingError, match="backward"):
        sequence.backward(R, "float32", call)
