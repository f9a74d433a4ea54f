"""State of expert rules and of waiting rows: restored exactly, refused or corrected if damaged."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Cell, Network, Rules, Streaming
from carrousel.errors import CarrouselError, ShapeError
from carrousel.kernels import NativeStream
from support.case import case as named
from support.case import each
from support.kernels.rule_cases import RuleCase, drawn_calls, halves, play, rule_cases
from support.kernels.stream_cases import EPSILON, assert_same_state

pytestmark = pytest.mark.native

dtypes = st.sampled_from([np.float32, np.float64])
FULL = Rules(variables=2, leads=2, inputs=2, lags=3, longest=8, levels=(0.5, 0.9))


def moved(how: Streaming, n_streams: int = 2, n: int = 60) -> tuple[Any, list[Any]]:
    """A kernel in the middle of some calls, and the calls that remain."""
    calls = drawn_calls(np.random.default_rng(0), how, n_streams, n)
    first, rest = halves(calls)
    kernel = RuleCase(how, n_streams, calls).open(NativeStream)
    play(kernel, first)
    return kernel, rest


@settings(max_examples=40)
@given(rule_cases(n=60), dtypes, st.booleans())
def test_a_restored_state_continues_as_before(case, dtype, new):
    """In a new kernel, or in one that has gone on: to the last bit."""
    first, rest = halves(case.calls)
    kernel = case.open(NativeStream, dtype=dtype)
    play(kernel, first)
    state = kernel.state()
    wanted = play(kernel, rest)
    end = kernel.state()
    if new:
        kernel = case.open(NativeStream, dtype=dtype)
    kernel.restore(state)
    assert_same_state(kernel.state(), state)
    np.testing.assert_array_equal(play(kernel, rest), wanted)
    assert_same_state(kernel.state(), end)


@each("delay", [0, 3])
def test_restoring_forgets_streams_that_the_state_lacks(delay):
    """Otherwise a stream would go on with a history of other rows."""
    how = Streaming(rules=FULL, delay=delay)
    kernel, x = RuleCase(how, 2, []).open(NativeStream), np.ones(2)
    kernel.advance(0, x)
    kernel.learn(0, np.ones(2))
    state = kernel.state()
    wanted = kernel.peek(1, x)
    for _ in range(9):
        kernel.advance(1, x)
        kernel.learn(1, np.full(2, 50.0))
    kernel.restore(state)
    np.testing.assert_array_equal(kernel.peek(1, x), wanted)
    kernel.advance(1, x)
    kernel.learn(1, np.ones(2))
    assert kernel.state()["rules_key"][1, 0] == 1


SETTINGS = {
    "rules": Streaming(rules=FULL, epsilon=EPSILON),
    "delay": Streaming(delay=3, epsilon=EPSILON),
    "both": Streaming(rules=FULL, delay=3, by_key=True, epsilon=EPSILON),
}
every_setting = pytest.mark.parametrize("how", SETTINGS.values(), ids=SETTINGS)


@every_setting
def test_damaged_states_are_refused(how):
    """Wrong shapes, NaN and infinite numbers in any part."""
    kernel, _ = moved(how)
    good = kernel.state()
    for name, part in good.items():
        damaged = {"shape": part[:-1], "axes": part[None]}
        if name not in ("streams", "flags"):
            for value in (np.nan, np.inf, -np.inf):
                spoilt = part.astype(float)
                spoilt[(-1,) * part.ndim] = value
                damaged[str(value)] = spoilt
        for how_damaged, spoilt in damaged.items():
            with named(name, how_damaged):
                with pytest.raises(ShapeError, match=rf"state.*\b{name}\b"):
                    kernel.restore(good | {name: spoilt})
                assert_same_state(kernel.state(), good)


@every_setting
def test_missing_parts_are_refused(how):
    kernel, _ = moved(how)
    good = kernel.state()
    for name in good:
        with named(name), pytest.raises(ShapeError, match=f"state lacks {name}"):
            kernel.restore({key: part for key, part in good.items() if key != name})


def test_counts_below_zero_or_in_parts_are_refused():
    kernel, _ = moved(SETTINGS["both"])
    good = kernel.state()
    for name in ("inputs", "targets", "inputs_all", "targets_all"):
        for column in (0, 2, 3):
            wrong = good[name].copy()
            wrong[..., column] = -1
            with named(name, column), pytest.raises(ShapeError, match="below 0"):
                kernel.restore(good | {name: wrong})
    for name in ("pending_counts", "pending_lost", "changes"):
        for value in (-1.0, 0.5):
            wrong = np.full(good[name].shape, value)
            with named(name, value), pytest.raises(ShapeError, match=name):
                kernel.restore(good | {name: wrong})


HOSTILE = (-1.0, 0.5, -0.5, 1e300, -1e300, 2.0**31, 2.0**53, 2.0**63, -(2.0**63), 5e-324, 7.0)


def survives(kernel: Any, calls: list[Any]) -> None:
    """Make calls, of which any may be refused. Nothing may crash or hang."""
    for call in calls:
        try:
            play(kernel, [call])
        except CarrouselError:
            continue
        kernel.state()


@every_setting
def test_hostile_states_do_not_lead_outside_memory(how):
    """Every number of every part of rules and waiting rows, one after another and all at once."""
    kernel, rest = moved(how, n=40)
    good = kernel.state()
    for name in good:
        if not name.startswith(("rules_", "pending_", "front")):
            continue
        flat = good[name].size
        few = sorted({*range(min(flat, 6)), *np.linspace(0, flat - 1, 5).astype(int)})
        for value, where in itertools.product(HOSTILE, (*few, slice(None))):
            wrong = good[name].astype(float)
            wrong.flat[where] = value
            try:
                kernel.restore(good | {name: wrong})
            except ShapeError:
                continue
            if where == slice(None) or where == few[0]:
                survives(kernel, rest[:12])
            else:
                survives(kernel, rest[:3])


@every_setting
def test_random_hostile_states(how):
    """Parts of random hostile numbers together."""
    kernel, rest = moved(how, n=40)
    good = kernel.state()
    rng = np.random.default_rng(0)
    names = [name for name in good if name.startswith(("rules_", "pending_"))]
    for _ in range(80):
        wrong = {}
        for name in names:
            part = good[name].astype(float)
            spoilt = rng.random(part.shape) < rng.choice([0.01, 0.3])
            part[spoilt] = rng.choice(HOSTILE, spoilt.sum())
            if name in ("pending_counts", "pending_lost"):
                part = np.floor(np.abs(part))
            wrong[name] = part
        kernel.restore(good | wrong)
        survives(kernel, rest[:25])


@every_setting
def test_parts_written_directly(how):
    """The compiled class corrects impossible numbers itself, also NaN."""
    kernel, rest = moved(how, n=40)
    good, net = kernel.state(), kernel._net
    for name, (_, shape) in kernel._parts.items():
        if not name.startswith(("rules_", "pending_")):
            continue
        for value in (*HOSTILE, np.nan, np.inf, -np.inf):
            kernel.restore(good)
            net.write(name, 1, np.full(shape, value))
            survives(kernel, rest[:25])


def test_symbols_and_classes_of_waiting_rows():
    """They are indices: others than known ones are replaced."""
    network = Network(3, 2, Cell(2, 1), wiring="cells", bias="all")
    how = Streaming("softmax", symbols=True, delay=3)
    kernel = NativeStream(network, how, np.zeros(network.n_weights), n_streams=2)
    for row in range(4):
        kernel.advance(0, np.array([row % 3.0]))
    kernel.learn(0, np.ones(1), back=1)
    good = kernel.state()
    for name, value in itertools.product(("pending_inputs", "pending_targets"), HOSTILE):
        kernel.restore(good | {name: np.full(good[name].shape, value)})
        written = kernel.state()[name]
        assert np.isin(written, range(3 if name == "pending_inputs" else 2)).all()
        for row in range(6):
            kernel.advance(0, np.array([row % 3.0]))
            kernel.learn(0, np.zeros(1))


def test_given_periods_are_those_of_the_settings():
    how = Streaming(rules=Rules(longest=0, periods=(3, 5), lags=2))
    kernel, rest = moved(how)
    good = kernel.state()
    kernel.restore(good | {"rules_periods": np.full(good["rules_periods"].shape, 4.0)})
    np.testing.assert_array_equal(kernel.state()["rules_periods"], [[3.0, 5.0]])
    survives(kernel, rest)
