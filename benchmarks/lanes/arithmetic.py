"""Count of the arithmetic operations of one time step of one net, learning included.

The count follows the equations, not the instructions of a kernel. A multiply-add is two operations;
any other addition, subtraction, multiplication, division or rounding is one. A logistic function
counts as a polynomial of degree 6, however it is computed. Errors kept for statistics, and loading,
storing and rearranging data are not counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from carrousel.contracts import Network, Training
from carrousel.sequences import Sequences

MULTIPLY_ADD = 2

EXPONENTIAL = (
    1  # x log2(e)
    + 1  # n, its nearest whole number
    + MULTIPLY_ADD  # f = x log2(e) - n
    + 6 * MULTIPLY_ADD  # 2^f by a polynomial of degree 6
    + 1  # times 2^n
)
LOGISTIC = EXPONENTIAL + 2  # 1 / (1 + exp(-x))
SCALE = MULTIPLY_ADD  # a squashing function is a scaled and shifted logistic
SLOPE_OF_GATE = 2  # y (1 - y)
SLOPE_OF_SQUASH = 4  # (y - low) (high - y) / span


class Count(NamedTuple):
    """Operations of one net, by their cause."""

    forward: float  # each step: net inputs, activations, states
    traces: float  # each step: derivatives of states, equations (25) and (27)
    target: float  # each step with a target: outputs, errors, weight changes
    sequence: float  # each sequence: applying the summed weight changes

    def per_step(self, data: Sequences) -> float:
        """Compute the mean over the steps of ``data``."""
        once = self.target * len(data.target_steps) + self.sequence * len(data)
        return self.forward + self.traces + once / data.n_steps


def count(network: Network, training: Training, data: Sequences) -> Count:
    """Count the operations of the truncated gradient for a net with full wiring.

    Symbols are looked up. A step uses one column of the input weights. A target uses one column for
    each different symbol of its sequence so far.

    Args:
        network: the net.
        training: defines when weights change.
        data: typical sequences, for the number of targets and symbols.
    """
    cell, outputs = network.cell, network.n_outputs
    units, cells, blocks = cell.n_units, cell.n_cells, cell.blocks
    cell_biases = cells if network.bias in ("hidden", "all") else 0
    gate_biases = blocks if network.bias != "none" else 0
    output_biases = outputs if network.bias == "all" else 0
    # Cost of an input whose weights are each used once; a bias as the start of a sum costs nothing.
    if data.symbolic:
        columns, one_input = _columns_seen(data), 1.0
    else:
        columns, one_input = network.n_inputs, float(MULTIPLY_ADD * network.n_inputs)

    forward = (
        units * (one_input + MULTIPLY_ADD * units)  # net inputs
        + units * LOGISTIC
        + cells * SCALE  # g
        + cells * MULTIPLY_ADD  # s + y_in g
        + cells * (LOGISTIC + SCALE + 1)  # h, y_out h
    )
    traces = (
        blocks * SLOPE_OF_GATE
        + cells  # times g
        + cells * (SLOPE_OF_SQUASH + 1)  # g' y_in
        + 2 * cells * (one_input + MULTIPLY_ADD * units)
        + (cells if gate_biases else 0)  # one for each cell of the gate's block
        + cell_biases
    )
    sources = columns + units
    target = (
        MULTIPLY_ADD * outputs * cells  # net inputs of the outputs
        + outputs * LOGISTIC
        + outputs * (2 + (SLOPE_OF_GATE + 1) * training.output_derivative)  # (19), times the rate
        + MULTIPLY_ADD * outputs * cells  # errors sent back to the cells
        + cells * (SLOPE_OF_SQUASH + 2)  # (23)
        + MULTIPLY_ADD * cells + blocks * (SLOPE_OF_GATE + 1)  # (21)
        + MULTIPLY_ADD * (cells * sources + (cells if gate_biases else 0))  # (26)
        + MULTIPLY_ADD * (cells * sources + cell_biases)  # (28)
        + blocks * (one_input + MULTIPLY_ADD * units) + gate_biases  # (22) for output gates
        + MULTIPLY_ADD * outputs * cells + output_biases  # (22) for outputs
    )  # fmt: skip
    gathered = training.update == "sequence" and len(data.target_steps) > len(data)
    return Count(forward, traces, target, network.n_weights if gathered else 0)


def _columns_seen(data: Sequences) -> float:
    """Count the different symbols before each target in its sequence, on average over targets."""
    which = np.repeat(np.arange(len(data)), data.lengths)
    _, first = np.unique(which * data.n_inputs + data.inputs, return_index=True)
    new = np.zeros(data.n_steps, dtype=np.int64)
    new[first] = 1
    seen = np.cumsum(new)
    before = np.concatenate([[0], seen])[data.offsets[:-1]]
    return float(np.mean(seen[data.target_steps] - before[which[data.target_steps]]))
