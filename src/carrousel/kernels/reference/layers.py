"""Reference of a hidden layer in NumPy: squashing, weights as matrices, one forward step.

Symbols follow Hochreiter & Schmidhuber 1997, section 4 and appendix A.1: ``net`` are net inputs,
``y`` activations, ``s`` cell states, ``e`` error signals. As in the paper's experiments, hidden
units receive the current input and the previous hidden activations; output units receive the cells
of the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.contracts import SQUASHES, Cell, Head, Network
from carrousel.shapes import Floats


def logistic(x: np.ndarray) -> np.ndarray:
    """Equation (3): ``1 / (1 + exp(-x))``, without overflow.

    >>> logistic(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def squash(kind: str, x: np.ndarray) -> np.ndarray:
    """Apply a squashing function, named by its range: equations (3) to (5), or the identity.

    >>> squash("[-2,2]", np.array([0.0]))
    array([0.])
    """
    scale_shift = SQUASHES[kind]
    if scale_shift is None:
        return x
    scale, shift = scale_shift
    return scale * logistic(x) + shift


def slope(kind: str, y: np.ndarray) -> np.ndarray:
    """Return the derivative of a squashing function from its value ``y``.

    With ``y = scale f(x) + shift`` and ``f' = f (1 - f)``: ``(y - low) (high - y) / (high - low)``.

    >>> slope("[0,1]", np.array([0.5]))
    array([0.25])
    """
    scale_shift = SQUASHES[kind]
    if scale_shift is None:
        return np.ones_like(y)
    scale, low = scale_shift
    return (y - low) * (low + scale - y) / scale


def activations(head: Head, net: Annotated[Floats, "O"]) -> Annotated[Floats, "O"]:
    """Return outputs from their net inputs; see :class:`carrousel.contracts.Streaming`.

    >>> activations("softmax", np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    if head == "linear":
        return net
    if head == "softmax":
        e = np.exp(net - net.max())
        return e / e.sum()
    return logistic(net)


@dataclass
class Weights:
    """A network's weights as two dense matrices, zero where there is no weight.

    ``hidden [U, S]``: sources are inputs, the hidden units fed back (previous step), and the
    constant 1. ``output [O, sources]``: sources are inputs (if they feed outputs), the ``C`` units
    in ``cell.read_units``, and the constant 1. United wiring has no output weights; there
    ``output`` has one column of zeros.
    """

    hidden: np.ndarray
    output: np.ndarray

    @staticmethod
    def unpack(network: Network, flat: Annotated[Floats, "W"]) -> Weights:
        """Return the matrices of a flat vector."""
        parts, units, outs = network.views(flat), network.cell.n_units, network.n_outputs
        bias = np.zeros((units, 1), flat.dtype)
        if network.biased_units:
            bias[list(network.biased_units), 0] = parts["hidden_bias"]
        out_bias = parts.get("output_bias", np.zeros(outs, flat.dtype))[:, None]
        nothing = np.zeros((outs, 0), flat.dtype)
        recurrent = np.zeros((units, len(network.fed_back)), flat.dtype)
        if network.recurrent:
            recurrent[list(network.receivers)] = parts["hidden_recurrent"]
        direct = parts.get("output_inputs", nothing)
        read = parts.get("output_cells", nothing)
        return Weights(
            np.hstack([parts["hidden_inputs"], recurrent, bias]),
            np.hstack([direct, read, out_bias]),
        )

    def recurrent(self, network: Network) -> np.ndarray:
        """Return weights ``[U, U]`` between hidden units; zero from those not fed back."""
        between = np.zeros((len(self.hidden),) * 2, self.hidden.dtype)
        between[:, list(network.fed_back)] = self.hidden[:, network.n_inputs : -1]
        return between

    def read(self, network: Network) -> np.ndarray:
        """Return the weights ``[O, C]`` from ``cell.read_units`` into the outputs."""
        return self.output[:, network.n_inputs * network.direct : -1]

    def add_to(self, network: Network, flat: Annotated[Floats, "W"], times: float) -> None:
        """Add ``times`` these matrices to a flat vector in place; absent weights are skipped."""
        parts, inputs = network.views(flat), network.n_inputs
        parts["hidden_inputs"] += times * self.hidden[:, :inputs]
        if "hidden_recurrent" in parts:
            into = list(network.receivers)
            parts["hidden_recurrent"] += times * self.hidden[into, inputs:-1]
        if network.biased_units:
            parts["hidden_bias"] += times * self.hidden[list(network.biased_units), -1]
        direct = inputs if "output_inputs" in parts else 0
        if direct:
            parts["output_inputs"] += times * self.output[:, :direct]
        if "output_cells" in parts:
            parts["output_cells"] += times * self.output[:, direct:-1]
        if "output_bias" in parts:
            parts["output_bias"] += times * self.output[:, -1]


@dataclass
class HiddenStep:
    """One time step of a hidden layer, with its derivatives.

    The full state ``q [state]`` of the layer consists of its ``U`` activations and its cell states.
    Its differential is ``dq(t) = by_net dnet(t) + by_state ds(t-1)``.
    """

    sources: np.ndarray  # [S] inputs, hidden units of the previous step, the constant 1
    y: np.ndarray  # [U] activations
    s: np.ndarray  # [cells] cell states; none of simple units
    by_net: np.ndarray  # [state, U]
    by_state: np.ndarray  # [state, cells]

    def jacobian(self, w_recurrent: np.ndarray) -> np.ndarray:
        """Return ``dq(t) / dq(t-1)``, ``[state, state]``, from recurrent weights ``[U, U]``."""
        return np.hstack([self.by_net @ w_recurrent, self.by_state])


def forward(
    network: Network, w: Weights, y: np.ndarray, s: np.ndarray, x: Annotated[Floats, "I"]
) -> HiddenStep:
    """Compute a step from activations ``y [U]`` and states ``s``: equations (6) to (9)."""
    sources = np.concatenate([x, y[list(network.fed_back)], np.ones(1, x.dtype)])
    net = w.hidden @ sources
    if isinstance(network.cell, Cell):
        return _memory_cells(network.cell, sources, net, s)
    new = logistic(net) if network.cell.f == "logistic" else np.tanh(net)
    rate = new * (1 - new) if network.cell.f == "logistic" else 1 - new * new
    return HiddenStep(sources, new, s, np.diag(rate), np.zeros((len(new), 0), x.dtype))


def _memory_cells(
    cell: Cell, sources: np.ndarray, net: np.ndarray, before: np.ndarray
) -> HiddenStep:
    blocks, cells, size, units = cell.blocks, cell.n_cells, cell.block_size, cell.n_units
    ins, reads = np.arange(blocks), np.array(cell.read_units)
    forgets, outs = ins + blocks, ins + units - blocks
    c, own = np.arange(cells), np.arange(cells) // size  # cells, and the block of each
    y = logistic(net)
    rate = y * (1 - y)
    g = squash(cell.g, net[reads])
    y_in, y_forget = y[ins][own], y[forgets][own] if cell.forget_gate else np.ones_like(before)
    s = y_forget * before + y_in * g
    h = squash(cell.h, s)
    y_out = y[outs][own] if cell.output_gate else np.ones_like(h)

    s_by_net, s_by_s = np.zeros((cells, units), net.dtype), np.diag(y_forget)
    s_by_net[c, own] = rate[ins][own] * g
    s_by_net[c, reads] = y_in * slope(cell.g, g)
    if cell.forget_gate:
        s_by_net[c, forgets[own]] = rate[forgets][own] * before
    y_by_net, y_by_s = np.diag(rate), np.zeros((units, cells), net.dtype)
    through = (y_out * slope(cell.h, h))[:, None]
    y_by_net[reads] = through * s_by_net
    y_by_s[reads] = through * s_by_s
    if cell.output_gate:
        y_by_net[reads, outs[own]] = rate[outs][own] * h
    y[reads] = y_out * h
    return HiddenStep(sources, y, s, np.vstack([y_by_net, s_by_net]), np.vstack([y_by_s, s_by_s]))
