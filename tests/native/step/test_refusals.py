"""The native step, called with whatever does not fit: an exception, and the object as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Recurrence
from carrousel.kernels.native.sequence import _description
from support.kernels.recurrent_cases import Case
from support.kernels.spoilt import REFUSALS, SPOILT, is_still_good
from support.kernels.step_calls import CLASSES, layer_cases, open_native, run_all, weights_of

pytestmark = pytest.mark.native

T, B = 3, 2
# Between the two, every array there is.
STACKS = {
    "peephole": Recurrence("peephole", 3, projection=2, layer_norm=True),
    "gru": Recurrence("gru", 3),
}
PLACES = [
    (stack, layer, name)
    for stack, R in STACKS.items()
    for layer in (0, 1)
    for name, array in weights_of(layer_cases(R, 2, T, B), "float64")[layer].items()
    if array is not None
]


def good(stack: str) -> tuple[Recurrence, list[Case], list[dict[str, Any]]]:
    R = STACKS[stack]
    cases = layer_cases(R, 2, T, B)
    return R, cases, weights_of(cases, "float64")


@pytest.mark.parametrize("stack", STACKS)
def test_the_calls_that_are_spoilt_below_are_good(stack):
    R, cases, weights = good(stack)
    assert np.isfinite(
        run_all(open_native(R, weights, "float64", batch=B), cases[0].arrays["x"])
    ).all()


@pytest.mark.parametrize(("stack", "layer", "name"), PLACES)
def test_weights(stack, layer, name):
    R, cases, weights = good(stack)
    native = open_native(R, weights, "float64", batch=B)
    x = cases[0].arrays["x"]
    before = run_all(native, x)
    array = weights[layer][name]
    for spoil in SPOILT.values():
        spoilt = spoil(array)
        if is_still_good(spoilt, array):
            continue
        weights[layer][name] = spoilt
        with pytest.raises(REFUSALS, match=rf"\b{name}\b"):
            open_native(R, weights, "float64", batch=B)
        with pytest.raises(REFUSALS, match=rf"\b{name}\b"):
            native.load(weights)
    native.reset()
    np.testing.assert_array_equal(run_all(native, x), before)


@pytest.mark.parametrize(("stack", "layer", "name"), PLACES)
def test_weights_that_are_missing(stack, layer, name):
    R, _, weights = good(stack)
    native = open_native(R, weights, "float64", batch=B)
    optional = {"bias", "fresh_h", "fresh_s"} | ({"unit"} if stack == "gru" else set())
    weights[layer][name] = None
    with pytest.raises(REFUSALS):  # the layer was made with this part
        native.load(weights)
    if name not in optional:
        with pytest.raises(REFUSALS, match=name):
            open_native(R, weights, "float64", batch=B)
    del weights[layer][name]
    with pytest.raises(REFUSALS):
        open_native(R, weights, "float64", batch=B)


@pytest.mark.parametrize("name", ["unit", "w_hr", "ln_ih", "ln_hh", "ln_c"])
def test_weights_that_no_place_is_for(name):
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


@pytest.mark.parametrize("weights", [[], [None], [1], ["w"], None, {}, "ab", [{}], [[]], 3])
def test_lists_of_layers(weights):
    R, _, whole = good("gru")
    with pytest.raises(REFUSALS):
        open_native(R, weights, "float64", batch=B)
    native = open_native(R, whole, "float64", batch=B)
    for given in (weights, whole[:1], [*whole, whole[1]]):
        with pytest.raises(REFUSALS):
            native.load(given)
    native.run()


@pytest.mark.parametrize("value", [0, -1, 2**20 + 1, 2**31, 2**63, -(2**70), 1.5, "1", None, [1]])
def test_numbers(value):
    R, _, weights = good("gru")
    with pytest.raises(REFUSALS):
        open_native(R, weights, "float64", batch=value)
    with pytest.raises(REFUSALS):
        open_native(R, weights, "float64", batch=B, inputs=value)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf, -np.inf, "0", None])
def test_shares(value):
    R, _, weights = good("gru")
    for zones in ((value, 0.0), (0.0, value)):
        with pytest.raises(REFUSALS):
            open_native(R, weights, "float64", batch=B, zones=zones)


@pytest.mark.parametrize("isa", ["avx1024", 3, None])
def test_instruction_sets_that_are_not_there(isa):
    R, _, weights = good("gru")
    with pytest.raises(REFUSALS):
        open_native(R, weights, "float64", batch=B, isa=isa)


# Ranges and addresses, which gru does not use, may be any number.
SIZES = [
    name
    for name in _description(STACKS["gru"], "float64")
    if name not in ("g_range", "h_range", "forward", "backward")
]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [-1, 2**31, 2**63, "1", None, [1]])
def test_descriptions(name, value):
    R, _, weights = good("gru")
    description = dict(_description(R, "float64"))
    description[name] = value
    with pytest.raises(REFUSALS):
        CLASSES["float64"](description, weights, B, 5)
    del description[name]
    with pytest.raises(REFUSALS):
        CLASSES["float64"](description, weights, B, 5)


@pytest.mark.parametrize("name", ["g_range", "h_range", "forward", "backward"])
@pytest.mark.parametrize("value", [-1.5, np.nan, "1", None, [1]])
def test_ranges_and_addresses_that_are_none(name, value):
    R, _, weights = good("gru")
    with pytest.raises(REFUSALS):
        CLASSES["float64"](dict(_description(R, "float64")) | {name: value}, weights, B, 5)


@pytest.mark.parametrize("row", [-1, B, 2**40, 2**63, 1.0, "0", [0]])
def test_rows_that_are_not_there(row):
    R, cases, weights = good("gru")
    native = open_native(R, weights, "float64", batch=B)
    first = run_all(native, cases[0].arrays["x"])
    with pytest.raises(REFUSALS):
        native.reset(row)
    native.reset()
    np.testing.assert_array_equal(run_all(native, cases[0].arrays["x"]), first)


def test_states():
    R, _, weights = good("peephole")
    native = open_native(R, weights, "float64", batch=B)
    h, s = np.zeros((2, B, R.n_sources)), np.zeros((2, B, R.n_states))
    native.write_state(h, s)
    for spoil in SPOILT.values():
        for pair in ((spoil(h), s), (h, spoil(s))):
            if all(is_still_good(a, b) for a, b in zip(pair, (h, s), strict=True)):
                continue
            for call in (native.read_state, native.write_state):
                with pytest.raises(REFUSALS, match=r"\b[hs]\b"):
                    call(*pair)
    np.testing.assert_array_equal(h, 0.0)


def test_states_that_may_not_be_written_or_overlap():
    R = Recurrence("lstm", 3)
    weights = weights_of(layer_cases(R, 1, T, B), "float64")
    native = open_native(R, weights, "float64", batch=B)
    h, s = np.zeros((1, B, 3)), np.zeros((1, B, 3))
    with pytest.raises(REFUSALS, match="overlaps"):
        native.read_state(h, h)
    h.flags.writeable = False
    with pytest.raises(REFUSALS, match="h"):
        native.read_state(h, s)
    native.write_state(h, h)  # read alone, so one array may be both


def test_buffers_cannot_be_exchanged():
    R, _, weights = good("gru")
    native = open_native(R, weights, "float64", batch=B)
    with pytest.raises(AttributeError):
        native.input = np.zeros((B, 5))
