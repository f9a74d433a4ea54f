"""Reference of the truncated gradient of 1997, in NumPy.

An error at the net input of a gate or cell changes the weights into that unit, and flows no further
back. An error inside a cell continues to flow. One trace per weight into a cell, an input gate or a
forget gate is therefore sufficient: O(1) per weight and step.

Sources: Hochreiter & Schmidhuber 1997, to which the numbers of equations refer. Forget gates and
their traces: Gers, Schmidhuber & Cummins, "Learning to Forget", Neural Computation 12(10), 2000.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from carrousel.contracts import Cell, Network, Training
from carrousel.kernels.reference.layers import Weights, logistic, slope, squash
from carrousel.shapes import Floats


@dataclass
class LaneState:
    """State of one network between two time steps: O(W) numbers, independent of the length."""

    y: np.ndarray  # [U] hidden activations
    s: np.ndarray  # [C] cell states
    ds_in: np.ndarray  # [C, S] ds_c / dw_in, one row per cell of the block (25)
    ds_cell: np.ndarray  # [C, S] ds_c / dw_c (27)
    ds_forget: np.ndarray  # [C, S] ds_c / dw_forget, unused without forget gates
    h_s: np.ndarray = field(init=False)  # [C] squashed states
    y_out: np.ndarray = field(init=False)  # [blocks] output gates
    sources: np.ndarray = field(init=False)  # [S] sources of hidden units
    y_cell: np.ndarray = field(init=False)  # [C] cell outputs


def begin(network: Network, training: Training, dtype: type[np.floating]) -> LaneState:
    """Return the initial state: ``s = 0``, traces 0, activations ``initial_activation``."""
    cell = network.cell
    traces = np.zeros((3, cell.n_cells, network.n_sources), dtype)
    return LaneState(
        np.full(cell.n_units, training.initial_activation, dtype),
        np.zeros(cell.n_cells, dtype),
        *traces,
    )


def advance(network: Network, w: Weights, state: LaneState, x: Annotated[Floats, "I"]) -> None:
    """Compute one step: equations (7) to (9), and the traces (25) and (27).

    A forget gate multiplies the cell state and all its traces.
    """
    cell = network.cell
    assert isinstance(cell, Cell)
    blocks, size, reads = cell.blocks, cell.block_size, cell.read_units
    fed = list(network.fed_back)
    state.sources = np.concatenate([x, state.y[fed], np.ones(1, state.s.dtype)])
    net = w.hidden @ state.sources
    y_in = np.repeat(logistic(net[:blocks]), size)  # (7), one copy per cell of the block
    y_in_slope = y_in * (1 - y_in)
    g = squash(cell.g, net[reads.start : reads.stop])
    forget = logistic(net[blocks : reads.start])
    if cell.forget_gate:
        kept = np.repeat(forget, size)
        change = np.outer(kept * (1 - kept) * state.s, state.sources)
        state.ds_forget = kept[:, None] * state.ds_forget + change
        state.s, state.ds_in = kept * state.s, kept[:, None] * state.ds_in
        state.ds_cell = kept[:, None] * state.ds_cell
    state.s = state.s + y_in * g  # (9)
    state.ds_in = state.ds_in + np.outer(g * y_in_slope, state.sources)  # (25)
    state.ds_cell = state.ds_cell + np.outer(slope(cell.g, g) * y_in, state.sources)  # (27)
    state.h_s = squash(cell.h, state.s)
    gates_out = net[reads.stop :]
    state.y_out = logistic(gates_out) if cell.output_gate else np.ones(blocks, net.dtype)  # (8)
    state.y_cell = np.repeat(state.y_out, size) * state.h_s
    shown = state.y_out if cell.output_gate else state.y_out[:0]
    state.y = np.concatenate([y_in[::size], forget, state.y_cell, shown])


def hidden_gradient(network: Network, state: LaneState, back: Annotated[Floats, "C"]) -> np.ndarray:
    """Return minus the truncated gradient by weights into hidden units, equations (21) to (28).

    Args:
        network: memory cells.
        state: state after the step.
        back: error at each cell's output, ``sum_k w_kc e_k``.

    Returns:
        ``[U, S]``.
    """
    cell = network.cell
    assert isinstance(cell, Cell)
    size, first = cell.block_size, np.arange(0, cell.n_cells, cell.block_size)
    e_s = np.repeat(state.y_out, size) * slope(cell.h, state.h_s) * back  # (23)
    d_in = np.add.reduceat(e_s[:, None] * state.ds_in, first)  # (26)
    d_cell = e_s[:, None] * state.ds_cell  # (28)
    d_forget = np.add.reduceat(e_s[:, None] * state.ds_forget, first)
    rows = [d_in, d_forget, d_cell] if cell.forget_gate else [d_in, d_cell]
    if cell.output_gate:
        summed = np.add.reduceat(state.h_s * back, first)
        e_out = state.y_out * (1 - state.y_out) * summed  # (21)
        rows.append(np.outer(e_out, state.sources))  # (22)
    return np.vstack(rows)


class Truncated:
    """The truncated gradient as a :class:`~carrousel.kernels.reference.lanes.Rule`."""

    def __init__(self, network: Network, training: Training, dtype: type[np.floating]) -> None:
        self._network, self._training, self._dtype = network, training, dtype
        self._ready: np.ndarray | None = None

    def begin(self) -> None:
        """Start a sequence."""
        self.state = begin(self._network, self._training, self._dtype)

    def advance(self, w: Weights, x: Annotated[Floats, "I"]) -> np.ndarray:
        """Process a step; return the activations that outputs read, ``[C]``."""
        advance(self._network, w, self.state, x)
        return self.state.y_cell

    def meet(self, back: Annotated[Floats, "C"]) -> None:
        """Receive an error at the units that outputs read."""
        self._ready = hidden_gradient(self._network, self.state, back)

    def due(self, w: Weights, last: bool) -> np.ndarray | None:
        """Return minus the gradient ``[U, S]`` of the error received at this step."""
        ready, self._ready = self._ready, None
        return ready
