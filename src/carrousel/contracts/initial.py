"""Initial weights: uniform draws, and initial gate biases (Table 10)."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.contracts.cells import Cell
from carrousel.contracts.network import Network
from carrousel.shapes import Floats


def initial_weights(network: Network, rng: np.random.Generator) -> Annotated[Floats, "W"]:
    """Draw one network's weights, uniform in ``[-range, range]`` unless ``network.init`` differs.

    A block with a more negative output-gate bias is recruited later ("abuse problem", section 4). A
    more negative input-gate bias reduces the drift of cell states.

    Args:
        network: the network, with its :class:`~carrousel.contracts.Init`.
        rng: source of the draws.

    Returns:
        float32 ``[W]`` in the order of ``network.layout``.

    Source: Hochreiter & Schmidhuber 1997, section 4 and Table 10.

    >>> from carrousel.contracts import Cell, Init
    >>> init = Init(range=0.1, input_gate_bias=(-3.0, -6.0))
    >>> net = Network(2, 1, Cell(2, 2), bias="all", init=init)
    >>> flat = initial_weights(net, np.random.default_rng(0))
    >>> net.views(flat)["hidden_bias"][:2].tolist()
    [-3.0, -6.0]
    >>> closed = Network(2, 1, Cell(1, 1), init=Init(range=0.1, input_gate_weights=-3.0))
    >>> parts = closed.views(initial_weights(closed, np.random.default_rng(0)))
    >>> parts["hidden_inputs"][0].round().tolist()  # the row of the input gate
    [-3.0, -3.0]
    """
    init = network.init
    most = np.full(network.n_weights, init.range)
    if init.output_range is not None:
        for name, part in network.views(most).items():
            if name.startswith("output_"):
                part[...] = init.output_range
    flat = rng.uniform(-most, most).astype(np.float32)
    if isinstance(network.cell, Cell):
        blocks, units = network.cell.blocks, network.cell.n_units
        _start_gates(network, flat, range(blocks), init.input_gate_bias)
        _start_gates(network, flat, range(blocks, 2 * blocks), init.forget_gate_bias)
        _start_gates(network, flat, range(units - blocks, units), init.output_gate_bias)
        if init.input_gate_weights:
            for name, part in network.views(flat).items():
                if name in ("hidden_inputs", "hidden_recurrent"):
                    part[:blocks] += np.float32(init.input_gate_weights)
    return flat


def _start_gates(
    network: Network, flat: np.ndarray, units: range, start: tuple[float, ...]
) -> None:
    if not start:
        return
    bias = network.views(flat)["hidden_bias"]
    places = [network.biased_units.index(unit) for unit in units]
    bias[places] = np.asarray(start, np.float32) + (
        bias[places] if network.init.gate_bias == "added" else 0
    )
