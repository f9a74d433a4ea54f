"""Streams called with whatever does not fit: an exception of ours, and the kernel as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network, Simple, Streaming
from carrousel.errors import (
    CarrouselError,
    DataError,
    DivergedError,
    RowError,
    SettingError,
    ShapeError,
)
from carrousel.kernels import NativeStream
from support.kernels.stream_cases import GRADIENTS, StreamCase, assert_same_state, case_of

pytestmark = pytest.mark.native

INPUTS, OUTPUTS, B = 3, 2, 2
NETWORK = Network(INPUTS, OUTPUTS, Cell(2, 2, forget_gate=True), wiring="cells", bias="all")
X, TARGET = np.ones(INPUTS), np.ones(OUTPUTS)


def moved(how: Streaming | None = None, n: int = 12) -> NativeStream:
    """A kernel that has seen rows, with a step standing on stream 0."""
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
    """The call raises, and changes nothing."""
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


@every_call
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200, -1e31])
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_inputs_that_are_no_numbers(call, value, gradient):
    kernel = moved(Streaming(gradient=gradient))
    for place in range(INPUTS):
        x = X.copy()
        x[place] = value
        for stream in range(B):
            refuses(kernel, lambda: call(kernel, stream, x), DataError, r"x is \[.*expected finite")  # noqa: B023


@every_call
def test_missing_inputs_are_welcome_where_that_was_said(call):
    kernel = moved(Streaming(missing=True))
    assert np.isfinite(call(kernel, 0, np.full(INPUTS, np.nan))).all()
    refuses(kernel, lambda: call(kernel, 0, np.full(INPUTS, np.inf)), DataError, "expected finite")


@every_call
@pytest.mark.parametrize("symbol", [-1, INPUTS, 0.5, np.nan, np.inf, -np.inf, 1e300, 2**40, -1e-9])
def test_symbols_that_are_not_there(call, symbol):
    kernel = moved(Streaming(symbols=True))
    x = np.array([symbol], float)
    refuses(kernel, lambda: call(kernel, 1, x), DataError, r"x is .*expected a symbol.*0\.\.2")


@every_call
@pytest.mark.parametrize("stream", [-1, B, 2**40, -(2**62)])
def test_streams_that_are_not_there(call, stream):
    kernel = moved()
    refuses(kernel, lambda: call(kernel, stream, X), CarrouselError, rf"{stream}.*expected 0\.\.1")


@pytest.mark.parametrize("stream", [-1, B, 2**40])
def test_streams_that_are_not_there_neither_learn_nor_begin_anew(stream):
    kernel = moved()
    for call in (lambda: kernel.learn(stream, TARGET), lambda: kernel.reset(stream)):
        refuses(kernel, call, SettingError, rf"stream is {stream}, expected 0\.\.1")


NO_NUMBERS = [np.nan, np.inf, -np.inf, 1e200]


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("head", ["linear", "logistic", "logistic97"])
def test_targets_that_are_no_numbers(value, head):
    for scaled in (False, True)[: 1 + (head == "linear")]:
        kernel = moved(Streaming(head, scale_targets=scaled))
        for place in range(OUTPUTS):
            target = TARGET.copy()
            target[place] = value
            said = r"target is \[.*expected finite"
            refuses(kernel, lambda: kernel.learn(0, target), DataError, said)  # noqa: B023
            if place or not np.isnan(value):  # a NaN in the first place: no target
                refuses(kernel, lambda: kernel.step(0, X, target), DataError, said)  # noqa: B023


@pytest.mark.parametrize("label", [-1, OUTPUTS, 0.5, np.inf, 1e300, 2**40, -1e-9])
def test_classes_that_are_not_there(label):
    kernel, target = moved(Streaming("softmax")), np.array([label], float)
    said = r"target is .*expected a class.*0\.\.1"
    refuses(kernel, lambda: kernel.learn(0, target), DataError, said)
    refuses(kernel, lambda: kernel.step(0, X, target), DataError, said)


def test_a_class_that_did_not_come():
    kernel, none = moved(Streaming("softmax")), np.array([np.nan])
    refuses(kernel, lambda: kernel.learn(0, none), DataError, "expected a class")
    kernel.step(0, X, none)


def test_a_step_is_learned_once():
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
    """Rows of which the one in the middle cannot be taken, by what is wrong with it."""
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
@pytest.mark.parametrize("what", ["streams -1", f"streams {B}", "x inf", "x nan", "targets -inf"])
def test_rows_before_a_bad_one_are_taken(targets_first, how, what):
    good = case_of(NETWORK, how, n=20, n_streams=B, targets_first=targets_first)
    bad = spoilt_rows(good)[what]
    kernel, other = good.native(), good.native()
    with pytest.raises(RowError, match=r"row 10: .*expected") as caught:
        bad.run(kernel)
    assert caught.value.row == 10
    outputs = good.run(other, good.rows[:10])
    np.testing.assert_array_equal(caught.value.outputs, outputs)
    assert_same_state(kernel.state(), other.state())
    np.testing.assert_array_equal(good.run(kernel, good.rows[10:]), good.run(other, good.rows[10:]))


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


@pytest.mark.parametrize(
    ("streams", "x", "targets", "said"),
    [
        (STREAMS, XS[:, :2], TARGETS, r"x has shape \(4, 2\), expected \(4, 3\)"),
        (STREAMS, XS[:3], TARGETS, r"x has shape \(3, 3\), expected \(4, 3\)"),
        (STREAMS, XS[0], TARGETS, r"x has shape \(3\), expected \(4, 3\)"),
        (STREAMS, XS[None], TARGETS, r"x has shape \(1, 4, 3\), expected \(4, 3\)"),
        (STREAMS, XS, TARGETS[:, :1], r"targets has shape \(4, 1\), expected \(4, 2\)"),
        (STREAMS, XS, TARGETS[:3], r"targets has shape \(3, 2\), expected \(4, 2\)"),
        (STREAMS, XS, TARGETS.ravel(), r"targets has shape \(8\), expected \(4, 2\)"),
        (STREAMS[:3], XS, TARGETS, r"x has shape \(4, 3\), expected \(3, 3\)"),
        (STREAMS[:, None], XS, TARGETS, "streams must be a contiguous vector"),
    ],
)
def test_rows_of_other_shapes(streams, x, targets, said):
    kernel = moved()
    refuses(kernel, lambda: kernel.run(streams, x, targets), ShapeError, f"run: {said}")


@settings(max_examples=40)
@given(st.integers(0, 11), st.sampled_from([np.inf, np.nan]), st.booleans())
def test_a_bad_row_anywhere(place, value, targets_first):
    good = case_of(NETWORK, Streaming(), n=12, n_streams=B, targets_first=targets_first)
    x = good.rows.x.copy()
    x[place, 1] = value
    kernel, other = good.native(), good.native()
    with pytest.raises(RowError) as caught:
        good.run(kernel, replace(good.rows, x=x))
    assert caught.value.row == place
    good.run(other, good.rows[:place])
    assert_same_state(kernel.state(), other.state())


# --- learning that diverges ----------------------------------------------------------------------


def test_learning_that_diverges_stops():
    """A huge rate: the step that finds it leaves all that streams share as it was. Where outputs
    are numbers and errors are not, the stream has moved."""
    case = case_of(NETWORK, Streaming(optimizer="sgd", rate=1e20), n=60)
    kernel = case.native()
    with pytest.raises(DivergedError, match=r"no longer finite.*smaller rate") as caught:
        case.run(kernel)
    row, outputs = caught.value.row, caught.value.outputs
    assert 0 < row < 60
    assert outputs is not None
    assert outputs.shape == (row, OUTPUTS)
    assert np.isfinite(outputs).all()
    state = kernel.state()
    weights = [state[name] for name in ("hidden", "output")]
    assert kernel.finite == all(np.isfinite(each).all() for each in weights)
    for _ in range(2):  # and does so as often as it is asked
        with pytest.raises(DivergedError):
            case.run(kernel, case.rows[row:])
    after = kernel.state()
    for name in ("hidden", "output", "hidden_first", "inputs", "targets", "changes"):
        np.testing.assert_array_equal(after.get(name), state.get(name), err_msg=name)


def test_what_float32_lacks_is_no_divergence():
    kernel = moved()
    refuses(kernel, lambda: kernel.advance(0, 1e39 * X), DataError, "finite numbers")
    refuses(kernel, lambda: kernel.learn(0, 1e39 * TARGET), DataError, "finite numbers")
    assert kernel.finite
    kernel.learn(0, TARGET)


def test_finite_tells_of_weights():
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


def test_a_state_from_before_is_a_way_back():
    case = case_of(NETWORK, Streaming(optimizer="sgd", rate=0.1), n=20)
    kernel = case.native()
    case.run(kernel)
    state = kernel.state()
    wanted = case.run(kernel)
    kernel.restore(state)
    kernel.rate = 1e25
    with pytest.raises(DivergedError):
        case.run(kernel)
    kernel.restore(state)
    kernel.rate = 0.1
    np.testing.assert_array_equal(case.run(kernel), wanted)


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
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
    ],
)
def test_settings_out_of_range(settings, said):
    with pytest.raises(CarrouselError, match=said):
        case_of(NETWORK, replace(Streaming(), **settings)).native()


@pytest.mark.parametrize("rate", [-1.0, np.nan, np.inf, 1e31])
def test_rates_out_of_range(rate):
    kernel = moved()

    def change() -> None:
        kernel.rate = rate

    refuses(kernel, change, SettingError, "rate is .*, expected at least 0")
    assert kernel.rate == Streaming().rate


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (replace(NETWORK, bias="hidden"), "bias 'hidden', expected"),
        (replace(NETWORK, wiring="layered"), "wiring is 'layered'.*expected 'cells' or 'full'"),
        (replace(NETWORK, cell=Cell(2, 2, output_gate=False)), "expected memory cells with output"),
        (
            Network(INPUTS, OUTPUTS, Simple(2), bias="all"),
            "expected memory cells with output gates",
        ),
    ],
)
def test_networks_of_another_kind(network, said):
    with pytest.raises(SettingError, match=said):
        NativeStream(network, Streaming(), np.zeros(network.n_weights))


W = NETWORK.n_weights


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
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
    ],
)
def test_kernels_that_cannot_be_made(given, kind, said):
    with pytest.raises(kind, match=said):
        NativeStream(NETWORK, Streaming(), **({"weights": np.zeros(W)} | given))
