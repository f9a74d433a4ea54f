"""Wrong calls of the native step raise an exception and leave the object unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Recurrence
from carrousel.kernels.native.sequence import _description
from support.case import case
from support.kernels.recurrent_cases import Case
from support.kernels.spoilt import REFUSALS, SPOILT, is_still_good
from support.kernels.step_calls import CLASSES, layer_cases, open_native, run_all, weights_of

pytestmark = pytest.mark.native

T, B = 3, 2
# Together they use every array.
STACKS = {
    "peephole": Recurrence("peephole", 3, projection=2, layer_norm=True),
    "gru": Recurrence("gru", 3),
}
every_stack = pytest.mark.parametrize("stack", STACKS)
every_layer = pytest.mark.parametrize("layer", [0, 1])


def good(stack: str) -> tuple[Recurrence, list[Case], list[dict[str, Any]]]:
    R = STACKS[stack]
    cases = layer_cases(R, 2, T, B)
    return R, cases, weights_of(cases, "float64")


def names_of(weights: dict[str, Any]) -> list[str]:
    return [name for name, array in weights.items() if array is not None]


@every_stack
def test_unchanged_calls_run(stack):
    R, cases, weights = good(stack)
    assert np.isfinite(
        run_all(open_native(R, weights, "float64", batch=B), cases[0].arrays["x"])
    ).all()


@every_stack
@every_layer
def test_weights_of_a_wrong_type_shape_or_layout(stack, layer):
    R, cases, weights = good(stack)
    native = open_native(R, weights, "float64", batch=B)
    x = cases[0].arrays["x"]
    before = run_all(native, x)
    for name in names_of(weights[layer]):
        array = weights[layer][name]
        for how, spoil in SPOILT.items():
            spoilt = spoil(array)
            if is_still_good(spoilt, array):
                continue
            weights[layer][name] = spoilt
            with case(name, how), pytest.raises(REFUSALS, match=rf"\b{name}\b"):
                open_native(R, weights, "float64", batch=B)
            with case(name, how), pytest.raises(REFUSALS, match=rf"\b{name}\b"):
                native.load(weights)
        weights[layer][name] = array
        native.reset()
        np.testing.assert_array_equal(run_all(native, x), before, err_msg=name)


@every_stack
@every_layer
def test_missing_weights(stack, layer):
    optional = {"bias", "fresh_h", "fresh_s"} | ({"unit"} if stack == "gru" else set())
    for name in names_of(good(stack)[2][layer]):
        R, _, weights = good(stack)
        native = open_native(R, weights, "float64", batch=B)
        weights[layer][name] = None
        with case(name), pytest.raises(REFUSALS):  # the layer was created with this array
            native.load(weights)
        if name not in optional:
            with case(name), pytest.raises(REFUSALS, match=name):
                open_native(R, weights, "float64", batch=B)
        del weights[layer][name]
        with case(name), pytest.raises(REFUSALS):
            open_native(R, weights, "float64", batch=B)


@pytest.mark.parametrize("name", ["unit", "w_hr", "ln_ih", "ln_hh", "ln_c"])
def test_weights_that_the_recurrence_does_not_have(name):
    R = Recurrence("rnn_tanh", 3)
    weights = weights_of(layer_cases(R, 1, T, B), "float64")
    native = open_native(R, weights, "float64", batch=B)
    shapes = {"unit": (0, 3), "w_hr": (3, 3), "ln_ih": (3,), "ln_hh": (3,), "ln_c": (2, 3)}
    weights[0][name] = np.ones(shapes.get(name, (3,)))
    if name != "unit":
        with pytest.raises(REFUSALS, match=name):
            open_native(R, weights, "float64", batch=B)
    with pytest.raises(REFUSALS):
        native.load(weights)


def test_lists_of_layers():
    R, _, whole = good("gru")
    native = open_native(R, whole, "float64", batch=B)
    for weights in ([], [None], [1], ["w"], None, {}, "ab", [{}], [[]], 3):
        with case(weights), pytest.raises(REFUSALS):
            open_native(R, weights, "float64", batch=B)
        with case(weights), pytest.raises(REFUSALS):
            native.load(weights)
    for weights in (whole[:1], [*whole, whole[1]]):
        with case(len(weights)), pytest.raises(REFUSALS):
            native.load(weights)
    native.run()


def test_batch_and_inputs():
    R, _, weights = good("gru")
    for value in (0, -1, 2**20 + 1, 2**31, 2**63, -(2**70), 1.5, "1", None, [1]):
        with case(value), pytest.raises(REFUSALS):
            open_native(R, weights, "float64", batch=value)
        with case(value), pytest.raises(REFUSALS):
            open_native(R, weights, "float64", batch=B, inputs=value)


def test_shares_of_zoneout():
    R, _, weights = good("gru")
    for value in (-0.1, 1.1, np.nan, np.inf, -np.inf, "0", None):
        for zones in ((value, 0.0), (0.0, value)):
            with case(zones), pytest.raises(REFUSALS):
                open_native(R, weights, "float64", batch=B, zones=zones)


def test_unknown_instruction_sets():
    R, _, weights = good("gru")
    for isa in ("avx1024", 3, None):
        with case(isa), pytest.raises(REFUSALS):
            open_native(R, weights, "float64", batch=B, isa=isa)


# gru does not use ranges and addresses, so they may be any number.
SIZES = [
    name
    for name in _description(STACKS["gru"], "float64")
    if name not in ("g_range", "h_range", "forward", "backward")
]


@pytest.mark.parametrize("name", SIZES)
def test_sizes_of_the_description(name):
    R, _, weights = good("gru")
    description = dict(_description(R, "float64"))
    for value in (-1, 2**31, 2**63, "1", None, [1]):
        description[name] = value
        with case(value), pytest.raises(REFUSALS):
            CLASSES["float64"](description, weights, B, 5)
    del description[name]
    with pytest.raises(REFUSALS):
        CLASSES["float64"](description, weights, B, 5)


@pytest.mark.parametrize("name", ["g_range", "h_range", "forward", "backward"])
def test_ranges_and_addresses(name):
    R, _, weights = good("gru")
    for value in (-1.5, np.nan, "1", None, [1]):
        with case(value), pytest.raises(REFUSALS):
            CLASSES["float64"](dict(_description(R, "float64")) | {name: value}, weights, B, 5)


def test_reset_of_unknown_rows():
    R, cases, weights = good("gru")
    native = open_native(R, weights, "float64", batch=B)
    first = run_all(native, cases[0].arrays["x"])
    for row in (-1, B, 2**40, 2**63, 1.0, "0", [0]):
        with case(row), pytest.raises(REFUSALS):
            native.reset(row)
        native.reset()
        np.testing.assert_array_equal(run_all(native, cases[0].arrays["x"]), first)


def test_states():
    R, _, weights = good("peephole")
    native = open_native(R, weights, "float64", batch=B)
    h, s = np.zeros((2, B, R.n_sources)), np.zeros((2, B, R.n_states))
    native.write_state(h, s)
    for how, spoil in SPOILT.items():
        for pair in ((spoil(h), s), (h, spoil(s))):
            if all(is_still_good(a, b) for a, b in zip(pair, (h, s), strict=True)):
                continue
            for call in (native.read_state, native.write_state):
                with case(how), pytest.raises(REFUSALS, match=r"\b[hs]\b"):
                    call(*pair)
    np.testing.assert_array_equal(h, 0.0)


def test_states_that_are_read_only_or_overlap():
    R = Recurrence("lstm", 3)
    weights = weights_of(layer_cases(R, 1, T, B), "float64")
    native = open_native(R, weights, "float64", batch=B)
    h, s = np.zeros((1, B, 3)), np.zeros((1, B, 3))
    with pytest.raises(REFUSALS, match="overlaps"):
        native.read_state(h, h)
    h.flags.writeable = False
    with pytest.raises(REFUSALS, match="h"):
        native.read_state(h, s)
    native.write_state(h, h)  # both are only read, so one array may serve twice


def test_buffers_cannot_be_assigned():
    R, _, weights = good("gru")
    native = open_native(R, weights, "float64", batch=B)
    with pytest.raises(AttributeError):
        native.input = np.zeros((B, 5))
