"""What is computed, and how fast: a readable reference and compiled lanes, with one signature."""

from __future__ import annotations

from typing import Any

from carrousel.contracts import TRUNCATED, Gradient, Kernel, Network, Streaming, StreamKernel
from carrousel.kernels.memory import gradient_numbers as gradient_numbers
from carrousel.kernels.native.lanes import NativeKernel as NativeKernel
from carrousel.kernels.native.lanes import instruction_set as instruction_set
from carrousel.kernels.native.lanes import instruction_sets as instruction_sets
from carrousel.kernels.native.stream import NativeStream as NativeStream
from carrousel.kernels.reference.lanes import ReferenceKernel as ReferenceKernel
from carrousel.kernels.reference.stream import ReferenceStream as ReferenceStream


def default_kernel(gradient: Gradient = TRUNCATED) -> Kernel:
    """Return the fastest kernel that knows a gradient.

    >>> default_kernel(Gradient("uoro")).name, default_kernel(Gradient("snap", 2)).name
    ('native', 'reference')
    """
    return NativeKernel() if NativeKernel.knows(gradient) else ReferenceKernel()


def open_stream(
    network: Network, streaming: Streaming, weights: Any, *given: Any, **named: Any
) -> StreamKernel:
    """Return the fastest kernel for streams; arguments are those of :class:`ReferenceStream`.

    >>> from carrousel.contracts import Cell
    >>> net = Network(1, 1, Cell(1, 1, forget_gate=True), wiring="cells", bias="all")
    >>> open_stream(net, Streaming(), [0.1] * net.n_weights, n_streams=2).name
    'native'
    """
    return NativeStream(network, streaming, weights, *given, **named)


__all__ = [
    "NativeKernel",
    "NativeStream",
    "ReferenceKernel",
    "ReferenceStream",
    "default_kernel",
    "gradient_numbers",
    "instruction_set",
    "instruction_sets",
    "open_stream",
]
