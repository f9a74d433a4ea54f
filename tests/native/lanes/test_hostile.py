"""Wrong calls of lanes raise an exception and change no weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from support.case import case, each
from support.kernels.native_calls import (
    Call,
    Change,
    alter,
    count_of,
    fresh,
    put,
    refused,
    run,
    simple,
)

pytestmark = pytest.mark.native


SIZES = ("inputs", "outputs", "blocks", "block_size")


def test_unchanged_calls_run():
    for learn in (True, False):
        for symbols in (True, False):
            run(fresh(learn=learn, symbols=symbols))


LANE = ("inputs", "targets", "offsets", "target_steps", "target_offsets")
ERRORS = ("max_abs", "sum_abs", "sum_sq")


def test_missing_arrays():
    for name in LANE + ERRORS:
        call = fresh()
        del call["data"][1][name]
        with case(name):
            refused(call)


WRONG: dict[str, tuple[Any, ...]] = {
    "update": ("", "epochs", None, 1),
    "gradient": ("", "snap:1", "bptt:3", "RTRL", None, 1),
    "depth": (-1, 1, 2**32 + 1, 2**63, -(2**70), 1.5, "1", None),
    "stride": (-1, 0, 2, 2**63, -(2**70), 1.5, "1", None),
    "initial_activation": (np.nan, np.inf, 1e300, "0", None),
    "threads": (0, -1, 10**9, 2**31, 2**70, 1.5, None),
    "instruction_set": ("none", "PLAIN", None, 1),
    "learn": ("yes", None, 2),
    "output_derivative": ("yes", None, 2),
    "derivative_floor": (-0.1, np.nan, np.inf, 1e300, "0", None),
    "derivative_offset": (-0.1, np.nan, np.inf, 1e300, "0", None),
    "error_tolerance": (-0.1, np.nan, np.inf, 1e300, "0", None),
    "data": ([], (), None, [1, 2, 3], [{}] * 3, ["a"] * 3, [None] * 2),
    "shape": ({}, None, []),
}


@pytest.mark.parametrize("name", WRONG)
def test_other_arguments(name):
    for value in WRONG[name]:
        call = fresh()
        put(name, value=value)(call)
        with case(value):
            refused(call)


@pytest.mark.parametrize("layer", ["memory", "simple"])
def test_wrong_settings_of_gradients(layer):
    for gradient, depth, stride, update in (
        ("bptt", -1, 1, "epoch"),
        ("bptt", 2**32 + 1, 1, "epoch"),
        ("bptt", 2**63 - 1, 1, "epoch"),
        ("bptt", 4, 0, "epoch"),
        ("bptt", 4, 5, "epoch"),
        ("bptt", 4, -(2**63), "epoch"),
        ("bptt", 0, 2, "epoch"),
        ("bptt", 0, 1, "step"),
        ("rtrl", 3, 1, "step"),
        ("rtrl", 0, 2, "step"),
        ("truncated", 1, 1, "step"),
        ("truncated", 0, 2, "step"),
        ("snap", 1, 1, "step"),
        ("snap", 0, 2, "step"),
        ("uoro", 1, 1, "step"),
        ("uoro", 0, 2, "step"),
    ):
        call = fresh() if layer == "memory" else simple()
        call.update(gradient=gradient, depth=depth, stride=stride, update=update)
        with case(gradient, depth, stride, update):
            refused(call)


def test_seeds_of_random_signs():
    """Every sequence needs a seed."""
    call = fresh()
    call.update(gradient="uoro", depth=0, stride=1)
    refused(call)
    busy = [lane for lane in call["data"] if lane is not None]
    for lane in busy:
        lane["seeds"] = np.zeros(len(lane["offsets"]) - 1, np.uint64)
    run(call)
    lane = next(lane for lane in busy if len(lane["offsets"]) > 2)
    for seeds in (
        *(None, "none", 1),
        *(np.zeros(n, np.uint64) for n in (0, 1)),
        *(np.zeros(shape, kind) for shape, kind in ((99, np.int64), ((1, 1), np.uint64))),
    ):
        lane["seeds"] = seeds
        with case(seeds):
            refused(call)


def test_blocks_too_large_for_snap():
    call = fresh()
    call["shape"].update(blocks=1, block_size=65)
    call.update(gradient="snap", depth=0, stride=1, data=[])
    call.update({name: call[name][:0] for name in ("rates", "cells_from")})
    call["weights"] = np.zeros((0, count_of(call["shape"])), np.float32)
    refused(call)


@each(
    "name, value",
    [("output_derivative", False), ("derivative_floor", 0.1), ("derivative_offset", 0.1)],
)
def test_united_outputs_have_their_own_derivative(name, value):
    call = simple("united")
    call[name] = value
    refused(call, "for united outputs")


def with_factors() -> Call:
    call = fresh()
    return {**call, "factors": np.ones(call["weights"].shape[1], np.float32)}


def test_factors():
    run(with_factors())
    for how, spoil in {**SPOILT, **CONVERTED}.items():
        call = with_factors()
        if how != "None":
            alter("factors", by=spoil)(call)
            with case(how):
                refused(call)
    for value in (np.nan, np.inf, -np.inf):
        call = with_factors()
        call["factors"][-1] = value
        refused(call, "factors are not finite")
    call = with_factors()
    call["factors"] = call["weights"][1]
    refused(call, "share memory")


SPOILT: dict[str, Callable[[np.ndarray], Any]] = {
    "a list": lambda a: a.tolist(),
    "None": lambda a: None,
    "complex": lambda a: a.astype(complex),
    "objects": lambda a: a.astype(object),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "one more dimension": lambda a: a[None],
    "no dimension": lambda a: a.reshape(-1)[:1].reshape(()),
    "one row less": lambda a: a[:-1].copy(),
    "one row more": lambda a: np.concatenate([a, a[-1:]]),
    "nothing": lambda a: a[:0].copy(),
}
# nanobind could convert these to a copy. It would be written and thrown away, or read after it was
# freed.
CONVERTED: dict[str, Callable[[np.ndarray], Any]] = {
    "float64": lambda a: a.astype(np.float64),
    "int16": lambda a: np.zeros(a.shape, np.int16),
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
}


@pytest.mark.parametrize("name", LANE + ERRORS)
def test_arrays_of_a_lane(name):
    for how, spoil in {**SPOILT, **CONVERTED}.items():
        call = fresh()
        alter("data", 2, name, by=spoil)(call)
        with case(how):
            refused(call)


@pytest.mark.parametrize("name", ["weights", "rates", "cells_from"])
def test_arrays_of_all_lanes(name):
    for how, spoil in {**SPOILT, **(CONVERTED if name == "weights" else {})}.items():
        call = fresh()
        alter(name, by=spoil)(call)
        with case(how):
            refused(call)


def test_read_only_arrays():
    for name in ("weights", *ERRORS):
        call = fresh()
        (call["weights"] if name == "weights" else call["data"][0][name]).setflags(write=False)
        with case(name):
            refused(call)


def filled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def fill(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[-1] = value
        return array

    return fill


CONTENTS: dict[str, tuple[bool, Change]] = {
    "NaN target": (False, alter("data", 1, "targets", by=filled(np.nan))),
    "symbol I": (True, alter("data", 1, "inputs", by=filled(3))),
    "symbol -1": (True, alter("data", 1, "inputs", by=filled(-1))),
    "symbol 2^31 - 1": (True, alter("data", 1, "inputs", by=filled(2**31 - 1))),
    "class O": (True, alter("data", 1, "targets", by=filled(2))),
    "class -2^31": (True, alter("data", 1, "targets", by=filled(-(2**31)))),
    "NaN rate": (False, alter("rates", by=filled(np.nan))),
    "infinite rate": (False, alter("rates", by=filled(np.inf))),
}


def test_contents():
    for what, (symbols, change) in CONTENTS.items():
        call = fresh(symbols=symbols)
        change(call)
        with case(what):
            refused(call)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_inputs_that_are_not_finite(value):
    """They are found while the kernel runs. Weights are then as before, in all lanes."""
    call = fresh(symbols=False)
    alter("data", 1, "inputs", by=filled(value))(call)
    before = call["weights"].copy()
    with pytest.raises(ValueError, match=r"data\[1\]: inputs are not finite"):
        run(call)
    np.testing.assert_array_equal(call["weights"], before)


numbers = st.one_of(
    st.integers(-2, 12), st.sampled_from([-(2**63), 2**63 - 1, 2**62, 2**31, -(2**31), 2**32])
)
positions = arrays.arrays(np.int64, st.integers(0, 12), elements=numbers)


def fits(lane: dict[str, np.ndarray]) -> bool:
    """Whether all positions are in the ranges that ``native/common/carrousel.h`` states."""
    steps, goals = len(lane["inputs"]), len(lane["targets"])
    offsets, firsts = lane["offsets"].tolist(), lane["target_offsets"].tolist()
    places = lane["target_steps"].tolist()
    if [len(firsts), len(places)] != [len(offsets), goals] or len(offsets) != 3:
        return False
    if (offsets[0], offsets[-1], firsts[0], firsts[-1]) != (0, steps, 0, goals):
        return False
    if sorted(set(offsets)) != offsets or sorted(firsts) != firsts:
        return False
    if sorted(set(places)) != places:
        return False
    runs = zip(offsets, offsets[1:], firsts, firsts[1:], strict=False)
    return all(a <= place < b for a, b, m, n in runs for place in places[m:n])


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "offsets": st.one_of(positions, st.integers(0, 9).map(lambda n: np.array([0, n, 9]))),
            "target_steps": st.one_of(
                positions, st.lists(st.integers(-1, 10), min_size=9, max_size=9).map(np.array)
            ),
            "target_offsets": st.one_of(
                positions, st.integers(-1, 10).map(lambda n: np.array([0, n, 9]))
            ),
        },
    ),
    st.booleans(),
    st.booleans(),
)
def test_positions_out_of_range_are_refused(changes, learn, symbols):
    call = fresh(learn=learn, symbols=symbols)
    call["data"][2].update(changes)
    if fits(call["data"][2]):
        run(call)
    else:
        refused(call)


@settings(max_examples=100)
@given(
    st.fixed_dictionaries(
        {name: st.sampled_from([1, 2, 3, 16, 17, 4096, 2**24, 2**24 + 1, 0]) for name in SIZES}
    ),
    st.sampled_from(["step", "sequence", "epoch"]),
    st.sampled_from([("truncated", 0), ("bptt", 1), ("bptt", 2**32), ("rtrl", 0)]),
    st.booleans(),
    st.booleans(),
)
def test_networks_too_large_for_memory(sizes, update, gradient, forget_gate, learn):
    """Without lanes, so that weights need no memory. The sizes must not overflow."""
    call = fresh(learn=learn)
    call["shape"].update(sizes, forget_gate=int(forget_gate))
    call.update(gradient=gradient[0], depth=gradient[1])
    limits = {"inputs": 2**24, "outputs": 2**24, "blocks": 4096, "block_size": 4096}
    possible = all(1 <= sizes[name] <= most for name, most in limits.items())
    none = {name: value[:0] for name, value in call.items() if isinstance(value, np.ndarray)}
    count = count_of(call["shape"])
    cells = sizes["blocks"] * sizes["block_size"]
    units = cells + (2 + forget_gate) * sizes["blocks"]
    # Sensitivities: one of every unit and state by every hidden weight.
    kept = (units + cells) * units * (sizes["inputs"] + units + 1)
    kept = count + kept * (learn and gradient[0] == "rtrl")
    width = count if possible else 1
    call.update(none, data=[], update=update, weights=np.zeros((0, width), np.float32))
    if not possible or kept > 2**38:  # 2^38 floats are the kernels' own limit, 1 TiB
        refused(call)
    elif kept < 2**20:
        run(call)
