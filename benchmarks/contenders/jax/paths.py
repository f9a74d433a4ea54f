"""Exact gradients in JAX, float32: reverse mode by ``grad``, forward mode by ``jacfwd``.

Forward mode propagates one tangent for each weight through the ``scan``. These tangents are the
sensitivities of real-time recurrent learning, derived automatically.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from carrousel.contracts import SQUASHES, Cell, Network, Training
from carrousel.sequences import Sequences

MODES = {"bptt": jax.grad, "rtrl": jax.jacfwd}


class JaxPaths:
    """``jit(vmap(scan))`` over nets and sequences, all of one length.

    Args:
        network: memory cells without forget gates or simple units, in full wiring, all biased.
        training: with one weight update for each sequence.
        gradient: ``"bptt"`` or ``"rtrl"``.
        weights: initial weights ``[B, W]``.
    """

    def __init__(
        self, network: Network, training: Training, gradient: str, weights: np.ndarray
    ) -> None:
        self.weights: Any = jnp.asarray(weights)
        self._learn = jax.jit(jax.vmap(partial(_learn, network, training, MODES[gradient])))

    def pack(self, data: list[Sequences]) -> tuple[Any, Any]:
        """Stack ``N`` sequences for each net: inputs ``[B, N, T, I]`` and targets ``[B, N, O]``."""
        shape = len(data), len(data[0]), -1, data[0].n_inputs
        inputs = jnp.asarray(np.stack([part.inputs for part in data]).reshape(shape))
        return inputs, jnp.asarray(np.stack([part.targets for part in data]))

    def learn(self, packed: tuple[Any, Any]) -> None:
        """Update the weights."""
        self.weights = self._learn(self.weights, *packed).block_until_ready()


def _learn(network: Network, training: Training, mode: Any, flat: Any, x: Any, goal: Any) -> Any:
    gradient = mode(partial(_loss, network))

    def one(weights: Any, pair: Any) -> Any:
        return weights - training.rate * gradient(weights, *pair), None

    return lax.scan(one, flat, (x, goal))[0]


def _loss(network: Network, flat: Any, inputs: Any, goal: Any) -> Any:
    """Cross-entropy; its derivative for the net input of a logistic output is ``y - t``."""
    parts = {
        name: flat[part.start : part.stop].reshape(part.shape)
        for name, part in network.layout.items()
    }
    cell = network.cell
    start = jnp.zeros(cell.n_units), jnp.zeros(cell.n_states)
    (y, _), _ = lax.scan(partial(_step, network, parts), start, inputs)
    read = cell.read_units
    net = parts["output_cells"] @ y[read.start : read.stop] + parts["output_bias"]
    return jnp.sum(jnp.logaddexp(0.0, net) - goal * net)


def _step(network: Network, parts: Any, carry: Any, x: Any) -> Any:
    y, s = carry
    net = parts["hidden_inputs"] @ x + parts["hidden_recurrent"] @ y + parts["hidden_bias"]
    cell = network.cell
    if not isinstance(cell, Cell):
        return (jnp.tanh(net), s), None
    blocks, cells, size = cell.blocks, cell.n_cells, cell.block_size
    y_in, y_out = jax.nn.sigmoid(net[:blocks]), jax.nn.sigmoid(net[blocks + cells :])
    s = s + jnp.repeat(y_in, size) * _squash(cell.g, net[blocks : blocks + cells])
    y_cell = jnp.repeat(y_out, size) * _squash(cell.h, s)
    return (jnp.concatenate([y_in, y_cell, y_out]), s), None


def _squash(kind: str, x: Any) -> Any:
    scale_shift = SQUASHES[kind]
    return x if scale_shift is None else scale_shift[0] * jax.nn.sigmoid(x) + scale_shift[1]
