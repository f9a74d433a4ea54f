"""Live series: nets of an ensemble that read one series row by row, in NumPy and float64.

It is the readable form of ``native/step/live.h``, with the arguments of
:func:`carrousel.kernels.native.live.open_live`. The LSTM is any single step with ``input``,
``output``, ``run`` and ``reset``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import numpy as np

from carrousel.shapes import Floats


class LiveFeatures:
    """Inputs of a net from one row at a time, with gaps and irregular times.

    A missing value is replaced by the last one seen, or by the mean (0) before the first. Its age
    counts from the row in which it was last seen, or from one unit before the first row.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.mean, self.scale = given["mean"], given["scale"]
        self.timed, self.unit = given["timed"], given["unit"]
        self.reset()

    def reset(self) -> None:
        self.carried, self.seen_at = np.zeros(len(self.mean)), np.full(len(self.mean), -1.0)
        self.start: float | None = None
        self.since: float | None = None

    def row(self, values: Annotated[Floats, "I"], time: float | None) -> Annotated[Floats, "F"]:
        before = self.since
        if before is None:
            now, self.start = 0.0, 0.0 if time is None else time
        elif time is None or not self.timed:
            now = before + 1.0
        else:
            now = (time - (self.start or 0.0)) / self.unit
        self.since = now
        z = (np.asarray(values, np.float64) - self.mean) / self.scale
        seen = np.isfinite(z)
        self.carried = np.where(seen, z, self.carried)
        self.seen_at = np.where(seen, now, self.seen_at)
        gone = 0.0 if before is None else max(now - before, 0.0)
        ages = np.log1p(now - self.seen_at)
        return np.concatenate([self.carried, ages, [math.log1p(gone)] if self.timed else []])


class LiveNet:
    """One net: dilated convolution of the last steps, norm, LSTM, running means, read-out."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.w = given
        self.reset()

    def reset(self) -> None:
        self.w["step"].reset(None)
        span = (self.w["window"] - 1) * self.w["dilation"] + 1
        self.past = np.zeros((max(span, 1), self.w["width"]))
        self.sums: np.ndarray | float = 0.0
        self.rows = 0

    def run(self, x: Annotated[Floats, "width"]) -> Annotated[Floats, "O"]:
        w, step = self.w, self.w["step"]
        if w["window"]:
            self.past = np.concatenate([self.past[1:], x[None]])
            y = (
                w["filters"] @ self.past[:: w["dilation"]].ravel() + w["bias"]
            )  # centred: its mean is 0
            y = y / np.sqrt((y**2).mean() + w["epsilon"]) * w["gain"] + w["shift"]
            x = np.concatenate([np.maximum(y, 0.0), x])
        step.input[:] = x
        step.run()
        h = np.array(step.output[0], np.float64)
        self.rows += 1
        self.sums = self.sums + np.concatenate([h, x])
        return w["readout"] @ np.concatenate([h, self.sums / self.rows]) + w["readout_bias"]


class Live:
    """All nets of an ensemble, and the mean of their outputs or of their softmax."""

    def __init__(
        self, features: Mapping[str, Any], nets: Iterable[Mapping[str, Any]], *, temperature: float
    ) -> None:
        self.symbols, self.temperature = features["symbols"], temperature
        self.features = LiveFeatures(features)
        self.nets = [LiveNet(net) for net in nets]
        self.outputs = np.zeros((len(self.nets), self.nets[0].w["outputs"]))
        self.answer = np.zeros(self.outputs.shape[1])

    def reset(self) -> None:
        self.features.reset()
        for net in self.nets:
            net.reset()

    def push(self, row: Any, time: float | None = None) -> None:
        inputs = None if self.symbols else self.features.row(row, time)
        self.outputs = np.array(
            [
                net.run(net.w["embedding"][row + 1] if inputs is None else inputs)
                for net in self.nets
            ]
        )
        parts = self.outputs
        if self.temperature:
            parts = np.exp((parts - parts.max(axis=1, keepdims=True)) / self.temperature)
            parts = parts / parts.sum(axis=1, keepdims=True)
        self.answer = parts.mean(axis=0)
