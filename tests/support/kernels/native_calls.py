"""Arguments of the extension's functions, as the Python layer passes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

from carrousel import _native
from carrousel.contracts import TRUNCATED, Cell, Gradient, Network, Simple, Training, Wiring
from carrousel.kernels import NativeKernel
from carrousel.sequences import Sequences
from support.drawn import Kind, drawn_data, drawn_weights
from support.kernels.spoilt import REFUSALS

Call = dict[str, Any]
"""Keyword arguments of ``_native.run_lanes``; ``call["data"]`` is a list of dicts or None."""


def caught(
    network: Network,
    training: Training,
    weights: np.ndarray,
    data: list[Sequences | None],
    *,
    learn: bool = True,
    kernel: NativeKernel | None = None,
    gradient: Gradient = TRUNCATED,
) -> Call:
    """The arguments that :class:`NativeKernel` passes to the extension, without calling it."""
    kernel, calls = kernel or NativeKernel(), []
    start = np.zeros(len(data), np.int64)
    with mock.patch.object(_native, "run_lanes", lambda **call: calls.append(call)):
        if learn:
            rates = np.full(len(data), training.rate, np.float32)
            kernel.learn(network, training, weights, rates, start, data, gradient)
        else:
            kernel.predict(network, training, weights, start, data)
    [call] = calls
    return call


def run(call: Call) -> None:
    _native.run_lanes(**call)


Change = Callable[[Call], None]
"""Changes a call in place."""


def put(*path: Any, value: Any) -> Change:
    """A change that sets one entry: ``put("data", 0, "offsets", value=array)``."""

    def change(call: Call) -> None:
        place: Any = call
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def alter(*path: Any, by: Callable[[Any], Any]) -> Change:
    """A change that replaces one entry by a function of it."""

    def change(call: Call) -> None:
        value: Any = call
        for key in path:
            value = value[key]
        put(*path, value=by(value))(call)

    return change


NETWORK = Network(3, 2, Cell(2, 1), bias="all")


def fresh(*, learn: bool = True, symbols: bool = False) -> Call:
    """A call with memory cells; it is wrong in nothing."""
    rng = np.random.default_rng(0)
    data = [drawn_data(NETWORK, rng, Kind(symbols, symbols, "all"), [5, 4]) for _ in range(3)]
    return caught(NETWORK, Training(0.5), drawn_weights(NETWORK, rng, 3), list(data), learn=learn)


def simple(wiring: Wiring = "full") -> Call:
    """A call with three simple units; it is wrong in nothing."""
    rng, network = np.random.default_rng(1), Network(3, 2, Simple(3), wiring=wiring, bias="all")
    data = [drawn_data(network, rng, Kind(when="all"), [5, 4]) for _ in range(2)]
    return caught(network, Training(0.5), drawn_weights(network, rng, 2), list(data))


def held(call: Call) -> list[np.ndarray]:
    """Copies of all arrays of a call."""
    lanes = [lane for lane in call["data"] or [] if isinstance(lane, dict)]
    found = [call["weights"], *[value for lane in lanes for value in lane.values()]]
    return [array.copy() for array in found if isinstance(array, np.ndarray)]


def refused(call: Call, match: str | None = None) -> None:
    """Require that a call raises, and that it changes nothing."""
    before = held(call)
    with pytest.raises(REFUSALS, match=match):
        run(call)
    for now, then in zip(held(call), before, strict=True):
        np.testing.assert_array_equal(now, then)


def count_of(shape: dict[str, int]) -> int:
    """Number of weights by the layout in ``native/common/carrousel.h``."""
    cells = shape["blocks"] * shape["block_size"]
    gates = 1 + shape["output_gate"] + shape["forget_gate"] if shape["kind"] == 0 else 0
    units = cells + gates * shape["blocks"]
    there = shape["kind"] == 0
    blocks = there * shape["blocks"]
    sizes = [blocks, blocks * shape["forget_gate"], cells, blocks * shape["output_gate"]]
    fed, into, biases = (
        sum(size for g, size in enumerate(sizes) if shape[name] >> g & 1)
        for name in ("fed_back", "receivers", "biased_groups")
    )
    hidden = units * shape["inputs"] + fed * into + biases
    if shape["united"]:
        return hidden
    return hidden + shape["outputs"] * (
        cells + shape["direct"] * shape["inputs"] + shape["output_bias"]
    )
