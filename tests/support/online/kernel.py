"""What the kernel of streams supports: tests of the rest are enabled once it does."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from carrousel.contracts import Cell, Network, Streaming
from carrousel.errors import CarrouselError
from carrousel.kernels import open_stream
from carrousel.kernels.native.stream import NativeStream


def _accepts_missing_entries() -> bool:
    network = Network(1, 2, Cell(1, 1, forget_gate=True), wiring="cells", bias="all")
    kernel = open_stream(network, Streaming(), np.zeros(network.n_weights), 1)
    try:
        kernel.advance(0, np.ones(1))
        kernel.learn(0, np.array([np.nan, 1.0]))
    except CarrouselError:
        return False
    return True


needs_missing_entries = pytest.mark.skipif(
    not _accepts_missing_entries(), reason="the kernel refuses targets with missing entries"
)
needs_weights = pytest.mark.skipif(
    "weights" not in inspect.signature(NativeStream.run).parameters,
    reason="the kernel takes no weights of targets",
)
