"""The sequence kernels, and numbers that are none, are too large, or contradict others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.kernels.native.sequence import _description, extra_width
from support.kernels.sequence_calls import LAYERS, B, Call, T, refused

pytestmark = pytest.mark.native

both_ways = pytest.mark.parametrize("learn", [False, True], ids=["forward", "backward"])

NOT_SHARES = (-0.1, 1.1, np.nan, np.inf, "0", None)
NOT_NUMBERS = (2**63, -(2**70), 1.5, "1", None, [1], np.nan)
COUNTS = tuple(name for name in _description(LAYERS["gru"], "float64") if "range" not in name)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, 2**24 + 1, 2**33, 2**62, *NOT_NUMBERS])
def test_numbers_of_the_description(name, value):
    if name in ("forward", "backward") and isinstance(value, int) and 0 < value < 2**64:
        return  # an address; not called by these cells
    call = Call()
    call.description[name] = value
    refused(call)


@pytest.mark.parametrize("name", ["g_range", "h_range"])
@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, -np.inf, "1", None])
def test_ranges(name, value):
    call = Call()
    call.description[name] = value
    refused(call)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("batch", value) for value in (-1, 0, 1, 3, 2**31 + 1, 2**62, *NOT_NUMBERS)],
        *[("inputs", value) for value in (-1, 0, 4, 6, 2**31 + 1, 2**62, *NOT_NUMBERS)],
        *[("steps", value) for value in (-1, 0, 3, 5, 2**40 + 1, 2**62, *NOT_NUMBERS)],
        *[("threads", value) for value in (0, -1, 1025, 2**31, *NOT_NUMBERS)],
        *[("cut", value) for value in (-2, 2**31, -(2**31) - 1, *NOT_NUMBERS)],
        *[("window", value) for value in (-1, 2**40 + 1, 2**62, *NOT_NUMBERS)],
        *[("recompute", value) for value in (-1, 2**40 + 1, 2**62, *NOT_NUMBERS)],
        *[("samples", value) for value in (-1, 3, 4, 2**31 + 1, 2**62, *NOT_NUMBERS)],
        *[("sources", value) for value in (False, 2, "yes", None)],
        *[("reverse", value) for value in (2, "yes", None)],
        *[("instruction_set", value) for value in ("none", "PLAIN", None, 1)],
        *[("zone_h", value) for value in NOT_SHARES],
        *[("zone_s", value) for value in NOT_SHARES],
    ],
)
@both_ways
def test_other_numbers(learn, name, value):
    refused(Call(learn=learn).put(name, value))


@both_ways
def test_segments_that_the_tape_does_not_have(learn):
    for have, say in ((2, 1), (2, 4), (0, 2), (2, 0)):
        if learn or have:
            refused(Call(learn=learn, recompute=have).put("recompute", say))


def test_long_windows_and_segments_are_the_whole():
    expected = Call()
    expected.run()
    for name in ("window", "recompute"):
        call = Call().put(name, 2**40)
        call.run()
        np.testing.assert_array_equal(call.call["out"], expected.call["out"])


@pytest.mark.parametrize("name", ["units", "g_range", "steps", "reverse"])
def test_a_number_of_the_wrong_type_is_named(name):
    call = Call()
    (call.description if name in call.description else call.call)[name] = "one"
    refused(call, name)


@pytest.mark.parametrize(("steps", "batch"), [(2**40, 0), (0, 2**31), (2**40, 2**31)])
def test_sizes_that_overflow(steps, batch):
    """Arrays of no elements may have any shape; counting must not wrap around."""
    call = Call("gru")
    nothing: dict[str, Any] = dict.fromkeys(("drop", "keep_h", "keep_s", "flags"))
    call.call |= nothing | {"batch": batch, "steps": steps}
    call.call |= {name: np.zeros((0, 3)) for name in ("h", "h0")}
    call.call |= {name: np.zeros((batch, 0)) for name in ("s", "s0")}
    for name, width in (("out", 3), ("gates", 9), ("x", 5), ("extra", 6), ("states", 0)):
        call.call[name] = np.zeros((2**40, 0, width))
    if batch:
        refused(call, "has shape|too large")
    else:
        call.run()


def test_descriptions_that_contradict_themselves():
    for changes in (
        {"units": 4},
        {"sources": 3},
        {"sources": 0},
        {"net_inputs": 9},
        {"states": 0},
        {"states": 2},
        {"unit_parameters": 2},
        {"block_size": 3},
        {"block_size": 0},
        {"gate_sources": 1},
        {"projection": 0},
        {"layer_norm": 1},
        {"kind": 0},
        {"kind": 5},
        {"kind": 8},
    ):
        call = Call()
        call.description |= changes
        refused(call)


def test_described_cells_need_addresses_and_bias_only_where_inputs_are_theirs():
    good = {"kind": 8, "net_inputs": 3, "unit_parameters": 0, "tape": 1}
    for changes in ({}, {"forward": 1}, {"backward": 1}):
        call = Call("gru")
        call.description |= good | changes
        refused(call, "compiled functions")
    call.description |= {"forward": 1, "backward": 1}  # never called
    call.call |= {"w_ih": None, "w_hh": np.zeros((3, 3)), "bias": np.zeros(3), "unit": None}
    refused(call.put("x", np.zeros((T, B, 3))), "bias")


@pytest.mark.parametrize("name", ["flags", "drop"])
@both_ways
def test_sources_must_be_kept_for_flags_and_dropout(name, learn):
    """Even where the tape has the width that goes without."""
    call = Call(learn=learn).put("sources", False)
    call.put("drop" if name == "flags" else "flags", None)
    call.put("extra", np.zeros((T, B, extra_width(call.R, False))))
    refused(call, f"{name} needs? sources")
