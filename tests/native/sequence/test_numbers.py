"""Sequence kernels refuse settings that are not numbers, too large, or contradictory."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from carrousel.kernels.native.sequence import _description, extra_width
from support.case import case
from support.kernels.sequence_calls import LAYERS, B, Call, T, refused

pytestmark = pytest.mark.native

both_ways = pytest.mark.parametrize("learn", [False, True], ids=["forward", "backward"])

NOT_SHARES = (-0.1, 1.1, np.nan, np.inf, "0", None)
NOT_NUMBERS = (2**63, -(2**70), 1.5, "1", None, [1], np.nan)
COUNTS = tuple(name for name in _description(LAYERS["gru"], "float64") if "range" not in name)


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_the_description(name):
    call = Call()
    for value in (-1, 2**24 + 1, 2**33, 2**62, *NOT_NUMBERS):
        if name in ("forward", "backward") and isinstance(value, int) and 0 < value < 2**64:
            continue  # an address, which these cells do not call
        call.description[name] = value
        with case(value):
            refused(call)


def test_ranges():
    for name, value in itertools.product(
        ("g_range", "h_range"), (0, -1.0, np.nan, np.inf, -np.inf, "1", None)
    ):
        call = Call()
        call.description[name] = value
        with case(name, value):
            refused(call)


WRONG: dict[str, tuple[Any, ...]] = {
    "batch": (-1, 0, 1, 3, 2**31 + 1, 2**62, *NOT_NUMBERS),
    "inputs": (-1, 0, 4, 6, 2**31 + 1, 2**62, *NOT_NUMBERS),
    "steps": (-1, 0, 3, 5, 2**40 + 1, 2**62, *NOT_NUMBERS),
    "threads": (0, -1, 1025, 2**31, *NOT_NUMBERS),
    "cut": (-2, 2**31, -(2**31) - 1, *NOT_NUMBERS),
    "window": (-1, 2**40 + 1, 2**62, *NOT_NUMBERS),
    "recompute": (-1, 2**40 + 1, 2**62, *NOT_NUMBERS),
    "samples": (-1, 3, 4, 2**31 + 1, 2**62, *NOT_NUMBERS),
    "sources": (False, 2, "yes", None),
    "reverse": (2, "yes", None),
    "instruction_set": ("none", "PLAIN", None, 1),
    "zone_h": NOT_SHARES,
    "zone_s": NOT_SHARES,
}


@both_ways
@pytest.mark.parametrize("name", WRONG)
def test_settings_of_a_call(learn, name):
    call = Call(learn=learn)
    for value in WRONG[name]:
        with case(value):
            refused(call.put(name, value))


@both_ways
def test_segments_that_the_tape_does_not_have(learn):
    for recorded, given in ((2, 1), (2, 4), (0, 2), (2, 0)):
        if learn or recorded:
            with case(recorded, given):
                refused(Call(learn=learn, recompute=recorded).put("recompute", given))


def test_windows_and_segments_longer_than_the_data():
    expected = Call()
    expected.run()
    for name in ("window", "recompute"):
        call = Call().put(name, 2**40)
        call.run()
        np.testing.assert_array_equal(call.call["out"], expected.call["out"])


def test_messages_name_a_setting_of_a_wrong_type():
    for name in ("units", "g_range", "steps", "reverse"):
        call = Call()
        (call.description if name in call.description else call.call)[name] = "one"
        refused(call, name)


@pytest.mark.parametrize(("steps", "batch"), [(2**40, 0), (0, 2**31), (2**40, 2**31)])
def test_sizes_that_overflow(steps, batch):
    """Empty arrays may have any shape. The number of their elements must not overflow."""
    call = Call("gru")
    nothing: dict[str, Any] = dict.fromkeys(("drop", "keep_h", "keep_s", "flags"))
    call.call |= nothing | {"batch": batch, "steps": steps}
    call.call |= {name: np.zeros((0, 3)) for name in ("h", "h0")}
    call.call |= {name: np.zeros((batch, 0)) for name in ("s", "s0")}
    for name, width in (("out", 3), ("gates", 9), ("x", 5), ("extra", 6), ("states", 0)):
        call.call[name] = np.zeros((2**40, 0, width))
    if batch:
        refused(call, "has shape|would have more than")
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
        with case(changes):
            refused(call)


def test_described_cells_need_addresses_and_w_ih_for_a_bias():
    good = {"kind": 8, "net_inputs": 3, "first_rows": 3, "unit_parameters": 0, "tape": 1}
    for changes in ({}, {"forward": 1}, {"backward": 1}):
        call = Call("gru")
        call.description |= good | changes
        refused(call, "compiled functions")
    call.description |= {"forward": 1, "backward": 1}  # never called
    call.call |= {"w_ih": None, "w_hh": np.zeros((3, 3)), "bias": np.zeros(3), "unit": None}
    refused(call.put("x", np.zeros((T, B, 3))), "bias")


def test_products_of_described_cells_are_checked():
    product = {"rows": 3, "source": 1, "back": 1}
    good = {"kind": 8, "net_inputs": 6, "unit_parameters": 0, "tape": 1}
    good |= {"forward": 1, "backward": 1, "first_rows": 3, "products": [product]}
    for changes, match in (
        ({"products": []}, "must add up to net_inputs"),
        ({"first_rows": 6}, "must add up to net_inputs"),
        ({"products": [product | {"source": 0}]}, "products must have rows and the compiled"),
        ({"products": [product | {"rows": 0}]}, "products must have rows and the compiled"),
        ({"products": [product] * 9}, "products is 9"),
        ({"products": 3}, "products has the wrong type"),
        ({"layer_norm": 1}, "products exclude a projection and layer_norm"),
        ({"kind": 5, "forward": 0, "backward": 0}, "net_inputs"),
    ):
        call = Call("gru")
        call.description |= good | changes
        refused(call, match)
    call = Call("gru")
    call.description |= {"recurrent": 0}
    refused(call, "first_rows must be net_inputs, and recurrent 1 without products")


@both_ways
def test_flags_and_dropout_need_sources_on_the_tape(learn):
    """Even if the tape has the width of one without sources."""
    for name in ("flags", "drop"):
        call = Call(learn=learn).put("sources", False)
        call.put("drop" if name == "flags" else "flags", None)
        call.put("extra", np.zeros((T, B, extra_width(call.R, False))))
        refused(call, rf"{name} (is|are) given, but sources is false")
