"""Arguments of the extension's functions, as the Python layer passes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from carrousel import _native
from carrousel.contracts import TRUNCATED, Gradient, Network, Training
from carrousel.kernels import NativeKernel
from carrousel.sequences import Sequences

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
