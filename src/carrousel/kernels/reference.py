"""The truncated gradient of 1997 in NumPy, written to be read: the measure of every other kernel.

Symbols follow Hochreiter & Schmidhuber 1997, section 4 and appendix A.1: ``net`` are net inputs,
``y`` activations, ``s`` cell states, ``e`` error signals. Time runs as in the paper's experiments:
hidden units see the current input together with hidden activations of the step before, and output
units see the cells of the same step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from carrousel.contracts import SQUASHES, Errors, Network, Training
from carrousel.sequences import Sequences
from carrousel.shapes import Float, Int


def logistic(x: np.ndarray) -> np.ndarray:
    """Equation (3): ``1 / (1 + exp(-x))``, without overflow.

    >>> logistic(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def squash(kind: str, x: np.ndarray) -> np.ndarray:
    """Squashing function by its range; equations (3) to (5), or the identity.

    >>> squash("[-2,2]", np.array([0.0]))
    array([0.])
    """
    scale_shift = SQUASHES[kind]
    if scale_shift is None:
        return x
    scale, shift = scale_shift
    return scale * logistic(x) + shift


def slope(kind: str, y: np.ndarray) -> np.ndarray:
    """Derivative of a squashing function, from its value ``y``.

    With ``y = scale f(x) + shift`` and ``f' = f (1 - f)``: ``(y - low) (high - y) / (high - low)``.

    >>> slope("[0,1]", np.array([0.5]))
    array([0.25])
    """
    scale_shift = SQUASHES[kind]
    if scale_shift is None:
        return np.ones_like(y)
    scale, low = scale_shift
    return (y - low) * (low + scale - y) / scale


@dataclass
class Weights:
    """A network's weights as two dense matrices, missing ones held at zero.

    ``hidden [H, S]``: sources are inputs, hidden units of the step before (full wiring) and a
    constant 1. ``output [O, P]``: sources are inputs (layered wiring), cells and a constant 1.
    """

    hidden: np.ndarray
    output: np.ndarray

    @staticmethod
    def unpack(network: Network, flat: Float[np.ndarray, " W"]) -> Weights:
        """Arrange a flat vector as matrices."""
        parts, units, outs = network.views(flat), network.cell.n_units, network.n_outputs
        bias = np.zeros((units, 1), flat.dtype)
        if network.biased_units:
            bias[list(network.biased_units), 0] = parts["hidden_bias"]
        out_bias = parts.get("output_bias", np.zeros(outs, flat.dtype))[:, None]
        nothing = np.zeros((units, 0), flat.dtype), np.zeros((outs, 0), flat.dtype)
        recurrent = parts.get("hidden_recurrent", nothing[0])
        direct = parts.get("output_inputs", nothing[1])
        return Weights(
            np.hstack([parts["hidden_inputs"], recurrent, bias]),
            np.hstack([direct, parts["output_cells"], out_bias]),
        )

    def add_to(self, network: Network, flat: Float[np.ndarray, " W"], times: float) -> None:
        """Add ``times`` these matrices to a flat vector in place; missing weights are skipped."""
        parts, inputs = network.views(flat), network.n_inputs
        parts["hidden_inputs"] += times * self.hidden[:, :inputs]
        if "hidden_recurrent" in parts:
            parts["hidden_recurrent"] += times * self.hidden[:, inputs:-1]
        if network.biased_units:
            parts["hidden_bias"] += times * self.hidden[list(network.biased_units), -1]
        direct = inputs if "output_inputs" in parts else 0
        if direct:
            parts["output_inputs"] += times * self.output[:, :direct]
        parts["output_cells"] += times * self.output[:, direct:-1]
        if "output_bias" in parts:
            parts["output_bias"] += times * self.output[:, -1]


@dataclass
class LaneState:
    """What one network keeps between time steps of a sequence: O(W), whatever the length."""

    y: np.ndarray  # [H] hidden activations of the step before
    s: np.ndarray  # [C] cell states
    ds_in: np.ndarray  # [C, S] ds_c / dw_in, one per cell of the block (25)
    ds_cell: np.ndarray  # [C, S] ds_c / dw_c (27)
    h_s: np.ndarray = field(init=False)  # [C] squashed states
    y_out: np.ndarray = field(init=False)  # [blocks] output gates
    sources: np.ndarray = field(init=False)  # [S] what hidden units saw
    y_cell: np.ndarray = field(init=False)  # [C] cell outputs


def begin(network: Network, training: Training, dtype: type[np.floating]) -> LaneState:
    """State before the first step: ``s = 0``, traces 0, activations as the training says."""
    cell, full = network.cell, network.wiring == "full"
    sources = network.n_inputs + (cell.n_units if full else 0) + 1
    return LaneState(
        y=np.full(cell.n_units, training.initial_activation, dtype),
        s=np.zeros(cell.n_cells, dtype),
        ds_in=np.zeros((cell.n_cells, sources), dtype),
        ds_cell=np.zeros((cell.n_cells, sources), dtype),
    )


def advance(network: Network, w: Weights, state: LaneState, x: Float[np.ndarray, " I"]) -> None:
    """One time step: equations (7) to (9), and the traces (25) and (27) that move at every step."""
    cell = network.cell
    blocks, cells, size = cell.blocks, cell.n_cells, cell.block_size
    recurrent = state.y if network.wiring == "full" else state.y[:0]
    state.sources = np.concatenate([x, recurrent, np.ones(1, state.s.dtype)])
    net = w.hidden @ state.sources
    y_in = np.repeat(logistic(net[:blocks]), size)  # (7), one copy per cell of the block
    y_in_slope = y_in * (1 - y_in)
    g = squash(cell.g, net[blocks : blocks + cells])
    state.s = state.s + y_in * g  # (9)
    state.ds_in = state.ds_in + np.outer(g * y_in_slope, state.sources)  # (25)
    state.ds_cell = state.ds_cell + np.outer(slope(cell.g, g) * y_in, state.sources)  # (27)
    state.h_s = squash(cell.h, state.s)
    gates_out = net[blocks + cells :]
    state.y_out = logistic(gates_out) if cell.output_gate else np.ones(blocks, net.dtype)  # (8)
    state.y_cell = np.repeat(state.y_out, size) * state.h_s
    kept = state.y_out if cell.output_gate else state.y_out[:0]
    state.y = np.concatenate([y_in[::size], state.y_cell, kept])


def output_sources(
    network: Network, state: LaneState, x: Float[np.ndarray, " I"], cells_on: bool
) -> Float[np.ndarray, " P"]:
    """What output units see: inputs (layered wiring), the cells of this step, a constant 1."""
    direct = x if network.wiring == "layered" else x[:0]
    return np.concatenate([direct, state.y_cell * cells_on, np.ones(1, x.dtype)])


def gradient(
    network: Network,
    training: Training,
    w: Weights,
    state: LaneState,
    seen: Float[np.ndarray, " P"],
    error: Float[np.ndarray, " O"],
    cells_on: bool,
) -> Weights:
    """Minus the truncated gradient of half the squared error at this step, equations (19) to (28).

    ``error`` is ``t - y``. The result's ``hidden`` rows are input gates, cells and output gates.
    """
    cell = network.cell
    size, direct = cell.block_size, len(seen) - 1 - cell.n_cells
    y = _outputs(w, seen)
    e_k = error * (y * (1 - y) if training.output_derivative else 1)  # (19)
    back = (w.output[:, direct:-1].T @ e_k) * cells_on  # sum_k w_kc e_k
    e_s = np.repeat(state.y_out, size) * slope(cell.h, state.h_s) * back  # (23)
    d_in = np.add.reduceat(e_s[:, None] * state.ds_in, np.arange(0, cell.n_cells, size))  # (26)
    d_cell = e_s[:, None] * state.ds_cell  # (28)
    rows = [d_in, d_cell]
    if cell.output_gate:
        summed = np.add.reduceat(state.h_s * back, np.arange(0, cell.n_cells, size))
        e_out = state.y_out * (1 - state.y_out) * summed  # (21)
        rows.append(np.outer(e_out, state.sources))  # (22)
    return Weights(np.vstack(rows), np.outer(e_k, seen))


def _outputs(w: Weights, seen: np.ndarray) -> np.ndarray:
    return logistic(w.output @ seen)


class ReferenceKernel:
    """The readable kernel, lane by lane, in float64 (or naive float32, to measure others by).

    >>> from carrousel.contracts import Cell
    >>> net = Network(1, 1, Cell(1, 1))
    >>> data = Sequences.from_lists([[0.5, 1.0]], [[1.0]])
    >>> kernel, weights = ReferenceKernel(), np.full((1, net.n_weights), 0.1)
    >>> args = np.array([0.5]), np.array([0])
    >>> errors = kernel.learn(net, Training(rate=0.5), weights, *args, [data])[0]
    >>> round(float(errors.max_abs[0]), 3)
    0.499
    """

    name = "reference"

    def __init__(self, dtype: type[np.floating] = np.float64) -> None:
        self.dtype = dtype

    def learn(
        self,
        network: Network,
        training: Training,
        weights: Float[np.ndarray, "B W"],
        rates: Float[np.ndarray, " B"],
        cells_from: Int[np.ndarray, " B"],
        data: Sequence[Sequences | None],
    ) -> list[Errors | None]:
        """Learn in place; see :class:`carrousel.contracts.Kernel`."""
        return [
            None
            if part is None
            else self._learn_lane(
                network, training, weights[b], float(rates[b]), int(cells_from[b]), part
            )
            for b, part in enumerate(data)
        ]

    def _learn_lane(
        self,
        network: Network,
        training: Training,
        flat: Float[np.ndarray, " W"],
        rate: float,
        cells_from: int,
        data: Sequences,
    ) -> Errors:
        errors = Errors(
            max_abs=np.zeros(len(data), self.dtype),
            sum_abs=np.zeros(len(data), self.dtype),
            sum_sq=np.zeros(len(data), self.dtype),
            n_values=np.zeros(len(data), np.int64),
        )
        waiting: list[Weights] = []
        for n in range(len(data)):
            for now in self._walk(network, training, flat, data, n, n >= cells_from):
                w, state, seen, target = now
                error = target - _outputs(w, seen)
                _count(errors, n, error)
                on = n >= cells_from
                waiting.append(gradient(network, training, w, state, seen, error, on))
                if training.update == "step":
                    _apply(network, flat, rate, waiting)
            if training.update == "sequence":
                _apply(network, flat, rate, waiting)
        _apply(network, flat, rate, waiting)
        return errors

    def predict(
        self,
        network: Network,
        training: Training,
        weights: Float[np.ndarray, "B W"],
        cells_from: Int[np.ndarray, " B"],
        data: Sequence[Sequences | None],
    ) -> list[Float[np.ndarray, "M O"] | None]:
        """Outputs at the steps that have a target; see :class:`carrousel.contracts.Kernel`."""
        results: list[Float[np.ndarray, "M O"] | None] = []
        for b, part in enumerate(data):
            if part is None:
                results.append(None)
                continue
            rows = [
                _outputs(w, seen)
                for n in range(len(part))
                for w, _, seen, _ in self._walk(
                    network, training, weights[b], part, n, n >= int(cells_from[b])
                )
            ]
            results.append(np.array(rows, self.dtype).reshape(-1, network.n_outputs))
        return results

    def _walk(self, network, training, flat, data: Sequences, n: int, cells_on: bool):
        """Go through sequence ``n``; stop at each step that has a target."""
        one = data[n : n + 1]
        inputs = one.dense_inputs().astype(self.dtype)
        targets = dict(
            zip(one.target_steps.tolist(), one.dense_targets().astype(self.dtype), strict=True)
        )
        state = begin(network, training, self.dtype)
        for t, x in enumerate(inputs):
            w = Weights.unpack(network, flat)  # anew each step: weights may just have changed
            advance(network, w, state, x)
            if t in targets:
                yield w, state, output_sources(network, state, x, cells_on), targets[t]


def _count(errors: Errors, n: int, error: np.ndarray) -> None:
    errors.max_abs[n] = np.maximum(errors.max_abs[n], np.abs(error).max())  # keeps a NaN
    errors.sum_abs[n] += np.abs(error).sum()
    errors.sum_sq[n] += (error**2).sum()
    errors.n_values[n] += error.size


def _apply(network: Network, flat: np.ndarray, rate: float, waiting: list[Weights]) -> None:
    """Change the weights by all gradients that wait, and forget them."""
    if waiting:
        hidden = np.sum([w.hidden for w in waiting], axis=0)
        output = np.sum([w.output for w in waiting], axis=0)
        Weights(hidden, output).add_to(network, flat, rate)
        waiting.clear()
