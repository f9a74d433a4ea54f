"""Random lanes, and all results of a kernel for them, to compare bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carrousel.contracts import Network
from carrousel.kernels import NativeKernel
from carrousel.sequences import Sequences
from support.drawn import Kind, Lesson, drawn_lanes, drawn_weights


@dataclass
class Lanes:
    """Weights, settings and data of several lanes."""

    weights: np.ndarray
    rates: np.ndarray
    cells_from: np.ndarray
    data: list[Sequences | None]
    seeds: Sequence[int] = range(64)

    # Up to 50 steps, so that some sequences need several chunks of 16 steps.
    @staticmethod
    def drawn(network: Network, kind: Kind, rng: np.random.Generator, n: int) -> Lanes:
        return Lanes(
            weights=drawn_weights(network, rng, n),
            rates=rng.uniform(0, 1, n).astype(np.float32),
            cells_from=rng.integers(0, 3, n),
            data=drawn_lanes(network, rng, kind, lanes=n, most=50),
        )

    def __getitem__(self, order: Sequence[int] | np.ndarray) -> Lanes:
        data = [self.data[lane] for lane in order]
        seeds = [self.seeds[lane] for lane in order]
        return Lanes(self.weights[order], self.rates[order], self.cells_from[order], data, seeds)


@dataclass
class Outcome:
    """All results of a kernel for several lanes."""

    weights: np.ndarray
    errors: list[np.ndarray | None]
    outputs: list[np.ndarray | None]

    def assert_same(self, other: Outcome) -> None:
        np.testing.assert_array_equal(self.weights, other.weights)
        for one, two in zip(
            [*self.errors, *self.outputs], [*other.errors, *other.outputs], strict=True
        ):
            assert (one is None) == (two is None)
            if one is not None:
                np.testing.assert_array_equal(one, two)

    def __getitem__(self, order: Sequence[int] | np.ndarray) -> Outcome:
        errors = [self.errors[lane] for lane in order]
        return Outcome(self.weights[order], errors, [self.outputs[lane] for lane in order])


def run(kernel: NativeKernel, lesson: Lesson, lanes: Lanes) -> Outcome:
    """Predict, then learn. Predicting must not change weights."""
    network, training, gradient = lesson
    weights, args = lanes.weights.copy(), (lanes.cells_from, lanes.data)
    outputs = kernel.predict(network, training, weights, *args)
    np.testing.assert_array_equal(weights, lanes.weights)
    rngs = [np.random.default_rng(seed) for seed in lanes.seeds[: len(lanes.data)]]
    errors = kernel.learn(network, training, weights, lanes.rates, *args, gradient, rngs)
    return Outcome(weights, [None if e is None else np.array(tuple(e)) for e in errors], outputs)
