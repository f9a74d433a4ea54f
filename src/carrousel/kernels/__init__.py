"""Kernels: NumPy references and compiled implementations with the same interfaces.

Lanes (many small networks): :class:`ReferenceKernel`, :class:`NativeKernel`. Streams:
:class:`ReferenceStream`, :class:`NativeStream`. Pairs of nets that learn together:
:class:`NativeChunker`. Layers for whole batches are in the subpackages
``reference``, ``native`` and ``autograd``.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike

from carrousel.contracts import TRUNCATED, Gradient, Kernel, Network, Streaming, StreamKernel
from carrousel.kernels.memory import gradient_numbers as gradient_numbers
from carrousel.kernels.native.chunker import NativeChunker as NativeChunker
from carrousel.kernels.native.lanes import NativeKernel as NativeKernel
from carrousel.kernels.native.lanes import instruction_set as instruction_set
from carrousel.kernels.native.lanes import instruction_sets as instruction_sets
from carrousel.kernels.native.stream import NativeStream as NativeStream
from carrousel.kernels.reference.lanes import ReferenceKernel as ReferenceKernel
from carrousel.kernels.reference.stream import ReferenceStream as ReferenceStream
from carrousel.shapes import Bools

KERNEL_VERSION = 2
"""Version of the kernels of lanes. It changes with the results of learning: with roundings, orders
of sums, or random numbers. Trials of two versions are never mixed."""


def default_kernel(network: Network | None = None, gradient: Gradient = TRUNCATED) -> Kernel:
    """Return the fastest kernel for lanes.

    Args:
        network: the network that it will run.
        gradient: the gradient that ``learn`` will be called with.

    >>> default_kernel().name
    'native'
    """
    if network is None or NativeKernel.runs(network, gradient):
        return NativeKernel()
    return ReferenceKernel()


def open_stream(
    network: Network,
    streaming: Streaming,
    weights: ArrayLike,
    n_streams: int = 1,
    scaled: Annotated[Bools, "I"] | None = None,
    seed: int = 0,
    dtype: type[np.floating] = np.float32,
) -> StreamKernel:
    """Return the fastest kernel for streams.

    Args:
        network: memory cells with output gates, ``"cells"`` or ``"full"`` wiring, bias ``"all"``.
        streaming: settings of learning.
        weights: initial weights ``[W]``, in the order of ``network.layout``.
        n_streams: number of streams that share the weights.
        scaled: bool ``[I]``, which inputs are standardised; None: none.
        seed: seed of the random signs of ``"uoro"``.
        dtype: ``np.float32`` or ``np.float64``.

    Raises:
        SettingError: the network or the gradient is not supported.
        ShapeError: an array has the wrong shape.
        DataError: weights are not finite.

    >>> from carrousel.contracts import Cell
    >>> net = Network(1, 1, Cell(1, 1, forget_gate=True), wiring="cells", bias="all")
    >>> open_stream(net, Streaming(), [0.1] * net.n_weights, n_streams=2).name
    'native'
    """
    return NativeStream(network, streaming, np.asarray(weights), n_streams, scaled, seed, dtype)


__all__ = [
    "KERNEL_VERSION",
    "NativeChunker",
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
