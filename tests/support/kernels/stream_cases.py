"""Random networks, settings and rows of streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from hypothesis import strategies as st

from carrousel.contracts import SQUASHES, Cell, Network, Streaming, Wiring
from carrousel.contracts.streaming import Head, Optimizer
from carrousel.kernels import NativeStream, ReferenceStream

HEADS: tuple[Head, ...] = get_args(Head)
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
WIRINGS: tuple[Wiring, ...] = ("cells", "full")

CERTAIN = ("truncated", "immediate", "rtrl", "sparse:2", "snap:1", "snap:2")
GRADIENTS = (*CERTAIN, "uoro")  # uoro draws signs by the number of the stream

RATES: dict[Optimizer, float] = {"sgd": 0.1, "rmsprop": 0.01, "adam": 0.02}
"""Rates at which small networks change visibly within some rows without diverging."""

EPSILON = 1e-3
"""RMSProp and Adam divide a gradient by its own size plus this. Without it, a gradient of 1e-16,
which is only rounding, would move a weight by a whole rate."""

MOMENTUM, SECOND = 1 - 2**-3, 1 - 2**-10
"""Near 0.9 and 0.999, but equal in both precisions; 0.999 is not."""


@dataclass(frozen=True)
class Rows:
    """Rows in order: stream, inputs and targets of each (NaN: no target)."""

    streams: np.ndarray  # [N]
    x: np.ndarray  # [N, I], or [N, 1] symbols
    targets: np.ndarray  # [N, O], or [N, 1] classes

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, which: slice | np.ndarray) -> Rows:
        return Rows(self.streams[which], self.x[which], self.targets[which])


@dataclass(frozen=True, repr=False)
class StreamCase:
    """A network, its settings, and rows for it."""

    network: Network
    streaming: Streaming
    weights: np.ndarray
    scaled: np.ndarray
    n_streams: int
    rows: Rows
    targets_first: bool = False

    def open(self, kind: type[Any], **named: Any) -> Any:
        """A new kernel."""
        return kind(
            self.network, self.streaming, self.weights, self.n_streams, self.scaled, **named
        )

    def native(self, **named: Any) -> NativeStream:
        return self.open(NativeStream, **named)

    def reference(self, **named: Any) -> ReferenceStream:
        return self.open(ReferenceStream, **named)

    def __repr__(self) -> str:  # hypothesis would write out every number
        return f"{self.network}, {self.streaming}, {len(self.rows)} rows"

    def run(self, kernel: Any, rows: Rows | None = None) -> np.ndarray:
        rows = self.rows if rows is None else rows
        return kernel.run(rows.streams, rows.x, rows.targets, self.targets_first)


def drawn_rows(
    network: Network,
    streaming: Streaming,
    rng: np.random.Generator,
    n: int,
    n_streams: int = 1,
    learned: float = 0.8,
) -> Rows:
    """Random rows. A share of them has targets; inputs have different means and sizes."""
    inputs, outputs = network.n_inputs, network.n_outputs
    sizes, means = rng.uniform(0.3, 2.0, inputs), rng.normal(0, 1, inputs)
    x = means + sizes * rng.normal(0, 1, (n, inputs))
    if streaming.symbols:
        x = rng.integers(0, inputs, (n, 1)).astype(float)
    elif streaming.missing:
        x[rng.random(x.shape) < 0.2] = np.nan
    targets = rng.uniform(0, 1, (n, outputs))
    if streaming.head == "linear":
        targets = rng.normal(1, 2, (n, outputs))
    elif streaming.head == "softmax":
        targets = rng.integers(0, outputs, (n, 1)).astype(float)
    targets[rng.random(n) > learned] = np.nan
    targets[rng.random(targets.shape) < 0.1] = np.nan  # of single outputs
    return Rows(rng.integers(0, n_streams, n), x, targets)


def case_of(
    network: Network,
    streaming: Streaming,
    seed: int = 0,
    n: int = 30,
    n_streams: int = 1,
    scaled: bool = False,
    targets_first: bool = False,
) -> StreamCase:
    """A random case with all inputs scaled, or none."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 0.4, network.n_weights)
    rows = drawn_rows(network, streaming, rng, n, n_streams)
    flags = np.full(network.n_inputs, scaled)
    return StreamCase(network, streaming, weights, flags, n_streams, rows, targets_first)


@st.composite
def stream_networks(draw: st.DrawFn, most: int = 9) -> Network:
    """Networks with any kind of block, with sizes around the width of vectors."""
    cell = Cell(
        blocks=draw(st.sampled_from([n for n in (1, 2, 3, 5, 9) if n <= most])),
        block_size=draw(st.integers(1, 3)),
        g=draw(st.sampled_from(list(SQUASHES))),
        h=draw(st.sampled_from(list(SQUASHES))),
        forget_gate=draw(st.booleans()),
    )
    inputs, outputs = draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 3, 5, 17]))
    return Network(inputs, outputs, cell, wiring=draw(st.sampled_from(WIRINGS)), bias="all")


@st.composite
def streamings(
    draw: st.DrawFn, *, still: bool = False, gradients: Sequence[str] = GRADIENTS
) -> Streaming:
    """Any settings; ``still``: with rate 0."""
    head, optimizer = draw(st.sampled_from(HEADS)), draw(st.sampled_from(OPTIMIZERS))
    symbols, gradient = draw(st.booleans()), draw(st.sampled_from(gradients))
    shares = [0.03, 0.1] if gradient == "uoro" else [0.3, 1.0]  # its noise is ten times as large
    return Streaming(
        head=head,
        optimizer=optimizer,
        rate=0.0 if still else RATES[optimizer] * draw(st.sampled_from(shares)),
        decay=draw(st.sampled_from((0.0, 7.0))),
        momentum=draw(st.sampled_from([0.0, 0.5, MOMENTUM])),
        second=draw(st.sampled_from([0.875, SECOND])),  # at 0, sums are divided by their last term
        epsilon=EPSILON,
        clip=draw(st.sampled_from([None, 0.2, 1.0])),
        gradient=gradient,
        symbols=symbols,
        scale_targets=head == "linear" and draw(st.booleans()),
        horizon=draw(st.sampled_from([0.0, 1.0, 3.5, 12.0])),
        largest=draw(st.sampled_from([0.7, 10.0])),
        missing=not symbols and draw(st.booleans()),
        by_key=draw(st.booleans()),
        delay=draw(st.sampled_from([0, 0, 3])),
    )


@st.composite
def stream_cases(
    draw: st.DrawFn, *, most: int = 30, still: bool = False, gradients: Sequence[str] = GRADIENTS
) -> StreamCase:
    """Rows of one to four streams, for any network and settings.

    Networks are small if the reference is slow: it keeps ``(U + C) U S`` sensitivities.
    """
    streaming = draw(streamings(still=still, gradients=gradients))
    network = draw(stream_networks(9 if streaming.gradient == "truncated" else 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_streams, n = draw(st.integers(1, 4)), draw(st.integers(1, most))
    weights = rng.normal(0, 0.4, network.n_weights)
    scaled = rng.random(network.n_inputs) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    rows = drawn_rows(network, streaming, rng, n, n_streams, draw(st.sampled_from([0.5, 1.0])))
    return StreamCase(network, streaming, weights, scaled, n_streams, rows, draw(st.booleans()))


def assert_same_state(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Compare all bits of every part, including the signs of zeros, and NaN."""
    assert one.keys() == other.keys()
    for name, part in one.items():
        assert (part.dtype, part.shape) == (other[name].dtype, other[name].shape), name
        assert part.tobytes() == other[name].tobytes(), name
