"""The truncated gradient in JAX for one net, computed in three ways; ``vmap`` makes lanes.

- :func:`learn_by_traces`: a loop forward in time carries the derivatives of cell states (equations
  25 and 27), with one gradient at the last step. Memory does not depend on time.
- :func:`learn_stream`: the same with a gradient at every step, on concatenated sequences.
- :func:`learn_by_grad`: ``jax.grad`` with respect to the net inputs of all steps, truncated by
  ``stop_gradient``, and one matrix product for the weights. Memory grows with time.

An input is a vector or a symbol. For a symbol, weights are looked up and derivatives scattered.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Net(NamedTuple):
    """Weights of one net, or their changes; ``None`` for a missing bias."""

    inputs: jax.Array  # [U, I]
    recurrent: jax.Array  # [U, U]
    bias: jax.Array | None  # [U], 0 for a unit without one
    outputs: jax.Array  # [O, C]
    output_bias: jax.Array | None  # [O]


Range = tuple[float, float] | None
"""Scale and shift of a squashing function, constants of the program; ``None`` is the identity."""


class Shape(NamedTuple):
    """The constants that a program is compiled for."""

    blocks: int
    block_size: int
    rate: float
    output_derivative: bool
    each_step: bool  # weights change at each target, not at the end of a sequence
    biased: tuple[bool, ...]  # for each hidden unit
    one_hot: int  # size of the alphabet if symbols are converted to vectors, else 0
    g: Range
    h: Range


class Now(NamedTuple):
    """Activations of one time step."""

    y: jax.Array  # [U] input gates, cells, output gates
    s: jax.Array  # [C]
    y_in: jax.Array  # [blocks]
    y_out: jax.Array
    g: jax.Array  # [C]
    h: jax.Array
    y_cell: jax.Array


class Traces(NamedTuple):
    """``ds_c / dw`` for weights into input gates (C rows), then for those into cells (C rows)."""

    inputs: jax.Array  # [2C, I]
    recurrent: jax.Array  # [2C, U]
    bias: jax.Array  # [2C]


def _input(shape: Shape, x: jax.Array) -> jax.Array:
    return jax.nn.one_hot(x, shape.one_hot, dtype=jnp.float32) if shape.one_hot else x


def _is_symbol(x: jax.Array) -> bool:
    return jnp.issubdtype(x.dtype, jnp.integer)


def _project(net: Net, x: jax.Array) -> jax.Array:
    """Contribution of one input and of the biases to the net inputs of all hidden units."""
    into = net.inputs[:, x] if _is_symbol(x) else net.inputs @ x
    return into if net.bias is None else into + net.bias


def _add_outer(matrix: jax.Array, factors: jax.Array, x: jax.Array) -> jax.Array:
    """``matrix + factors x^T``, where ``x`` is a vector or a symbol."""
    if _is_symbol(x):
        return matrix.at[:, x].add(factors)
    return matrix + factors[:, None] * x


def _each_cell(shape: Shape, of_blocks: jax.Array) -> jax.Array:
    return jnp.repeat(of_blocks, shape.block_size)


def _sum_blocks(shape: Shape, rows: jax.Array) -> jax.Array:
    return rows.reshape(shape.blocks, shape.block_size, *rows.shape[1:]).sum(1)


def _stretched(f: jax.Array, scale_shift: tuple[float, float]) -> jax.Array:
    """Scale and shift the logistic values ``f``."""
    scale, shift = scale_shift
    return scale * f + shift


def _slope(y: jax.Array, scale_shift: Range) -> jax.Array | float:
    """Derivative of a squashing function, from its value ``y``."""
    if scale_shift is None:
        return 1.0
    scale, low = scale_shift
    return (y - low) * (low + scale - y) / scale


def _advance(shape: Shape, net: Net, y: jax.Array, s: jax.Array, projected: jax.Array) -> Now:
    """Equations (7) to (9)."""
    blocks = shape.blocks
    into = projected + net.recurrent @ y
    f = jax.nn.sigmoid(into)
    y_in, y_out = f[:blocks], f[-blocks:]
    g = into[blocks:-blocks] if shape.g is None else _stretched(f[blocks:-blocks], shape.g)
    s = s + _each_cell(shape, y_in) * g
    h = s if shape.h is None else _stretched(jax.nn.sigmoid(s), shape.h)
    y_cell = _each_cell(shape, y_out) * h
    return Now(jnp.concatenate([y_in, y_cell, y_out]), s, y_in, y_out, g, h, y_cell)


def _blank(shape: Shape, net: Net) -> Now:
    units, cells = net.recurrent.shape[0], net.outputs.shape[1]
    row = jnp.zeros(cells)
    gates = jnp.zeros(shape.blocks)
    return Now(jnp.zeros(units), row, gates, gates, row, row, row)


def _blank_traces(net: Net) -> Traces:
    (units, inputs), rows = net.inputs.shape, 2 * net.outputs.shape[1]
    return Traces(jnp.zeros((rows, inputs)), jnp.zeros((rows, units)), jnp.zeros(rows))


def _trace(
    shape: Shape, traces: Traces, now: Now, x: jax.Array, y: jax.Array, live: jax.Array | float
) -> Traces:
    """Equations (25) and (27); ``live`` is 0 after the end of a sequence."""
    into_gate = now.g * _each_cell(shape, now.y_in * (1 - now.y_in))
    into_cell = _each_cell(shape, now.y_in) * _slope(now.g, shape.g)
    factors = live * jnp.concatenate([into_gate, into_cell])
    return Traces(
        _add_outer(traces.inputs, factors, x),
        traces.recurrent + factors[:, None] * y,
        traces.bias + factors,
    )


def _output_net(net: Net, y_cell: jax.Array) -> jax.Array:
    into = net.outputs @ y_cell
    return into if net.output_bias is None else into + net.output_bias


def _outputs(net: Net, y_cell: jax.Array) -> jax.Array:
    return jax.nn.sigmoid(_output_net(net, y_cell))


def _step_down(
    shape: Shape,
    net: Net,
    now: Now,
    traces: Traces,
    x: jax.Array,
    y: jax.Array,
    error: jax.Array,
    onto: Net,
) -> Net:
    """Add the weight changes (19) to (28) for one target to ``onto``; ``error`` is ``t - y``."""
    k = _outputs(net, now.y_cell)
    e_k = shape.rate * error * (k * (1 - k) if shape.output_derivative else 1)
    back = e_k @ net.outputs
    e_s = _each_cell(shape, now.y_out) * _slope(now.h, shape.h) * back
    e_out = now.y_out * (1 - now.y_out) * _sum_blocks(shape, now.h * back)
    into_gates, into_cells = slice(0, len(e_s)), slice(len(e_s), None)
    first, cells = shape.blocks, slice(shape.blocks, -shape.blocks)

    def rows(old: jax.Array, ds: jax.Array) -> jax.Array:
        tail = (1,) * (ds.ndim - 1)
        e = e_s.reshape(-1, *tail)
        old = old.at[:first].add(_sum_blocks(shape, e * ds[into_gates]))
        return old.at[cells].add(e * ds[into_cells])

    gates = slice(-shape.blocks, None)
    inputs, recurrent = rows(onto.inputs, traces.inputs), rows(onto.recurrent, traces.recurrent)
    bias = None
    if onto.bias is not None:
        change = rows(jnp.zeros_like(onto.bias), traces.bias).at[gates].add(e_out)
        bias = onto.bias + change * jnp.array(shape.biased, jnp.float32)
    return Net(
        inputs.at[gates].set(_add_outer(inputs[gates], e_out, x)),
        recurrent.at[gates].add(e_out[:, None] * y),
        bias,
        onto.outputs + e_k[:, None] * now.y_cell,
        None if onto.output_bias is None else onto.output_bias + e_k,
    )


def learn_by_traces(
    shape: Shape, net: Net, longest: jax.Array, xs: jax.Array, length: jax.Array, target: jax.Array
) -> tuple[Net, jax.Array]:
    """Learn one sequence with a target at its last step; ``longest`` is the same for all lanes."""
    blank = _blank(shape, net)

    def body(t, carry):
        now, traces, seen, y_seen = carry
        x, live = _input(shape, xs[t]), t < length
        new = _advance(shape, net, now.y, now.s, _project(net, x))
        traces = _trace(shape, traces, new, x, now.y, live.astype(jnp.float32))
        kept = jax.tree.map(
            lambda a, b: jnp.where(live, a, b), (new, x, now.y), (now, seen, y_seen)
        )
        return kept[0], traces, kept[1], kept[2]

    start = (blank, _blank_traces(net), _input(shape, xs[0]), blank.y)
    now, traces, x, y = lax.fori_loop(0, longest, body, start)
    error = target - _outputs(net, now.y_cell)
    return _step_down(shape, net, now, traces, x, y, error, net), (error**2).sum()


def learn_stream(
    shape: Shape, net: Net, xs: jax.Array, targets: jax.Array, has: jax.Array, ends: jax.Array
) -> tuple[Net, jax.Array]:
    """Learn many sequences with targets at any steps; returns the squared error of each step."""
    blank = (_blank(shape, net), _blank_traces(net))

    def step(carry, row):
        (now, traces), used, changed = carry
        x, target, learns, ends = row
        x = _input(shape, x)
        new = _advance(shape, used, now.y, now.s, _project(used, x))
        traces = _trace(shape, traces, new, x, now.y, 1.0)
        error = (target - _outputs(used, new.y_cell)) * learns
        changed = _step_down(shape, used, new, traces, x, now.y, error, changed)
        state = jax.tree.map(lambda a: jnp.where(ends, 0.0, a), (new, traces))
        if shape.each_step:
            used = changed
        else:
            used = jax.tree.map(lambda old, new: jnp.where(ends, new, old), used, changed)
        return (state, used, changed), (error**2).sum()

    (_, net, _), errors = lax.scan(step, (blank, net, net), (xs, targets, has, ends))
    return net, errors


def learn_by_grad(
    shape: Shape, net: Net, xs: jax.Array, length: jax.Array, target: jax.Array, has: jax.Array
) -> tuple[Net, jax.Array]:
    """Learn one sequence; ``target`` is ``[O]`` for the last step, or ``[T, O]`` with mask."""
    if shape.one_hot:
        xs = _input(shape, xs)
    blank = _blank(shape, net)

    def loss(nudge, outputs, output_bias):
        net_then = net._replace(outputs=outputs, output_bias=output_bias)

        def step(carry, row):
            s, y = carry
            new = _advance(shape, net, lax.stop_gradient(y), s, row)
            return (new.s, new.y), (new.y, new.y_cell)

        into = jax.vmap(lambda x: _project(net, x))(xs) + nudge
        _, (ys, y_cells) = lax.scan(step, (blank.s, blank.y), into)
        if target.ndim == 1:
            into_outputs = _output_net(net_then, y_cells[length - 1])
        else:
            into_outputs = jax.vmap(lambda y: _output_net(net_then, y))(y_cells)
        k = jax.nn.sigmoid(into_outputs)
        error = (target - k) * (1 if target.ndim == 1 else has[:, None])
        # Both have the derivative e_k with respect to net_k, with or without f' of (19).
        squared, cross = error**2 / 2, jnp.logaddexp(0, into_outputs) - target * into_outputs
        if not shape.output_derivative and target.ndim == 2:
            cross = cross * has[:, None]
        return (squared if shape.output_derivative else cross).sum(), (ys, error)

    nudge = jnp.zeros((xs.shape[0], net.recurrent.shape[0]))
    (_, (ys, error)), (d_into, d_outputs, d_bias) = jax.value_and_grad(
        loss, argnums=(0, 1, 2), has_aux=True
    )(nudge, net.outputs, net.output_bias)
    before = jnp.concatenate([blank.y[None], ys[:-1]])
    d = -shape.rate * d_into  # [T, U]
    inputs = net.inputs.at[:, xs].add(d.T) if _is_symbol(xs) else net.inputs + d.T @ xs
    bias = net.bias
    if bias is not None:
        bias = bias + d.sum(0) * jnp.array(shape.biased, jnp.float32)
    output_bias = net.output_bias
    if output_bias is not None:
        output_bias = output_bias - shape.rate * d_bias
    outputs = net.outputs - shape.rate * d_outputs
    changed = Net(inputs, net.recurrent + d.T @ before, bias, outputs, output_bias)
    return changed, (error**2).sum()
