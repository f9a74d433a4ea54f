"""Targets that come after later rows are learned as if they had come at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Rules, Streaming
from carrousel.errors import SettingError
from carrousel.kernels import NativeStream
from support.case import case as named
from support.case import each
from support.kernels.stream_cases import EPSILON, GRADIENTS, HEADS

pytestmark = pytest.mark.native

NETWORK = Network(2, 2, Cell(2, 2, forget_gate=True), wiring="cells", bias="all")
OF_THE_STATE = (
    "hidden",
    "output",
    "hidden_second",
    "output_second",
    "changes",
    "y",
    "s",
    "sources",
)


def opened(how: Streaming, dtype: type[np.floating] = np.float32, n_streams: int = 1) -> Any:
    weights = np.random.default_rng(1).normal(0, 0.4, NETWORK.n_weights)
    return NativeStream(NETWORK, how, weights, n_streams, dtype=dtype)


def rows(head: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = rng.uniform(0, 1, (n, 2))
    if head == "softmax":
        targets = rng.integers(0, 2, (n, 1)).astype(float)
    return rng.normal(size=(n, 2)), targets


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("head", HEADS)
def test_a_constant_delay_equals_none(gradient, head):
    """Weights and the state that learns equal, to the last bit, those of a kernel that gets each
    target at once. The state sees the same rows in the same order. (Inputs are not standardised:
    scales count rows when they come.)"""
    n = 80
    x, targets = rows(head, n)
    for dtype in (np.float32, np.float64):
        for delay in (1, 4, 30):
            how = Streaming(head, "rmsprop", 0.02, epsilon=EPSILON, gradient=gradient)
            prompt = opened(how, dtype)
            late = opened(replace(how, delay=delay), dtype)
            for row in range(n):
                late.advance(0, x[row])
                if row >= delay:
                    late.learn(0, targets[row - delay], back=delay)
                    prompt.step(0, x[row - delay], targets[row - delay])
                    ours, theirs = late.state(), prompt.state()
                    for name in OF_THE_STATE:
                        with named(dtype, delay, row, name):
                            np.testing.assert_array_equal(ours[name], theirs[name])


def test_with_targets_at_once_outputs_are_those_without_a_queue():
    x, targets = rows("linear", 60)
    how = Streaming(rate=0.02, epsilon=EPSILON)
    late, prompt = opened(replace(how, delay=5)), opened(how)
    for row in range(60):
        y = prompt.step(0, x[row], targets[row])
        np.testing.assert_array_equal(late.step(0, x[row], targets[row]), y)


def test_rows_without_targets_are_passed_when_they_are_overdue():
    """A target after ``delay`` further rows is learned, a later one is counted as lost."""
    x, targets = rows("linear", 20)
    kernel = opened(Streaming(delay=3))
    for row in range(10):
        kernel.advance(0, x[row])
    before = kernel.weights
    kernel.learn(0, targets[5], back=4)  # its row no longer waits
    np.testing.assert_array_equal(kernel.weights, before)
    assert kernel.state()["pending_lost"] == 1
    kernel.learn(0, targets[6], back=3)
    assert (kernel.weights != before).any()
    assert kernel.state()["pending_lost"] == 1


def test_targets_out_of_order_equal_those_in_order():
    x, targets = rows("linear", 40)
    how = Streaming(rate=0.02, delay=3)
    ours, theirs = opened(how), opened(how)
    for row in range(40):
        for kernel in (ours, theirs):
            kernel.advance(0, x[row])
        if row % 4 == 3:
            for back in (3, 2, 1, 0):
                ours.learn(0, targets[row - back], back=back)
            for back in (0, 2, 3, 1):
                theirs.learn(0, targets[row - back], back=back)
    np.testing.assert_array_equal(ours.weights, theirs.weights)
    np.testing.assert_array_equal(ours.peek(0, x[0]), theirs.peek(0, x[0]))


def test_targets_that_cannot_be():
    kernel, good = opened(Streaming(delay=3)), np.zeros(2)
    kernel.advance(0, good)
    kernel.advance(0, good)
    kernel.learn(0, good, back=1)
    for back in (-1, 2, 3, 2**40):
        with named(back), pytest.raises(SettingError, match="no step to learn from"):
            kernel.learn(0, good, back=back)
    kernel.learn(0, good, back=0)
    kernel.learn(0, good, back=0)  # again: its row no longer waits
    assert kernel.state()["pending_lost"] == 1
    prompt = opened(Streaming())
    prompt.advance(0, good)
    with pytest.raises(SettingError, match="no step to learn from"):
        prompt.learn(0, good, back=1)


@each("delay", [0, 2])
def test_leads_wait_for_their_targets(delay):
    """A forecast of three rows is learned once the third has come."""
    rules = Rules(leads=3, lags=2, longest=0)
    network = Network(1 + rules.n_features, 3, Cell(1, 1), wiring="cells", bias="all")
    kernel = NativeStream(network, Streaming(rules=rules, delay=delay), np.zeros(network.n_weights))
    for row in range(6):
        kernel.advance(0, np.zeros(1))
        kernel.learn(0, np.array([float(row)]))
        learned = kernel.state()["pending_counts"][0, 1]
        assert learned == max(0, row - 1)


@pytest.mark.parametrize("delay", [0, 10])
def test_labels_ten_rows_late_are_learned_as_without_delay(delay):
    """``y(t) = x(t - 1)``, each label after ten further rows."""
    rng, n = np.random.default_rng(0), 6000
    x = rng.normal(size=(n, 1))
    y = np.roll(x, 1)
    network = Network(1, 1, Cell(8, 1, forget_gate=True), wiring="cells", bias="all")
    weights = np.random.default_rng(1).normal(0, 0.3, network.n_weights)
    how = Streaming(rate=0.01, epsilon=EPSILON, clip=3.0, delay=delay)
    kernel, errors = NativeStream(network, how, weights), []
    for row in range(n):
        out = kernel.advance(0, x[row])
        errors.append(abs(out[0] - y[row, 0]))
        if row >= delay:
            kernel.learn(0, y[row - delay], back=delay)
    assert np.mean(errors[n // 2 :]) < 0.2  # the mean as a forecast: 0.80
