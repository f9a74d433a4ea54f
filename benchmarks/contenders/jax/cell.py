"""The cell of 1997 in JAX, float32: ``jit(scan over sequences(vmap over nets))``."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.contenders import Outcome
from benchmarks.contenders.jax.equations import (
    Net,
    Shape,
    learn_by_grad,
    learn_by_traces,
    learn_stream,
)
from benchmarks.contenders.jax.form import Form, Gradient
from benchmarks.contenders.padding import join_streams, joined, pad
from benchmarks.lanes.cases import Case
from jax import lax

from carrousel.contracts import SQUASHES, Network
from carrousel.errors import SettingError
from carrousel.sequences import Sequences
from carrousel.shapes import Floats


class JaxCell:
    """A batch of nets in one compiled program; weights stay on the device and are donated.

    Args:
        case: the learning task.
        form: one of :func:`benchmarks.contenders.jax.tuning.forms`.
        lanes: number of nets.
        sequences: sequences of each lane that one call learns.

    Raises:
        SettingError: this program does not support the network or training.
    """

    name = "JAX jit(vmap(scan))"
    exact = True

    def __init__(self, case: Case, form: Form, lanes: int, sequences: int) -> None:
        _check(case)
        self.case, self.form, self.n_lanes, self.sequences = case, form, lanes, sequences
        self.detail = f"{form.gradient}, {lanes} nets"
        self.detail += ", one-hot" if form.one_hot else ""
        self._program = _program(_shape(case, form), form.gradient)
        self._net = _net(case.network, case.weights(lanes))
        self._errors: Any = None
        self._steps = 0
        self._offsets = np.zeros(0, np.int64)

    def draw(self, rng: np.random.Generator) -> list[Sequences]:
        """Draw one part for all lanes, which is the cheapest way."""
        return [self.case.task.sample(rng, self.n_lanes * self.sequences)]

    def pack(self, parts: list[Sequences]) -> tuple[Any, ...]:
        """Convert to padded arrays on the device."""
        data = joined(parts)
        self._offsets = data.offsets
        stream = self.form.gradient == "stream"
        packed = (join_streams if stream else pad)([data], self.n_lanes, least=self._steps)
        # Never shrink: each new shape would have to be compiled.
        self._steps = packed.inputs.shape[0 if stream else 1]
        return jax.block_until_ready(tuple(map(jnp.asarray, packed)))

    def start(self, weights: Annotated[Floats, "B W"]) -> None:
        """Reset to these weights."""
        self._net = jax.block_until_ready(_net(self.case.network, weights))

    def learn(self, packed: tuple[Any, ...]) -> None:
        """Learn all sequences in one call."""
        self._net, self._errors = jax.block_until_ready(self._program(self._net, packed))

    def outcome(self) -> Outcome:
        """Return the current weights and the errors of the last :meth:`learn`."""
        errors = np.asarray(self._errors)  # [N, B], or [steps, B] for a stream
        if self.form.gradient == "stream":
            starts = self._offsets[:-1].reshape(self.n_lanes, -1)
            lanes = [
                np.add.reduceat(errors[:, lane], start - start[0])
                for lane, start in enumerate(starts)
            ]
            return Outcome(_flat(self.case.network, self._net), np.stack(lanes))
        return Outcome(_flat(self.case.network, self._net), errors.T)


def _check(case: Case) -> None:
    cell, training = case.network.cell, case.training
    if not cell.output_gate or cell.forget_gate or case.network.wiring != "full":
        raise SettingError(f"{case.name}: only output gates, no forget gates, and full wiring")
    if training.update == "epoch" or training.cells_added_after or training.initial_activation:
        raise SettingError(f"{case.name}: only nets that start whole, at rest, and learn online")


def _shape(case: Case, form: Form) -> Shape:
    network = case.network
    return Shape(
        blocks=network.cell.blocks,
        block_size=network.cell.block_size,
        rate=case.training.rate,
        output_derivative=case.training.output_derivative,
        each_step=case.training.update == "step",
        biased=tuple(unit in network.biased_units for unit in range(network.cell.n_units)),
        one_hot=network.n_inputs if form.one_hot else 0,
        g=SQUASHES[network.cell.g],
        h=SQUASHES[network.cell.h],
    )


def _program(shape: Shape, gradient: Gradient) -> Any:
    """Compile the program for all sequences of all lanes; lanes are axis 1, after time."""
    if gradient == "stream":
        lanes = jax.vmap(partial(learn_stream, shape), in_axes=(0, 1, 1, 1, 1), out_axes=(0, 1))
        return jax.jit(lambda net, data: lanes(net, *data), donate_argnums=0)
    if gradient == "traces":
        traced = jax.vmap(partial(learn_by_traces, shape), in_axes=(0, None, 1, 0, 0))

        def next_sequence(net: Net, row: Any) -> Any:
            inputs, lengths, targets, _ = row
            return traced(net, lengths.max(), inputs, lengths, targets)

    else:

        def next_sequence(net: Net, row: Any) -> Any:
            inputs, lengths, targets, has = row
            target_axis = 1 if targets.ndim == 3 else 0
            mapped = jax.vmap(partial(learn_by_grad, shape), in_axes=(0, 1, 0, target_axis, 1))
            return mapped(net, inputs, lengths, targets, has)

    return jax.jit(lambda net, data: lax.scan(next_sequence, net, data), donate_argnums=0)


def _net(network: Network, weights: Annotated[Floats, "B W"]) -> Net:
    parts = network.views(weights)
    bias = None
    if network.biased_units:
        bias = np.zeros((len(weights), network.cell.n_units), np.float32)
        bias[:, list(network.biased_units)] = parts["hidden_bias"]
    output_bias = parts.get("output_bias")
    return Net(  # copies, because the program overwrites its arguments
        jnp.array(parts["hidden_inputs"]),
        jnp.array(parts["hidden_recurrent"]),
        None if bias is None else jnp.array(bias),
        jnp.array(parts["output_cells"]),
        None if output_bias is None else jnp.array(output_bias),
    )


def _flat(network: Network, net: Net) -> Annotated[Floats, "B W"]:
    flat = np.zeros((len(net.inputs), network.n_weights), np.float32)
    parts = network.views(flat)
    parts["hidden_inputs"][:], parts["hidden_recurrent"][:] = net.inputs, net.recurrent
    parts["output_cells"][:] = net.outputs
    if net.bias is not None:
        parts["hidden_bias"][:] = np.asarray(net.bias)[:, list(network.biased_units)]
    if net.output_bias is not None:
        parts["output_bias"][:] = net.output_bias
    return flat
