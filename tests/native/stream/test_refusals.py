"""Wrong calls of streams raise one of our exceptions and leave the kernel unchanged."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network, Simple, Streaming
from carrousel.errors import (
    CarrouselError,
    DataError,
    RowError,
    SettingError,
    ShapeError,
)
from carrousel.kernels import NativeStream
from support.case import case as named
from support.kernels.stream_cases import GRADIENTS, HEADS, StreamCase, assert_same_state, case_of

pytestmark = pytest.mark.native

INPUTS, OUTPUTS, B = 3, 2, 2
NETWORK = Network(INPUTS, OUTPUTS, Cell(2, 2, forget_gate=True), wiring="cells", bias="all")
X, TARGET = np.ones(INPUTS), np.ones(OUTPUTS)


def moved(how: Streaming | None = None, n: int = 12) -> NativeStream:
    """A kernel after some rows. Stream 0 waits for a target."""
    case = case_of(NETWORK, how or Streaming(), n=n, n_streams=B)
    kernel = case.native()
    case.run(kernel)
    kernel.advance(0, np.zeros(kernel._x.shape))
    return kernel


def refuses(
    kernel: NativeStream,
    call: Callable[[], Any],
    kind: type[CarrouselError],
    match: str,
) -> pytest.ExceptionInfo[Any]:
    """Assert that the call raises and leaves the state unchanged."""
    before = kernel.state()
    with pytest.raises(kind, match=match) as caught:
        call()
    assert_same_state(kernel.state(), before)
    return caught


# --- single rows ---------------------------------------------------------------------------------

CALLS = {
    "peek": lambda kernel, stream, x: kernel.peek(stream, x),
    "advance": lambda kernel, stream, x: kernel.advance(stream, x),
    "step": lambda kernel, stream, x: kernel.step(stream, x, np.zeros(kernel._target.shape)),
    "run": lambda kernel, stream, x: kernel.run(np.array([stream]), x[None]),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_inputs_that_are_not_finite(gradient):
    kernel = moved(Streaming(gradient=gradient))
    for how, call in CALLS.items():
        for value in (np.nan, np.inf, -np.inf, 1e200, -1e31):
            for place, stream in itertools.product(range(INPUTS), range(B)):
                x = X.copy()
                x[place] = value
                said = r"x is \[.*expected finite"
                with named(how, value, place, stream):
                    refuses(kernel, partial(call, kernel, stream, x), DataError, said)


@every_call
def test_missing_inputs(call):
    kernel = moved(Streaming(missing=True))
    assert np.isfinite(call(kernel, 0, np.full(INPUTS, np.nan))).all()
    refuses(kernel, lambda: call(kernel, 0, np.full(INPUTS, np.inf)), DataError, "expected finite")


@every_call
def test_unknown_symbols(call):
    kernel = moved(Streaming(symbols=True))
    for symbol in (-1, INPUTS, 0.5, np.nan, np.inf, -np.inf, 1e300, 2**40, -1e-9):
        x, said = np.array([symbol], float), r"x is .*expected a symbol.*0\.\.2"
        with named(symbol):
            refuses(kernel, partial(call, kernel, 1, x), DataError, said)


@every_call
def test_unknown_streams(call):
    kernel = moved()
    for stream in (-1, B, 2**40, -(2**62)):
        said = rf"{stream}.*expected 0\.\.1"
        with named(stream):
            refuses(kernel, partial(call, kernel, stream, X), CarrouselError, said)


def test_learn_and_reset_of_unknown_streams():
    kernel = moved()
    for stream in (-1, B, 2**40):
        said = rf"stream is {stream}, expected 0\.\.1"
        with named(stream):
            refuses(kernel, partial(kernel.learn, stream, TARGET), SettingError, said)
            refuses(kernel, partial(kernel.reset, stream), SettingError, said)


@pytest.mark.parametrize(
    ("head", "scaled"),
    [("linear", False), ("linear", True), ("logistic", False), ("logistic97", False)],
)
def test_targets_that_are_not_finite(head, scaled):
    kernel = moved(Streaming(head, scale_targets=scaled))
    for value, place in itertools.product((np.inf, -np.inf, 1e200), range(OUTPUTS)):
        target = TARGET.copy()
        target[place] = value
        said = r"target is \[.*expected finite"
        with named(value, place):
            refuses(kernel, partial(kernel.learn, 0, target), DataError, said)
            refuses(kernel, partial(kernel.step, 0, X, target), DataError, said)


def test_unknown_classes():
    kernel = moved(Streaming("softmax"))
    for label in (-1, OUTPUTS, 0.5, np.inf, 1e300, 2**40, -1e-9):
        target, said = np.array([label], float), r"target is .*expected a class.*0\.\.1"
        with named(label):
            refuses(kernel, partial(kernel.learn, 0, target), DataError, said)
            refuses(kernel, partial(kernel.step, 0, X, target), DataError, said)


@pytest.mark.parametrize("head", HEADS)
def test_missing_targets_change_nothing(head):
    kernel = moved(Streaming(head))
    none = np.full(1 if head == "softmax" else OUTPUTS, np.nan)
    before = kernel.state()
    kernel.learn(0, none)
    assert_same_state(kernel.state(), before)
    kernel.step(0, X, none)


def test_weights_of_targets_that_are_not_positive():
    kernel = moved()
    for weight in (-1.0, np.nan, np.inf, 1e31):
        said = r"weight is .*, expected 0 to 1e30"
        refuses(kernel, partial(kernel.learn, 0, TARGET, weight), DataError, said)
        refuses(kernel, partial(kernel.step, 0, X, TARGET, weight), DataError, said)


def test_a_step_is_learned_at_most_once():
    kernel = moved()
    kernel.learn(0, TARGET)
    said = "stream 0 has no step to learn from; advance it first"
    refuses(kernel, lambda: kernel.learn(0, TARGET), SettingError, said)
    kernel.advance(0, X)
    kernel.reset(0)
    refuses(kernel, lambda: kernel.learn(0, TARGET), SettingError, said)
    new = case_of(NETWORK, Streaming()).native()
    refuses(new, lambda: new.learn(0, TARGET), SettingError, said)


# --- many rows -----------------------------------------------------------------------------------


def spoilt_rows(case: StreamCase) -> dict[str, StreamCase]:
    """Rows with a wrong row in the middle, by what is wrong with it."""
    n, found = len(case.rows) // 2, {}
    for name, place, value in (
        ("streams", n, -1),
        ("streams", n, B),
        ("x", (n, -1), np.inf),
        ("x", (n, 0), np.nan),
        ("targets", n, -np.inf),
    ):
        array = getattr(case.rows, name).copy()
        array[place] = value
        found[f"{name} {value}"] = replace(case, rows=replace(case.rows, **{name: array}))
    return found


@pytest.mark.parametrize("targets_first", [False, True])
@pytest.mark.parametrize("how", [Streaming(), Streaming("softmax", symbols=True)], ids=["", "next"])
def test_rows_before_a_wrong_row_are_processed(targets_first, how):
    good = case_of(NETWORK, how, n=20, n_streams=B, targets_first=targets_first)
    for what, bad in spoilt_rows(good).items():
        kernel, other = good.native(), good.native()
        with named(what), pytest.raises(RowError, match=r"row 10: .*expected") as caught:
            bad.run(kernel)
        assert caught.value.row == 10, what
        outputs = good.run(other, good.rows[:10])
        np.testing.assert_array_equal(caught.value.outputs, outputs, err_msg=what)
        with named(what):
            assert_same_state(kernel.state(), other.state())
        rest = good.rows[10:]
        np.testing.assert_array_equal(good.run(kernel, rest), good.run(other, rest), err_msg=what)


def test_the_reference_refuses_the_same_rows():
    for how in (Streaming(), Streaming("softmax", symbols=True)):
        good = case_of(NETWORK, how, n=8, n_streams=B)
        for bad in spoilt_rows(good).values():
            kernel = good.reference()
            with pytest.raises(RowError, match=r"row 4: .*expected") as caught:
                bad.run(kernel)
            outputs, other = caught.value.outputs, good.reference()
            np.testing.assert_array_equal(good.run(other, good.rows[:4]), outputs)
            np.testing.assert_array_equal(kernel.weights, other.weights)
            np.testing.assert_array_equal(
                good.run(kernel, good.rows[4:]), good.run(other, good.rows[4:])
            )


ROWS = case_of(NETWORK, Streaming(), n=4, n_streams=B).rows
STREAMS, XS, TARGETS = ROWS.streams, ROWS.x, ROWS.targets


def test_rows_of_wrong_shapes():
    kernel = moved()
    for streams, x, targets, said in (
        (STREAMS, XS[:, :2], TARGETS, r"x has shape \(4, 2\), expected \(4, 3\)"),
        (STREAMS, XS[:3], TARGETS, r"x has shape \(3, 3\), expected \(4, 3\)"),
        (STREAMS, XS[0], TARGETS, r"x has shape \(3\), expected \(4, 3\)"),
        (STREAMS, XS[None], TARGETS, r"x has shape \(1, 4, 3\), expected \(4, 3\)"),
        (STREAMS, XS, TARGETS[:, :1], r"targets has shape \(4, 1\), expected \(4, 2\)"),
        (STREAMS, XS, TARGETS[:3], r"targets has shape \(3, 2\), expected \(4, 2\)"),
        (STREAMS, XS, TARGETS.ravel(), r"targets has shape \(8\), expected \(4, 2\)"),
        (STREAMS[:3], XS, TARGETS, r"x has shape \(4, 3\), expected \(3, 3\)"),
        (STREAMS[:, None], XS, TARGETS, "streams has the wrong type, shape or layout"),
    ):
        with named(said):
            refuses(kernel, partial(kernel.run, streams, x, targets), ShapeError, f"run: {said}")


@settings(max_examples=40)
@given(st.integers(0, 11), st.sampled_from([np.inf, np.nan]), st.booleans())
def test_a_wrong_row_anywhere(place, value, targets_first):
    good = case_of(NETWORK, Streaming(), n=12, n_streams=B, targets_first=targets_first)
    x = good.rows.x.copy()
    x[place, 1] = value
    kernel, other = good.native(), good.native()
    with pytest.raises(RowError) as caught:
        good.run(kernel, replace(good.rows, x=x))
    assert caught.value.row == place
    good.run(other, good.rows[:place])
    assert_same_state(kernel.state(), other.state())


def test_numbers_too_large_for_float32_are_refused():
    kernel = moved()
    refuses(kernel, lambda: kernel.advance(0, 1e39 * X), DataError, "finite numbers")
    refuses(kernel, lambda: kernel.learn(0, 1e39 * TARGET), DataError, "finite numbers")
    assert kernel.finite
    kernel.learn(0, TARGET)


def test_finite_describes_weights():
    kernel = moved()
    assert kernel.finite
    for name in ("hidden", "output", "hidden_second", "output_first"):
        state = kernel.state()
        values = state[name].astype(float)
        values[0, 0] = np.nan
        kernel._net.write(name, 0, values)
        assert not kernel.finite, name
        kernel.restore(state)
        assert kernel.finite


# --- settings ------------------------------------------------------------------------------------


def test_settings_out_of_range():
    settings: dict[str, Any]
    for settings, said in (
        ({"rate": -0.1}, "rate"),
        ({"rate": np.nan}, "rate"),
        ({"rate": 1e31}, "rate"),
        ({"momentum": 1.0}, "momentum"),
        ({"momentum": -0.1}, "momentum"),
        ({"momentum": 1 - 1e-9}, "momentum"),
        ({"second": 1.0}, "second"),
        ({"second": 1 - 1e-9}, "second"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": 1e-40}, "epsilon"),
        ({"clip": 0.0}, "clip"),
        ({"clip": np.inf}, "clip"),
        ({"horizon": -1.0}, "horizon"),
        ({"largest": 0.0}, "largest"),
        ({"gradient": "bptt"}, "gradient is 'bptt'"),
        ({"gradient": "best"}, "best"),
        ({"head": "relu"}, "head 'relu'"),
        ({"optimizer": "lion"}, "optimizer 'lion'"),
        ({"head": "softmax", "scale_targets": True}, "scale_targets is True"),
    ):
        with named(settings), pytest.raises(CarrouselError, match=said):
            case_of(NETWORK, replace(Streaming(), **settings)).native()


def test_rates_out_of_range():
    kernel = moved()
    for rate in (-1.0, np.nan, np.inf, 1e31):
        with named(rate):
            refuses(
                kernel,
                partial(setattr, kernel, "rate", rate),
                SettingError,
                "rate is .*, expected at least 0",
            )
    assert kernel.rate == Streaming().rate


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (replace(NETWORK, bias="hidden"), "bias 'hidden', expected"),
        (replace(NETWORK, bias="gates+outputs"), "bias 'gates.outputs', expected"),
        (replace(NETWORK, feedback="gates"), "feedback is 'gates', expected None for streams"),
        (replace(NETWORK, feedback_into="cells"), "feedback_into is 'cells', expected None for"),
        (replace(NETWORK, inputs_to_outputs=False), "inputs_to_outputs is False, expected None"),
        (replace(NETWORK, wiring="layered"), "wiring is 'layered'.*expected 'cells' or 'full'"),
        (replace(NETWORK, cell=Cell(2, 2, output_gate=False)), "expected memory cells with output"),
        (
            Network(INPUTS, OUTPUTS, Simple(2), bias="all"),
            "expected memory cells with output gates",
        ),
    ],
)
def test_unsupported_networks(network, said):
    with pytest.raises(SettingError, match=said):
        NativeStream(network, Streaming(), np.zeros(network.n_weights))


W = NETWORK.n_weights


def test_arguments_of_the_constructor():
    given: dict[str, Any]
    for given, kind, said in (
        ({"weights": np.zeros(W - 1)}, ShapeError, rf"\({W - 1},\), expected \({W},\)"),
        ({"weights": np.zeros((1, W))}, ShapeError, rf"\(1, {W}\), expected \({W},\)"),
        ({"weights": np.full(W, np.nan)}, DataError, "weights are not finite"),
        ({"n_streams": 0}, SettingError, "n_streams is 0, expected"),
        ({"n_streams": 2**25}, SettingError, f"n_streams is {2**25}, expected"),
        ({"n_streams": 1.5}, SettingError, r"n_streams is 1\.5, expected"),
        ({"seed": -1}, SettingError, "seed is -1, expected"),
        (
            {"scaled": np.ones(INPUTS + 1, bool)},
            ShapeError,
            r"scaled has shape \(4,\), expected \(3,\)",
        ),
        ({"instruction_set": "avx1024"}, SettingError, "'avx1024' is not available"),
    ):
        arguments: dict[str, Any] = {"weights": np.zeros(W), **given}
        with named(given), pytest.raises(kind, match=said):
            NativeStream(NETWORK, Streaming(), **arguments)
