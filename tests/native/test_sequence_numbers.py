"""The sequence kernels, and numbers that are none, are too large, or contradict others."""

from __future__ import annotations

import numpy as np
import pytest

from carrousel.kernels.sequence import _description
from sequence_calls import LAYERS, Call, refused

pytestmark = [pytest.mark.native, pytest.mark.wrong_types]

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
    refused(Call().put(name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("batch", value) for value in (-1, 1, 3, 2**31 + 1, 2**62, *NOT_NUMBERS)],
        *[("threads", value) for value in (0, -1, 1025, 2**31, *NOT_NUMBERS)],
        *[("cut", value) for value in (-2, 2**31, -(2**31) - 1, *NOT_NUMBERS)],
        *[("learn", value) for value in (2, "yes", None)],
        *[("sources", value) for value in (2, "yes", None)],
        *[("instruction_set", value) for value in ("none", "PLAIN", None, 1)],
        *[("steps", value) for value in (-1, 0, 3, 5, 2**40 + 1, 2**62, *NOT_NUMBERS)],
        *[("first", value) for value in (-1, 2**40 + 1, 2**62, *NOT_NUMBERS)],
        *[("reverse", value) for value in (2, "yes", None)],
        *[("zone_h", value) for value in NOT_SHARES],
        *[("zone_s", value) for value in NOT_SHARES],
    ],
)  # fmt: skip
@both_ways
def test_other_numbers(learn, name, value):
    refused(Call(learn=learn).put(name, value))


@pytest.mark.xfail(strict=True, reason="'std::bad_cast' says neither what nor where")
@pytest.mark.parametrize("name", ["units", "steps", "g_range", "reverse"])
def test_a_number_of_the_wrong_type_is_named(name):
    refused(Call().put(name, "one"), name)


@pytest.mark.parametrize(("steps", "batch"), [(2**40, 0), (0, 2**31), (2**40, 2**31)])
def test_sizes_that_overflow(steps, batch):
    """Arrays of no elements may have any shape; counting must not wrap around."""
    call = Call("gru")
    call.weights["drop"] = None
    call.opening |= {"batch": batch, "h": np.zeros((0, 3)), "s": np.zeros((batch, 0))}
    call.window |= {"steps": steps, "keep_h": None, "keep_s": None, "flags": None}
    for name, width in (("out", 3), ("gates", 9), ("x", 9), ("extra", 6), ("states", 0)):
        call.window[name] = np.zeros((2**40, 0, width))
    if batch:
        refused(call, "h has shape")
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
        {"layer_norm": 0},
        {"kind": 0},
        {"kind": 5},
        {"kind": 8},
    ):
        call = Call()
        call.description |= changes
        refused(call)


def test_described_cells_need_addresses_and_take_no_bias():
    good = {"kind": 8, "net_inputs": 3, "unit_parameters": 0, "tape": 1}
    for changes in ({}, {"forward": 1}, {"backward": 1}):
        call = Call("gru")
        call.description |= good | changes
        call.weights |= {"w_hh": np.zeros((3, 3)), "bias": None, "unit": None}
        refused(call, "compiled functions")
    call.description |= {"forward": 1, "backward": 1}
    call.weights["bias"] = np.zeros(3)
    refused(call, "bias")
