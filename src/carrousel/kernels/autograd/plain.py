"""One direction of one layer in plain torch operations: all options, derivatives of any order.

``torch.func`` and ``torch.compile`` support it: there are no in-place operations, and no branch
depends on a value.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear
from torch.utils.checkpoint import checkpoint

from carrousel.contracts import Recurrence, gradient_cut
from carrousel.contracts.recurrence import ACTIVE, NORM_EPSILON, RESET
from carrousel.kernels.autograd.cells import STEPS as STEPS
from carrousel.kernels.autograd.cells import StepContext, Tensors, sources_of, step_of
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions, LayerResult

Rows = list[tuple[Tensor, Tensor, Tensor]]
"""``(out [B, H], states [B, D*C], gates [B, U])`` of each step, in the order of processing."""


def plain_layer(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> LayerResult:
    """Run a layer step by step.

    Args:
        inputs: tensors of one dtype, on one device; shapes as in :class:`LayerInputs`.
        recurrence: equations and sizes.
        options: settings of the call.

    Returns:
        Outputs of every step and the last state; with ``record`` also states and gates.

    >>> lstm = Recurrence("lstm", 2)
    >>> x, state = torch.ones(3, 1, 1), torch.zeros(1, 2)
    >>> result = plain_layer(
    ...     LayerInputs(x, torch.ones(8, 1), torch.zeros(8, 2), state, state), lstm, LayerOptions()
    ... )
    >>> [round(float(h), 4) for h in result.out[:, 0, 0]]
    [0.3696, 0.5453, 0.6225]
    """
    steps = inputs.x.shape[0]
    order = range(steps - 1, -1, -1) if options.reverse else range(steps)
    h, s, rows = inputs.h0, inputs.s0, []
    length = options.recompute or max(1, steps)
    for start in range(0, steps, length):
        arguments = (inputs, recurrence, options, h, s, order[start : start + length], start)
        if options.recompute and _keeps_tape():
            part, h, s = checkpoint(
                _segment, *arguments, use_reentrant=False, preserve_rng_state=False
            )
        else:
            part, h, s = _segment(*arguments)
        rows += part
    if options.reverse:
        rows.reverse()
    widths = (recurrence.n_sources, recurrence.n_states, recurrence.n_net_inputs)
    out, states, gates = (
        torch.stack([row[which] for row in rows])
        if rows and (which == 0 or options.record)
        else inputs.x.new_zeros(0, inputs.x.shape[1], width)
        for which, width in enumerate(widths)
    )
    return LayerResult(out, h, s, *((states, gates) if options.record else ()))


def _keeps_tape() -> bool:
    """Return whether a tape can be recomputed; ``torch.func`` does not support checkpoints."""
    return torch.is_grad_enabled() and not torch._C._are_functorch_transforms_active()


def _segment(
    inputs: LayerInputs,
    recurrence: Recurrence,
    options: LayerOptions,
    h: Tensor,
    s: Tensor,
    order: range,
    start: int,
) -> tuple[Rows, Tensor, Tensor]:
    """Run the steps of ``order``, the first of which is number ``start`` of the call."""
    cut = gradient_cut(options.gradient)
    context = _context(inputs, recurrence, cut < 0)
    step, unit = step_of(recurrence.cell), _unit(inputs, recurrence)
    zero = inputs.x.new_zeros(())
    fresh_h = zero if inputs.fresh_h is None else inputs.fresh_h
    fresh_s = zero if inputs.fresh_s is None else inputs.fresh_s
    begin, end = (order[-1], order[0] + 1) if options.reverse else (order[0], order[-1] + 1)
    active = reset = None
    x = inputs.x[begin:end]
    if inputs.flags is not None:
        flags = inputs.flags[begin:end].unsqueeze(-1)
        active, reset = (flags & ACTIVE) != 0, (flags & RESET) != 0
        x = torch.where(active, x, zero)  # padding may be NaN
    if not inputs.is_projected:
        x = _norm(linear(x, inputs.w_ih), recurrence, inputs.ln_ih)
    x = x if inputs.bias is None else x + inputs.bias
    rows: Rows = []
    for number, t in enumerate(order, start):
        if cut > 0 and number and number % cut == 0:
            h, s = h.detach(), s.detach()
        if reset is not None:
            h = torch.where(reset[t - begin], fresh_h, h)
            s = torch.where(reset[t - begin], fresh_s, s)
        source = h if inputs.drop is None else h * inputs.drop.detach()
        source = source.detach() if cut < 0 else source
        own = s.split(recurrence.units, -1) if recurrence.n_states else ()
        parts = x[t - begin].split(recurrence.widths, -1)
        r = _recurrent(inputs, recurrence, source, (parts, own, h, unit), cut < 0)
        states, m, gates = step(parts, r, own, h, unit, context)
        if recurrence.gate_sources:
            m = torch.cat((m, gates[0], gates[2]), -1)
        elif recurrence.projection:
            m = linear(m, _present(inputs.w_hr))
        h_new = _zoneout(m, h, inputs.keep_h, t, options.zone_h)
        s_new = _zoneout(_joined(states, s), s, inputs.keep_s, t, options.zone_s)
        out = h_new
        if active is not None:
            out = torch.where(active[t - begin], h_new, zero)
            h_new = torch.where(active[t - begin], h_new, h)
            s_new = torch.where(active[t - begin], s_new, s)
        h, s = h_new, s_new
        rows.append((out, s, torch.cat(gates, -1).detach() if options.record else zero))
    return rows, h, s


def _recurrent(
    inputs: LayerInputs,
    recurrence: Recurrence,
    source: Tensor,
    given: tuple[Tensors, Tensors, Tensor, Tensors],
    truncated: bool,
) -> Tensors:
    """Return the recurrent part of each net input, from one product or several."""
    if not recurrence.kind.products:
        r = _norm(linear(source, inputs.w_hh), recurrence, inputs.ln_hh)
        return r.split(recurrence.widths, -1)
    x, states, h, unit = given
    first, *others = inputs.w_hh.split(recurrence.product_rows)
    r = linear(source, first).split(recurrence.units, -1) if len(first) else ()
    for weights, function in zip(others, sources_of(recurrence.cell), strict=True):
        missing = (None,) * (len(x) - len(r))
        v = function(x, (*r, *missing), states, h, unit)
        r += linear(v.detach() if truncated else v, weights).split(recurrence.units, -1)
    return r


def _context(inputs: LayerInputs, recurrence: Recurrence, truncated: bool) -> StepContext:
    scale, shift = (None, None) if inputs.ln_c is None else inputs.ln_c.unbind(0)
    return StepContext(
        recurrence,
        lambda state: _norm(state, recurrence, scale, shift),
        lambda state: state.detach() if truncated else state,
    )


def _norm(
    vector: Tensor, recurrence: Recurrence, scale: Tensor | None, shift: Tensor | None = None
) -> Tensor:
    if not recurrence.layer_norm:
        return vector
    return layer_norm(vector, vector.shape[-1:], scale, shift, NORM_EPSILON)


def _unit(inputs: LayerInputs, recurrence: Recurrence) -> Tensors:
    """Return the unit parameters, one tensor each; absent ones are zero."""
    if inputs.unit is not None:
        return inputs.unit.unbind(0)
    names = recurrence.kind.unit_parameters
    return tuple(inputs.x.new_zeros(recurrence.units) for _ in names)


def _present(weights: Tensor | None) -> Tensor:
    assert weights is not None, "a projection has weights w_hr"
    return weights


def _joined(states: Tensors, like: Tensor) -> Tensor:
    return torch.cat(states, -1) if len(states) > 1 else states[0] if states else like


def _zoneout(new: Tensor, old: Tensor, keep: Tensor | None, t: int, share: float) -> Tensor:
    """Keep old values by a mask, or mix a share of them in (Krueger et al. 2017)."""
    if keep is not None:
        return torch.where(keep[t].bool(), old, new)
    return share * old + (1 - share) * new if share else new
