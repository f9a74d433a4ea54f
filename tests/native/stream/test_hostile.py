"""Wrong direct calls of the compiled stream raise an exception and do not crash."""

from __future__ import annotations

import gc
import itertools
from typing import Any

import numpy as np
import pytest

from carrousel import _native
from carrousel.contracts import Cell, Network, Streaming
from carrousel.kernels.native.stream_settings import stream_settings
from support.case import case
from support.kernels.spoilt import REFUSALS, SPOILT, is_still_good
from support.kernels.stream_cases import GRADIENTS

pytestmark = pytest.mark.native

INPUTS, OUTPUTS, B = 3, 2, 2
NETWORK = Network(INPUTS, OUTPUTS, Cell(2, 2, forget_gate=True), wiring="cells", bias="all")
CLASSES = {"float32": _native.StreamFloat, "float64": _native.StreamDouble}
every_class = pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)


def described(how: Streaming | None = None) -> dict[str, Any]:
    return dict(stream_settings(NETWORK, how or Streaming(), B, 0))


def scaled() -> np.ndarray:
    return np.zeros(INPUTS, np.uint8)


def opened(kind: Any = _native.StreamFloat, how: Streaming | None = None) -> Any:
    return kind(described(how), scaled(), "")


def rows(n: int = 4) -> dict[str, Any]:
    """Arguments of a good call of ``run``."""
    rng = np.random.default_rng(0)
    return {
        "streams": rng.integers(0, B, n),
        "x": rng.normal(size=(n, INPUTS)),
        "targets": rng.normal(size=(n, OUTPUTS)),
        "weights": None,
        "owners": None,
        "backs": None,
        "bounds": None,
        "targets_first": False,
        "outputs": np.zeros((n, OUTPUTS)),
    }


@every_class
def test_unchanged_calls_run(kind):
    call = rows()
    assert opened(kind).run(**call) == (4, 0)
    assert np.isfinite(call["outputs"]).all()


# --- settings ------------------------------------------------------------------------------------

WRONG = [-1, 2**31, 2**40, 2**63, 2**64, -(2**70), "1", None, [1], np.nan, np.inf, b"1"]


@every_class
@pytest.mark.parametrize("name", described())
def test_values_of_settings(kind, name):
    for value in WRONG:
        settings = described() | {name: value}
        if name in ("reach", "paths", "rules") and value is None:
            continue
        with case(value):
            if (name, value) in (
                ("clip", np.inf),
                ("seed", 2**31),
                ("seed", 2**40),
                ("seed", 2**63),
            ):
                kind(settings, scaled(), "")
            else:
                with pytest.raises(REFUSALS):
                    kind(settings, scaled(), "")


@every_class
def test_missing_settings(kind):
    for name in described():
        settings = described()
        del settings[name]
        with case(name), pytest.raises(REFUSALS):
            kind(settings, scaled(), "")


def test_sizes():
    """Networks that are too large are refused before memory is allocated."""
    for name, value in itertools.product(
        ("inputs", "outputs", "blocks", "block_size", "streams"), (0, 2**24, 2**24 + 1)
    ):
        if (name, value) == ("streams", 2**24):
            continue  # each stream is small
        flags = np.zeros(max(1, min(value, 2**20)), np.uint8)
        with (
            case(name, value),
            pytest.raises(REFUSALS, match=r"must be|too large|expected|terabytes"),
        ):
            _native.StreamFloat(described() | {name: value}, flags, "")


def test_traces_of_terabytes():
    huge = {"blocks": 2**16, "block_size": 1, "streams": 2**20}
    with pytest.raises(ValueError, match=r"too large|terabytes"):
        _native.StreamFloat(described() | huge, scaled(), "")


@every_class
def test_settings_of_a_wrong_type(kind):
    for settings in (None, {}, [], 1, "settings"):
        with case(settings), pytest.raises(REFUSALS):
            kind(settings, scaled(), "")


@every_class
def test_flags_of_inputs(kind):
    for how, spoil in SPOILT.items():
        flags = spoil(scaled())
        if is_still_good(flags, scaled()):
            continue
        with case(how), pytest.raises(REFUSALS):
            kind(described(), flags, "")
    for flags in (None, np.zeros(2**16, np.uint8), np.zeros(INPUTS, bool)):
        with case(flags), pytest.raises(REFUSALS):
            kind(described(), flags, "")


def test_unknown_instruction_sets():
    name: Any
    for name in ("avx1024", 3, None, "PLAIN", "x" * 10**6):
        with case(name), pytest.raises(REFUSALS):
            _native.StreamFloat(described(), scaled(), name)


