"""Wrong calls of the compiled chunker raise an exception and change no weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

from carrousel import _native
from carrousel.contracts import Network, Simple
from support.case import case
from support.drawn import Kind
from support.kernels.chunker_pairs import Pair
from support.kernels.native_calls import Call, Change, alter, put
from support.kernels.spoilt import REFUSALS, SPOILT, is_still_good

pytestmark = pytest.mark.native

LEARN, PREDICT = "learn_chunkers", "predict_chunkers"
LANE = ("inputs", "targets", "offsets", "target_steps", "target_offsets")
WRITTEN = {LEARN: ("max_abs", "sum_abs", "sum_sq", "surprises"), PREDICT: ("outputs",)}


def fresh(function: str = LEARN, *, symbols: bool = True) -> Call:
    """Arguments that the wrapper passes to the extension, without calling it."""
    below = Network(5, 7, Simple(2), wiring="direct", bias="all")
    above = Network(7, 7, Simple(2), bias="all")  # two digits, and one vector of hidden units
    pair = Pair(below, above, Kind(symbols, symbols, "all"), 0.5, 0.25, 3, lanes=3, seed=4)
    kernel, calls = pair.native(), []
    with mock.patch.object(_native, function, lambda **call: calls.append(call)):
        if function == LEARN:
            kernel.learn(*pair.weights(), pair.data())
        else:
            kernel.predict(pair.weights()[0], pair.data())
    [call] = calls
    assert all(lane is not None and len(lane["offsets"]) > 2 for lane in call["data"][:2])
    return call


def held(call: Call) -> list[np.ndarray]:
    lanes = [lane for lane in call["data"] or [] if isinstance(lane, dict)]
    found = [call["below"], call.get("above"), *[v for lane in lanes for v in lane.values()]]
    return [array.copy() for array in found if isinstance(array, np.ndarray)]


def refused(function: str, change: Change, match: str | None = None, **kind: bool) -> None:
    call = fresh(function, **kind)
    call["job"] = {**call["job"], "below": {**call["job"]["below"]},
                   "above": {**call["job"]["above"]}}  # fmt: skip
    change(call)
    before = held(call)
    with pytest.raises(REFUSALS, match=match):
        getattr(_native, function)(**call)
    for now, then in zip(held(call), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("function", [LEARN, PREDICT])
def test_unchanged_calls_run(function):
    for symbols in (True, False):
        getattr(_native, function)(**fresh(function, symbols=symbols))


HUGE = (-1, 2**31, 2**62, 2**63, -(2**70), 1.5, "1", None, [1])


@pytest.mark.parametrize("function", [LEARN, PREDICT])
def test_numbers_of_the_nets(function):
    for net in ("below", "above"):
        for name in ("inputs", "units", "outputs", "tanh", "direct", "hidden_bias", "output_bias"):
            for value in (*HUGE, 0 if name in ("inputs", "units", "outputs") else 2):
                with case(net, name, value):
                    refused(function, put("job", net, name, value=value))
                with case(net, name, "missing"):
                    refused(function, lambda call, n=net, k=name: call["job"][n].pop(k))


WRONG: dict[str, tuple[Any, ...]] = {
    "depth": (0, 2**21, *HUGE),
    "rate": (np.nan, np.inf, 1e300, "1", None),
    "threshold": (0.0, -1.0, np.nan, 1e-300, "1", None),
    "symbols": (2, *HUGE),
    "classes": (2, *HUGE),
    "below": (None, {}, 1),
    "above": (None, {}, 1),
}


@pytest.mark.parametrize("name", WRONG)
def test_settings_of_the_pair(name):
    for value in WRONG[name]:
        with case(value):
            refused(LEARN, put("job", name, value=value))


@pytest.mark.parametrize(
    ("net", "name", "value", "match"),
    [
        ("above", "inputs", 4, r"above has 4 inputs, expected 5 and 0\.\.32 digits"),
        ("above", "inputs", 38, r"38 inputs, expected 5 and 0\.\.32 digits"),
        ("above", "outputs", 2, "2 outputs, expected more than the 2 digits"),
        ("below", "outputs", 6, "6 outputs, expected 5 and those that predict no"),
        ("below", "outputs", 15, "15 outputs, expected 5 and those that predict no"),
    ],
)
def test_nets_that_do_not_fit_together(net, name, value, match):
    refused(LEARN, put("job", net, name, value=value), match)


def test_other_arguments():
    wrong: dict[str, tuple[Any, ...]] = {
        "threads": (0, -1, 1025, 2**70, 1.5, None),
        "instruction_set": ("none", "PLAIN", None, 1),
        "data": ([], (), None, [1, 2, 3], [{}] * 3, ["a"] * 3, [None] * 2),
        "job": ({}, None, []),
    }
    for name, values in wrong.items():
        for value in values:
            with case(name, value):
                refused(LEARN, put(name, value=value))


def spoilt(array: np.ndarray) -> list[tuple[str, Any]]:
    """Wrong arrays in place of a right one."""
    more: dict[str, Callable[[np.ndarray], Any]] = {
        **SPOILT,
        "None": lambda a: None,
        "float64": lambda a: a.astype(np.float64),
        "int16": lambda a: np.zeros(a.shape, np.int16),
        "swapped bytes": lambda a: a.astype(a.dtype.newbyteorder()),
        "no dimension": lambda a: a.reshape(-1)[:1].reshape(()),
    }
    found = [(how, spoil(array)) for how, spoil in more.items()]
    return [(how, wrong) for how, wrong in found if not is_still_good(wrong, array)]


@pytest.mark.parametrize("function", [LEARN, PREDICT])
def test_arrays_of_a_lane(function):
    for symbols in (True, False):
        call = fresh(function, symbols=symbols)
        for name in LANE + WRITTEN[function]:
            for how, wrong in spoilt(call["data"][1][name]):
                with case(symbols, name, how):
                    refused(function, put("data", 1, name, value=wrong), symbols=symbols)
            with case(name, "missing"):
                refused(function, lambda call, n=name: call["data"][1].pop(n))


@pytest.mark.parametrize("function", [LEARN, PREDICT])
def test_weights(function):
    for name in ("below", "above") if function == LEARN else ("below",):
        for how, wrong in spoilt(fresh(function)[name]):
            with case(name, how):
                refused(function, put(name, value=wrong))


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.setflags(write=False)
    return array


def test_read_only_arrays():
    for name in ("below", "above"):
        refused(LEARN, alter(name, by=read_only))
    for function, names in WRITTEN.items():
        for name in names:
            refused(function, alter("data", 0, name, by=read_only))
    call = fresh(PREDICT)
    call["below"] = read_only(call["below"])  # only read
    _native.predict_chunkers(**call)


def filled(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def fill(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[-1] = value
        return array

    return fill


@pytest.mark.parametrize(
    ("symbols", "name", "value"),
    [
        (False, "inputs", np.nan),
        (False, "inputs", -np.inf),
        (False, "targets", np.inf),
        *((True, name, value) for name in ("inputs", "targets")
          for value in (5, -1, 2**31 - 1, -(2**31))),
        *((True, name, value) for name in ("offsets", "target_offsets", "target_steps")
          for value in (-1, 0, 2**40, 2**63 - 1, -(2**63))),
    ],
)  # fmt: skip
def test_contents(symbols, name, value):
    refused(LEARN, alter("data", 1, name, by=filled(value)), r"data\[1\]: ", symbols=symbols)


def test_offsets_in_the_wrong_order():
    for name in ("offsets", "target_offsets", "target_steps"):
        for function in (LEARN, PREDICT):
            refused(function, alter("data", 1, name, by=lambda a: a[::-1].copy()))
            refused(function, alter("data", 1, name, by=lambda a: np.repeat(a[:1], len(a))))


def test_arrays_that_overlap():
    def same(*path: Any, of: tuple[Any, ...]) -> Change:
        def change(call: Call) -> None:
            source: Any = call
            for key in of:
                source = source[key]
            place: Any = call
            for key in path[:-1]:
                place = place[key]
            wanted = place[path[-1]]
            flat = source.reshape(-1).view(wanted.dtype)
            place[path[-1]] = flat[: wanted.size].reshape(wanted.shape)

        return change

    for change in (
        same("data", 0, "max_abs", of=("data", 0, "sum_sq")),
        same("data", 0, "max_abs", of=("data", 0, "inputs")),
        same("data", 1, "sum_sq", of=("below",)),
        same("data", 1, "surprises", of=("data", 1, "offsets")),
        same("above", of=("below",)),
    ):
        refused(LEARN, change, "overlaps")
    refused(PREDICT, same("data", 0, "outputs", of=("below",)), "overlaps")
