"""Why RTRL failed on exchange rates: sensitivities that grow without a bound.

Each net of 12 cells predicts the next rate of the D-mark from four rates. It is run with the bound
on its sensitivities and without one, in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from benchmarks.gradients.tasks import exchange_rates

from carrousel.contracts import Cell, Init, Network, Streaming
from carrousel.contracts.initial import initial_weights
from carrousel.contracts.streaming import LARGEST_SENSITIVITY
from carrousel.kernels import ReferenceStream
from carrousel.kernels.reference.layers import Weights

CELLS, SEEDS, ROWS = 12, 4, 1800


def units(quick: bool) -> Iterator[tuple[tuple[str, ...], Callable[[], Any]]]:
    """Yield the units of work: one for each seed, with and without the bound."""
    for seed in range(1 if quick else SEEDS):
        for name, bound in (("bounded", LARGEST_SENSITIVITY), ("free", 1e300)):
            yield (name, str(seed)), partial(figures, seed, bound, 60 if quick else ROWS)


def figures(seed: int, bound: float, rows: int) -> dict[str, Any]:
    """Return errors, and sizes of sensitivities and Jacobians along a run."""
    rates = exchange_rates()[: rows + 1]
    network = net()
    how = Streaming(
        "linear", "rmsprop", 0.003, gradient="rtrl", clip=3.0, scale_targets=True, decay=10_000.0
    )
    weights = initial_weights(network, np.random.default_rng(seed))
    kernel = ReferenceStream(network, how, weights, 1, np.ones(4, bool), bound=bound)
    watch = Watch(kernel)
    error = []
    for x, y in zip(rates[:-1], rates[1:, 0], strict=True):
        error.append(abs(float(kernel.advance(0, x)[0]) - float(y)))
        watch.look()
        kernel.learn(0, np.array([y]))
    half = rows // 2
    return {
        "error": float(np.mean(error[half:])),
        "last_value": float(np.abs(np.diff(rates[:, 0]))[half:].mean()),
        "size": [float(s) for s in watch.sizes[::20]],
        "largest_size": float(np.max(watch.sizes)),
        "median_size": float(np.median(watch.sizes)),
        "radius": [float(r) for r in np.quantile(watch.radii, (0.5, 0.9, 1.0))],
        "above_one": float(np.mean(np.array(watch.radii) > 1)),
        "largest_weight": float(np.abs(kernel.weights).max()),
    }


def net() -> Network:
    """Return the net of ``OnlineLSTM(cells=12)`` with four inputs."""
    cell = Cell(CELLS, 1, forget_gate=True)
    limit = float(1 / np.sqrt(4 + CELLS + 1))
    init = Init(range=limit, output_range=limit / 10, forget_gate_bias=(1.0,) * CELLS)
    return Network(4, 1, cell, wiring="cells", bias="all", init=init)


class Watch:
    """Sizes of the sensitivities and spectral radii of the Jacobian of a kernel, step by step."""

    def __init__(self, kernel: ReferenceStream) -> None:
        self._kernel = kernel
        self.sizes: list[float] = []
        self.radii: list[float] = []

    def look(self) -> None:
        """Measure the last step."""
        kernel = self._kernel
        rule: Any = kernel.rule(0)
        w = Weights.unpack(kernel.network, kernel.weights)
        p = rule.p[rule.used]
        self.sizes.append(float(np.sqrt((p**2).sum() / w.hidden.size)))
        jacobian = rule.state.last.jacobian(w.recurrent(kernel.network))
        self.radii.append(float(np.abs(np.linalg.eigvals(jacobian)).max()))