@pytest.mark.parametrize("gradient", ["rtrl", "snap:1"])
def test_patterns_of_a_wrong_type_shape_or_layout(gradient):
    settings = described(Streaming(gradient=gradient))
    reach = settings["reach"]
    for how, spoil in SPOILT.items():
        spoilt = spoil(reach)
        if is_still_good(spoilt, reach):
            continue
        with case(how), pytest.raises(REFUSALS):
            _native.StreamFloat(settings | {"reach": spoilt}, scaled(), "")


def test_paths_of_a_wrong_type_shape_or_content():
    settings = described(Streaming(gradient="sparse:2"))
    paths = settings["paths"]
    for how, spoil in SPOILT.items():
        spoilt = spoil(paths)
        if is_still_good(spoilt, paths):
            continue
        with case(how), pytest.raises(REFUSALS):
            _native.StreamFloat(settings | {"paths": spoilt}, scaled(), "")
    for wrong in (-1, 2**40, len(paths) * 10**6):
        with case(wrong), pytest.raises(REFUSALS, match="paths contain"):
            _native.StreamFloat(settings | {"paths": np.full_like(paths, wrong)}, scaled(), "")
    for other in ({"n_paths": 1}, {"reach": 0 * settings["reach"]}, {"paths": None}, {"rule": 0}):
        with case(other), pytest.raises(REFUSALS):
            _native.StreamFloat(settings | other, scaled(), "")


@pytest.mark.parametrize("seed", range(6))
def test_any_pattern_of_sensitivities_runs(seed):
    """Patterns that no network has: empty, states without units, any byte for true."""
    settings = described(Streaming(gradient="rtrl"))
    rng, reach = np.random.default_rng(seed), settings["reach"]
    settings["reach"] = rng.integers(0, 256, reach.shape).astype(np.uint8)
    settings["reach"] *= rng.random(reach.shape) < (0.0, 0.1, 0.5, 0.9, 1.0, 0.3)[seed]
    try:
        net = _native.StreamDouble(settings, scaled(), "")
    except ValueError as refused:
        assert "reach" in str(refused)  # noqa: PT017
        return
    net.run(**rows(20))
    assert net.finite()


# --- arrays of rows ------------------------------------------------------------------------------


@every_class
@pytest.mark.parametrize("name", ["streams", "x", "targets", "outputs"])
def test_arrays_of_rows(kind, name):
    net, good = opened(kind), rows()
    for what, spoil in SPOILT.items():
        spoilt = spoil(good[name])
        if is_still_good(spoilt, good[name]):
            continue
        with case(what), pytest.raises(REFUSALS):
            net.run(**good | {name: spoilt})
        assert net.flags() == [0, 0], what
    if name != "targets":
        with pytest.raises(REFUSALS):
            net.run(**good | {name: None})
    for value in (2**40, object(), {}, memoryview(b"abcd")):
        with case(value), pytest.raises(REFUSALS):
            net.run(**good | {name: value})


@every_class
def test_outputs_that_overlap_rows(kind):
    net, good = opened(kind), rows()
    memory = np.zeros(4 * (INPUTS + OUTPUTS))
    x, inside = memory[: 4 * INPUTS].reshape(4, INPUTS), memory[4 : 4 + 4 * OUTPUTS]
    for name, array in (("x", x), ("targets", memory[8 : 8 + 4 * OUTPUTS].reshape(4, OUTPUTS))):
        outputs = inside.reshape(4, OUTPUTS)
        with pytest.raises(REFUSALS, match="overlaps"):
            net.run(**good | {name: array, "outputs": outputs})
    with pytest.raises(REFUSALS, match="overlaps"):
        net.run(**good | {"targets": good["outputs"]})
    streams = inside[:4].view(np.int64)
    with pytest.raises(REFUSALS, match="overlaps"):
        net.run(**good | {"streams": streams, "outputs": inside.reshape(4, OUTPUTS)})
    adjacent = memory[4 * INPUTS :].reshape(4, OUTPUTS)
    assert net.run(**good | {"x": x, "outputs": adjacent}) == (4, 0)
    read_only = np.zeros((4, OUTPUTS))
    read_only.flags.writeable = False
    with pytest.raises(REFUSALS, match="outputs"):
        net.run(**good | {"outputs": read_only})


def test_buffers_of_the_object_may_be_rows():
    """They are read before they are written, as in ``advance``."""
    net, good = opened(), rows(1)
    net.input[:] = good["x"][0]
    ours = {"x": net.input[None], "targets": net.target[None], "outputs": net.outputs[None]}
    assert net.run(**good | ours) == (1, 0)
    assert np.isfinite(net.outputs).all()


