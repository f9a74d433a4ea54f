"""Native streams refuse damaged states and values of wrong types, and remain unchanged."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Streaming
from carrousel.errors import CarrouselError, SettingError, ShapeError
from carrousel.kernels import NativeStream
from support.case import case as named
from support.kernels.stream_cases import GRADIENTS, assert_same_state, case_of

pytestmark = pytest.mark.native

INPUTS, OUTPUTS, B = 3, 2, 2
NETWORK = Network(INPUTS, OUTPUTS, Cell(2, 2, forget_gate=True), wiring="cells", bias="all")


def moved(how: Streaming | None = None) -> NativeStream:
    case = case_of(NETWORK, how or Streaming(), n=9, n_streams=B)
    kernel = case.native()
    case.run(kernel)
    kernel.advance(0, np.zeros(INPUTS))
    return kernel


DAMAGE = {
    "one row less": lambda a: a[:-1],
    "one more dimension": lambda a: a[:, None],
    "flat": lambda a: np.append(a.ravel(), 0),
    "nothing": lambda a: a[:0],
    "NaN": lambda a: np.full(a.shape, np.nan),
    "infinite": lambda a: np.where(np.arange(a.size).reshape(a.shape) == 0, np.inf, a),
}


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_damaged_states(gradient):
    kernel = moved(Streaming(gradient=gradient))
    good = kernel.state()
    for (how, damage), (name, part) in itertools.product(DAMAGE.items(), good.items()):
        with named(how, name):
            with pytest.raises(ShapeError, match=rf"state.*\b{name}\b"):
                kernel.restore(good | {name: damage(part)})
            assert_same_state(kernel.state(), good)


def test_states_with_a_missing_part():
    kernel = moved()
    good = kernel.state()
    for name in good:
        with pytest.raises(ShapeError, match=f"state lacks {name}; expected what state"):
            kernel.restore({key: part for key, part in good.items() if key != name})
        assert_same_state(kernel.state(), good)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"flags": [3, 7]}, "flags .*expected 1 or 3"),
        ({"flags": [3, 0]}, "flags .*expected 1 or 3"),
        ({"flags": [3, 2]}, "flags .*expected 1 or 3"),
        ({"streams": [0, 0]}, r"streams \[0, 0\], expected some of 0\.\.1"),
        ({"streams": [0, 2]}, r"streams \[0, 2\], expected some of 0\.\.1"),
        ({"streams": [-1, 0]}, r"streams \[-1, 0\], expected some of 0\.\.1"),
    ],
)
def test_states_of_unknown_streams_or_with_wrong_flags(part, said):
    kernel = moved()
    good = kernel.state()
    with pytest.raises(ShapeError, match=said):
        kernel.restore(good | {name: np.array(value) for name, value in part.items()})
    assert_same_state(kernel.state(), good)


def test_states_of_other_kernels():
    """With another network, optimizer or gradient, or fewer streams."""
    others = [
        case_of(replace(NETWORK, n_inputs=INPUTS + 1), Streaming(), n_streams=B),
        case_of(replace(NETWORK, cell=Cell(2, 2)), Streaming(), n_streams=B),
        case_of(NETWORK, Streaming(optimizer="sgd"), n_streams=B),
        case_of(NETWORK, Streaming(gradient="rtrl"), n_streams=B),
        case_of(NETWORK, Streaming(gradient="uoro"), n_streams=B),
        case_of(NETWORK, Streaming(), n_streams=B + 1),
    ]
    kernels = [case.native() for case in others]
    for case, kernel in zip(others, kernels, strict=True):
        case.run(kernel)
    for one, other in itertools.permutations(kernels, 2):
        taken = set(one.state()) >= set(other.state())
        if taken and other.n_streams >= one.n_streams and one.network == other.network:
            continue
        before = other.state()
        with pytest.raises(CarrouselError, match="state"):
            other.restore(one.state())
        assert_same_state(other.state(), before)


# --- values of wrong types -----------------------------------------------------------------------


def refuses(kernel: NativeStream, call: Callable[[], Any], said: str) -> None:
    before = kernel.state()
    with pytest.raises(CarrouselError, match=said):
        call()
    assert_same_state(kernel.state(), before)


SHAPES = [(), (1,), (2,), (4,), (1, 3), (3, 1), (0,)]
ROW_CALLS = {
    "peek": lambda kernel, x, target: kernel.peek(0, x),
    "advance": lambda kernel, x, target: kernel.advance(0, x),
    "step": lambda kernel, x, target: kernel.step(0, x, target),
}


every_row_call = pytest.mark.parametrize("call", ROW_CALLS.values(), ids=ROW_CALLS)


@every_row_call
def test_rows_of_wrong_shapes(call):
    """A single number is not broadcast to three."""
    kernel, good = moved(), np.zeros(OUTPUTS)
    for shape in SHAPES:
        said = re.escape(f"x has shape {shape}, expected (3,)")
        refuses(kernel, partial(call, kernel, np.ones(shape), good), said)


def test_targets_of_wrong_shapes():
    kernel = moved()
    for shape in ((), (1,), (3,), (1, 2), (2, 1), (0,)):
        target, said = np.ones(shape), re.escape(f"target has shape {shape}, expected (2,)")
        refuses(kernel, partial(kernel.learn, 0, target), said)
        refuses(kernel, partial(kernel.step, 0, np.ones(INPUTS), target), said)


@every_row_call
def test_rows_that_are_not_arrays_of_numbers(call):
    kernel, good = moved(), np.zeros(OUTPUTS)
    for x in ("abc", {}, np.array(["a", "b", "c"]), np.array([{}] * 3)):
        with named(x):
            refuses(kernel, partial(call, kernel, x, good), "x (is|has|holds) .*expected")


def test_streams_of_a_wrong_type():
    kernel: Any = moved()
    x, target = np.ones(INPUTS), np.ones(OUTPUTS)
    for stream in (0.0, 1.5, "0", None, 2**70):
        for call, arguments in (
            (kernel.peek, (x,)),
            (kernel.advance, (x,)),
            (kernel.step, (x, target)),
            (kernel.learn, (target,)),
            (kernel.reset, ()),
        ):
            with named(stream, call):
                said = r"stream is .*, expected .*0\.\.1"
                refuses(kernel, partial(call, stream, *arguments), said)


@pytest.mark.parametrize(
    "rows",
    [
        {"streams": np.array([0.7, 1.0])},
        {"streams": np.array(["0", "1"])},
        {"x": np.array([["a"] * INPUTS] * 2)},
        {"targets": np.array([["a"] * OUTPUTS] * 2)},
    ],
)
def test_rows_of_wrong_types(rows):
    good = {"streams": np.array([0, 1]), "x": np.ones((2, INPUTS)), "targets": np.ones((2, 2))}
    kernel: Any = moved()
    refuses(kernel, lambda: kernel.run(**good | rows), f"{next(iter(rows))} .*expected")


@pytest.mark.parametrize("dtype", [np.float16, np.int32, complex, "float23"])
def test_unknown_precisions(dtype):
    with pytest.raises(SettingError, match=r"dtype is .*expected"):
        case_of(NETWORK, Streaming()).native(dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", np.dtype(np.float32)])
def test_names_of_precisions(dtype):
    kernel = case_of(NETWORK, Streaming()).native(dtype=dtype)
    assert kernel.state()["hidden"].dtype == np.float32
    assert kernel.nbytes == case_of(NETWORK, Streaming()).native().nbytes


def test_weights_that_are_not_finite_in_single_precision():
    with pytest.raises(CarrouselError, match="weights are not finite"):
        NativeStream(NETWORK, Streaming(), np.full(NETWORK.n_weights, 1e300))


@pytest.mark.parametrize("rate", [None, "fast", [0.1]])
def test_rates_of_a_wrong_type(rate):
    kernel: Any = moved()

    def change() -> None:
        kernel.rate = rate

    refuses(kernel, change, "rate is .*, expected")


def test_states_with_impossible_values():
    kernel = moved()
    good = kernel.state()
    for name, value in (
        ("streams", [0.5, 1.0]),
        ("streams", [[0, 1]]),
        ("hidden", "text"),
        ("hidden", 1e300),
        ("hidden", 1j),
        ("changes", -1.0),
        ("changes", 0.5),
        ("inputs", -1.0),
        ("targets", -1.0),
        ("hidden_second", -1.0),
        ("output_second", -1.0),
    ):
        wrong = np.array(value) if isinstance(value, list) else np.full(good[name].shape, value)
        with named(name, value):
            refuses(kernel, partial(kernel.restore, good | {name: wrong}), rf"state.*{name}")


def test_states_of_lists():
    """States from text files hold lists. They are restored, or refused by name."""
    kernel: Any = moved()
    good = kernel.state()
    kernel.restore({name: part.tolist() for name, part in good.items()})
    assert_same_state(kernel.state(), good)
    refuses(kernel, lambda: kernel.restore(good | {"hidden": [[1.0], [2.0, 3.0]]}), "state.*hidden")
