"""States of a net along a sequence, and what moves them, by the float64 reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import numpy as np

from carrousel.contracts import Cell, Network, Training
from carrousel.kernels.reference.layers import HiddenStep, Weights, forward, slope
from carrousel.kernels.reference.truncated import LaneState, advance, begin
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

SETTLING = 12
"""Steps after which gates fed back by silent cells have settled."""


def walk(
    network: Network, training: Training, flat: Annotated[Floats, "W"], one: Sequences
) -> Iterator[LaneState]:
    """Yield the state of a net after each step of a sequence; it changes at the next step.

    Args:
        network: memory cells.
        training: its initial activation.
        flat: the weights.
        one: one sequence.
    """
    w, state = Weights.unpack(network, flat), begin(network, training, np.float64)
    for x in one.dense_inputs().astype(np.float64):
        advance(network, w, state, x)
        yield state


def end_of(
    network: Network, training: Training, flat: Annotated[Floats, "W"], one: Sequences
) -> LaneState:
    """Return the state of a net after a sequence."""
    *_, last = walk(network, training, flat, one)
    return last


def slopes(network: Network, state: LaneState) -> Annotated[Floats, "C"]:
    """Return ``h'(s)`` of each cell."""
    return slope(_cells(network).h, state.h_s)


def at_rest(network: Network, flat: Annotated[Floats, "W"]) -> HiddenStep:
    """Return a step without input, of gates that have settled while cells are silent.

    Its states are what a step adds to the states: the drift by the constants that reach cell
    inputs, from gates that are fed back and from biases.
    """
    w, silent = Weights.unpack(network, flat), np.zeros(network.cell.n_states)
    nothing, y = np.zeros(network.n_inputs), np.full(network.cell.n_units, 0.5)
    step = forward(network, w, y, silent, nothing)
    for _ in range(SETTLING):
        y = step.y.copy()
        y[list(network.cell.read_units)] = 0.0
        step = forward(network, w, y, silent, nothing)
    return step


def into_cells(network: Network, flat: Annotated[Floats, "W"]) -> Annotated[Floats, "C"]:
    """Return the constant in each cell's net input: gates at rest times weights, and the bias."""
    step, w = at_rest(network, flat), Weights.unpack(network, flat)
    cells = list(network.cell.read_units)
    gates = np.where(np.isin(np.arange(len(step.y)), cells), 0.0, step.y)
    return w.recurrent(network)[cells] @ gates + w.hidden[cells, -1]


def loop(network: Network, flat: Annotated[Floats, "W"]) -> Annotated[Floats, "C C"]:
    """Return how a step changes states, by the states before it, through the recurrent weights.

    The derivative of ``s(t + 1) - s(t)`` by ``s(t)`` at rest: 0 without feedback. A state then
    changes like ``(1 + loop)`` to the power of the steps, until ``h`` is saturated.
    """
    step, w = at_rest(network, flat), Weights.unpack(network, flat)
    units = network.cell.n_units
    return step.by_net[units:] @ w.recurrent(network) @ step.by_state[:units]


def growth(network: Network, flat: Annotated[Floats, "W"]) -> float:
    """Return the largest rate at which a state grows in a step: of the eigenvalues of the loop."""
    return float(np.linalg.eigvals(loop(network, flat)).real.max())


def sensitivity(network: Network, state: LaneState) -> Mapping[str, Annotated[Floats, "C"]]:
    """Return the squared derivatives of each state by weights, summed by the weights' sources.

    Times the rate, it is what one change of weights adds to the state, for an error of 1 at that
    state. Weights that the network does not have are not counted. The sources are ``inputs``,
    ``gates``, ``cells`` and ``biases``, in ``[C]`` each.
    """
    cell = _cells(network)
    found = {name: np.zeros(cell.n_cells) for name in ("inputs", "gates", "cells", "biases")}
    read = set(cell.read_units)
    from_cells = np.array([unit in read for unit in network.fed_back], bool)
    for c, unit in enumerate(cell.read_units):
        hidden = np.zeros((cell.n_units, network.n_sources))
        hidden[c // cell.block_size], hidden[unit] = state.ds_in[c], state.ds_cell[c]
        flat, nothing = np.zeros(network.n_weights), np.zeros((network.n_outputs, 1))
        Weights(hidden, _no_outputs(network, nothing)).add_to(network, flat, 1.0)
        parts = network.views(flat**2)
        found["inputs"][c] = parts["hidden_inputs"].sum()
        if "hidden_recurrent" in parts:
            found["cells"][c] = parts["hidden_recurrent"][:, from_cells].sum()
            found["gates"][c] = parts["hidden_recurrent"][:, ~from_cells].sum()
        if "hidden_bias" in parts:
            found["biases"][c] = parts["hidden_bias"].sum()
    return found


def _no_outputs(network: Network, column: np.ndarray) -> np.ndarray:
    direct = network.n_inputs if network.direct else 0
    return np.repeat(column, direct + len(network.cell.read_units) + 1, axis=1)


def _cells(network: Network) -> Cell:
    assert isinstance(network.cell, Cell)
    return network.cell