@every_class
def test_unknown_streams(kind):
    net = opened(kind)
    for stream in (-1, B, 2**40, -(2**62)):
        for call in (net.peek, net.advance, net.reset):
            assert call(stream) == 1, (stream, call)
        assert net.learn(stream, 1.0, 0) == net.step(stream, 1.0) == 1, stream
        assert net.run(**rows() | {"streams": np.full(4, stream)}) == (0, 1), stream
        for name in net.parts():
            with case(stream, name), pytest.raises(REFUSALS):
                net.read(name, stream, np.zeros(1))
        with case(stream), pytest.raises(REFUSALS, match="stream is"):
            net.set_flags(stream, 0)


def test_streams_of_a_wrong_type():
    net = opened()
    for stream in (2**63, -(2**70), 1.0, 1.5, "0", None, [0]):
        for call in (net.peek, net.advance, net.reset):
            with case(stream, call), pytest.raises(REFUSALS):
                call(stream)
        for call, rest in ((net.learn, (1.0, 0)), (net.step, (1.0,))):
            with case(stream, call), pytest.raises(REFUSALS):
                call(stream, *rest)


# --- parts ---------------------------------------------------------------------------------------


@every_class
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_read_and_write_parts(kind, gradient):
    net = opened(kind, Streaming(gradient=gradient))
    net.run(**rows())
    for name, (_, shape) in net.parts().items():
        good = np.full(shape, np.nan)
        net.read(name, 0, good)
        assert np.isfinite(good).all(), name
        net.write(name, 0, good)
        for how, spoil in SPOILT.items():
            spoilt = spoil(good)
            if is_still_good(spoilt, good):
                continue
            for call in (net.read, net.write):
                with case(name, how, call), pytest.raises(REFUSALS):
                    call(name, 0, spoilt)
        again = np.full(shape, np.nan)
        net.read(name, 0, again)
        np.testing.assert_array_equal(again, good, err_msg=name)
    for name in ("", "nothing", "hiddem", "hidden_third", None, 3):
        with case(name), pytest.raises(REFUSALS):
            net.read(name, 0, np.zeros(1))


@pytest.mark.parametrize("how", [Streaming(optimizer="sgd"), Streaming(gradient="uoro")])
def test_unknown_parts(how):
    net = opened(how=how)
    every = {"hidden_first", "output_second", "traces", "sensitivities", "q", "w", "draws"}
    missing = every - set(net.parts())
    assert missing
    for name in missing:
        with pytest.raises(REFUSALS, match=f"no part '{name}'"):
            net.read(name, 0, np.zeros((1, 1)))


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_parts_of_any_value(gradient):
    """The outcome is ``done`` or ``diverged``."""
    for value in (np.nan, np.inf, -np.inf, 1e300, -1e300, 5e-324, -1.0):
        net = opened(how=Streaming(gradient=gradient, scale_targets=True))
        net.run(**rows())
        for name, (_, shape) in net.parts().items():
            net.write(name, 1, np.full(shape, value))
            assert net.run(**rows())[1] in (0, 5), (name, value)
        net.reset(0)
        net.peek(0)


def test_flags():
    net = opened()
    for flags in (2, 4, 7, -1, 255, 2**31 - 1):
        with pytest.raises(REFUSALS, match=f"flags is {flags}, expected 0, 1 or 3"):
            net.set_flags(0, flags)
    for flags, learned in ((1, 4), (3, 0)):  # a stream without rows so far
        net.set_flags(1, flags)
        assert net.learn(1, 1.0, 0) in (learned, 5)
        assert net.peek(1) in (0, 5)


def test_buffers_outlive_the_object():
    net = opened()
    views = [net.input, net.target, net.outputs]
    net.step(0, 1.0)
    kept = views[2].copy()
    del net
    gc.collect()
    np.testing.assert_array_equal(views[2], kept)
    for view in views:
        view[:] = 1.0
        np.testing.assert_array_equal(view, 1.0)


def test_buffers_and_rates_that_cannot_be_assigned():
    net = opened()
    for name in ("input", "target", "outputs", "nbytes"):
        with pytest.raises(AttributeError):
            setattr(net, name, np.zeros(INPUTS))
    for rate in (-1.0, np.nan, np.inf, "1", None):
        with case(rate), pytest.raises(REFUSALS):
            net.rate = rate
    with pytest.raises(REFUSALS):
        type(net)(net)
