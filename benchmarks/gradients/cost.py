"""Time and memory of a step of a stream's net by each gradient."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from benchmarks.gradients.learning import GRADIENTS, SIZES

from carrousel.contracts import Cell, Network, Streaming
from carrousel.contracts.initial import initial_weights
from carrousel.kernels import open_stream

REPEATS = 7
STEPS = {
    "rtrl": {16: 2000, 32: 500, 64: 60, 128: 8},
    "sparse:4": {16: 4000, 32: 1000, 64: 200, 128: 30},
}
"""Steps of a stretch; 4,000 by default."""


def units(quick: bool) -> Iterator[tuple[tuple[str, ...], Callable[[], Any]]]:
    """Yield the units of work: one for each net and gradient."""
    for cells in (16,) if quick else SIZES:
        for gradient in GRADIENTS:
            steps = STEPS.get(gradient, {}).get(cells, 4000)
            yield (str(cells), gradient), partial(figures, cells, gradient, steps, quick)


def figures(cells: int, gradient: str, steps: int, quick: bool = False) -> dict[str, float]:
    """Return ns per weight and step (least of some stretches), weights, and bytes of one stream."""
    network = Network(1, 1, Cell(cells, 1, forget_gate=True), wiring="cells", bias="all")
    how = Streaming("linear", "rmsprop", 0.003, gradient=gradient, clip=3.0, scale_targets=True)
    rng = np.random.default_rng(0)
    kernel = open_stream(network, how, initial_weights(network, rng), 1, np.ones(1, bool))
    streams, x = np.zeros(steps, np.int64), rng.normal(size=(steps, 1))
    targets, least = rng.normal(size=(steps, 1)), np.inf
    for _ in range(2 if quick else REPEATS):
        started = time.process_time()
        kernel.run(streams, x, targets)
        least = min(least, time.process_time() - started)
    ns = 1e9 * least / steps
    return {
        "weights": network.n_weights,
        "ns": ns / network.n_weights,
        "us": ns / 1000,
        "bytes": kernel.nbytes,
    }
