"""Forward pass of united nets whose outputs change after the other units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from carrousel.contracts import Network, Simple
from carrousel.sequences import Sequences
from carrousel.shapes import Floats


def run_outputs_last(
    network: Network, weights: Annotated[Floats, "B W"], data: Sequence[Sequences | None]
) -> list[Annotated[Floats, "M O"] | None]:
    """Outputs at every step that has a target, for each lane.

    With ``h`` the activations of the other units, ``o`` those of the outputs, all 0 at first:
    ``h(t) = f(W [x(t), h(t-1), o(t-1), 1])`` and then ``o(t) = f(W' [x(t), h(t), o(t-1), 1])``:
    the three phases of a time step of Hochreiter & Schmidhuber 1997, section 5.

    All sequences of all lanes run together, the longest first, so that the ones still running are
    always the leading ones.

    Args:
        network: simple units in united wiring.
        weights: one flat vector for each lane.
        data: a ragged batch for each lane, checked by the caller; ``None`` leaves a lane alone.

    >>> net = Network(1, 1, Simple(2), wiring="united", bias="all")
    >>> one = Sequences.from_lists([[1.0, 1.0]], [[1.0]])
    >>> run_outputs_last(net, np.zeros((1, net.n_weights)), [one])
    [array([[0.5]])]
    """
    assert isinstance(network.cell, Simple)
    lanes = [lane for lane, part in enumerate(data) if part is not None]
    parts = [part for part in data if part is not None]
    found: list[np.ndarray | None] = [None] * len(data)
    if not parts:
        return found
    lengths = np.concatenate([part.lengths for part in parts])
    order = np.argsort(-lengths, kind="stable")
    owner = np.repeat(lanes, [len(part) for part in parts])[order]
    firsts = np.cumsum([0, *(part.n_steps for part in parts)])
    starts = np.concatenate(
        [part.offsets[:-1] + first for part, first in zip(parts, firsts, strict=False)]
    )[order]
    inputs = np.concatenate([part.dense_inputs() for part in parts]).astype(weights.dtype)
    outputs = np.empty((len(inputs), network.n_outputs), weights.dtype)
    with np.errstate(over="ignore"):  # exp may overflow; the logistic function is then 0
        _run(network, weights[owner], inputs, starts, lengths[order], outputs)
    for lane, part, first in zip(lanes, parts, firsts, strict=False):
        found[lane] = outputs[part.target_steps + first]
    return found


def _run(
    network: Network,
    weights: np.ndarray,
    inputs: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    outputs: np.ndarray,
) -> None:
    """Run sequences, the longest first, each with separate weights; store all outputs.

    Sequences are the last axis: one NumPy call is a step of all. Its sums run over sources in the
    same order for any number of sequences above one; a single one would be summed pairwise, so at
    least two are run.
    """
    parts = network.views(np.resize(weights, (max(2, len(weights)), weights.shape[1])))
    units, hidden = network.cell.n_units, network.cell.n_units - network.n_outputs
    from_inputs, from_units = (
        np.ascontiguousarray(np.moveaxis(parts[name], 0, -1))
        for name in ("hidden_inputs", "hidden_recurrent")
    )
    bias = np.zeros((units, from_units.shape[-1]), weights.dtype)
    if network.biased_units:
        bias[list(network.biased_units)] = parts["hidden_bias"].T
    squash = np.tanh if isinstance(network.cell, Simple) and network.cell.f == "tanh" else _logistic
    y = np.zeros_like(bias)
    live = len(weights)
    for t in range(int(lengths[0])):
        while lengths[live - 1] <= t:
            live -= 1
        run = max(2, live)
        at = starts[:live] + t
        x = inputs[at].T if live == run else np.repeat(inputs[at].T, 2, axis=1)
        now = y[:, :run]
        net = _times(from_inputs[..., :run], x) + bias[:, :run]
        now[:hidden] = squash(net[:hidden] + _times(from_units[:hidden, :, :run], now))
        now[hidden:] = squash(net[hidden:] + _times(from_units[hidden:, :, :run], now))
        outputs[at] = now[hidden:, :live].T


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Each sequence's matrix times its vector: ``[U, S, n]`` times ``[S, n]``."""
    return (matrices * vectors).sum(axis=1)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
