"""Random pairs of nets for the neural sequence chunker, their weights and data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from hypothesis import strategies as st

from carrousel.contracts import Network, Simple, Wiring
from carrousel.kernels import NativeChunker
from carrousel.learners.chunker.reference import ReferenceChunker
from carrousel.sequences import Sequences
from support.drawn import UNGATED, WHEN, Kind, drawn_lanes, drawn_weights, seeds

Squasher = Literal["logistic", "tanh"]


@dataclass(frozen=True)
class Pair:
    """Two nets, how they learn, and the seed of weights and data."""

    below: Network
    above: Network
    kind: Kind
    rate: float
    threshold: float
    depth: int
    lanes: int
    seed: int

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Arguments of a kernel besides the nets."""
        return {"rate": self.rate, "threshold": self.threshold, "depth": self.depth} | changes

    def native(self, **changes: Any) -> NativeChunker:
        return NativeChunker(self.below, self.above, **self.settings(**changes))

    def reference(self, dtype: type[np.floating], **changes: Any) -> ReferenceChunker:
        return ReferenceChunker(self.below, self.above, **self.settings(**changes), dtype=dtype)

    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, 1])
        return drawn_weights(self.below, rng, self.lanes), drawn_weights(
            self.above, rng, self.lanes
        )

    def data(self) -> list[Sequences | None]:
        """Parts of all lanes; some are None, and some have no sequence."""
        digits = self.above.n_inputs - self.below.n_inputs
        data = replace(self.below, n_outputs=self.above.n_outputs - digits)
        return drawn_lanes(data, np.random.default_rng(self.seed), self.kind, lanes=self.lanes)


WIRINGS: tuple[Wiring, ...] = ("full", "direct")
SQUASHERS: tuple[Squasher, ...] = get_args(Squasher)


@st.composite
def pairs(draw: st.DrawFn, *squashers: Squasher, lanes: int = 3) -> Pair:
    """Pairs of all wirings, bias schemes and watched states; some layers fill several vectors."""
    sizes = st.one_of(st.integers(1, 5), st.integers(1, 40))
    wirings = st.sampled_from(WIRINGS)
    units = draw(st.one_of(st.just(1), sizes))
    cell = Simple(units, draw(st.sampled_from(squashers or SQUASHERS)))
    digits = draw(st.sampled_from([0, 0, 3]))
    inputs, targets = draw(sizes), draw(sizes)
    bias = draw(st.sampled_from(UNGATED))
    above = Network(inputs + digits, targets + digits, cell, wiring=draw(wirings), bias=bias)
    watched = draw(st.sampled_from([0, units, units + above.n_outputs]))
    below = Network(inputs, targets + watched, cell, wiring=draw(wirings), bias=bias)
    return Pair(
        below,
        above,
        kind=Kind(draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from(WHEN))),
        rate=draw(st.floats(0.0, 1.0)),
        threshold=draw(st.floats(0.1, 0.9)),
        depth=draw(st.integers(1, 5)),
        lanes=lanes,
        seed=draw(seeds),
    )
