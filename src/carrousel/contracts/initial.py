"""Initial weights: uniform draws, and initial gate biases (Table 10)."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.contracts.network import RECURRENT_PARTS, Network
from carrousel.contracts.units import Group
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
    flat = _drawn(network, rng)
    parts, added = network.views(flat), init.gate_bias == "added"
    starts: dict[Group, tuple[float, ...]] = {
        "input_gates": init.input_gate_bias,
        "forget_gates": init.forget_gate_bias,
        "output_gates": init.output_gate_bias,
    }
    for group, start in starts.items():
        if start:
            places = _places(network, group)
            before = parts["hidden_bias"][places] if added else 0
            parts["hidden_bias"][places] = np.asarray(start, np.float32) + before
    if init.cell_bias is not None:
        parts["hidden_bias"][_places(network, "cells")] = init.cell_bias
    if init.output_bias is not None:
        parts["output_bias"][...] = init.output_bias
    if init.input_gate_weights:
        shift, gates = np.float32(init.input_gate_weights), network.cell.groups["input_gates"]
        parts["hidden_inputs"][: len(gates)] += shift
        if set(gates) <= set(network.receivers):  # they are the first
            parts["hidden_recurrent"][: len(gates)] += shift
    return flat


def _drawn(network: Network, rng: np.random.Generator) -> np.ndarray:
    """Draw all weights; every weight takes one draw, whatever the ranges of the others."""
    init = network.init
    most = np.full(network.n_weights, init.range)
    for name, part in network.views(most).items():
        if name in RECURRENT_PARTS and init.recurrent_range is not None:
            part[...] = init.recurrent_range
        elif name.startswith("output_") and init.output_range is not None:
            part[...] = init.output_range
    return rng.uniform(-most, most).astype(np.float32)


def _places(network: Network, group: Group) -> list[int]:
    """Where the biases of a group are in ``hidden_bias``."""
    return [network.biased_units.index(unit) for unit in network.cell.groups[group]]
