"""One direction of one layer without masks, resets and recomputation, at little cost per call.

A program that runs one step at a time pays for every check and every object of a call. This module
passes tensors to the compiled kernel as they are: biases are not added, states are not stacked, and
no operation of torch runs that the result does not need. What it does not support goes through
:func:`carrousel.kernels.autograd.dispatch.layer`; both use the same kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C._autograd import _top_saved_tensors_default_hooks as _hooks_of_saved_tensors

from carrousel.contracts import CELLS, Recurrence, gradient_cut
from carrousel.kernels.autograd.compiled import CAN_VIEW, dense
from carrousel.kernels.autograd.dispatch import layer
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions, merged_biases
from carrousel.kernels.autograd.ops import ORDINARY, is_batched, is_eager
from carrousel.kernels.native import sequence as native

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}
_N_INPUTS = 12
"""``x``, ``h0``, ``s0`` and the fields of :class:`LayerParameters`."""


class LayerParameters(NamedTuple):
    """Parameters of one direction of one layer as modules hold them; None: absent.

    Args:
        w_ih: ``[U, I]``.
        w_hh: ``[U, H]``.
        bias_ih, bias_hh: ``[U]``, both or none.
        unit: further parameters of the cells, ``[P, C]``; None for a GRU.
        w_hr: projection, ``[H, C]``.
        ln_ih, ln_hh: scales of layer normalisation, ``[U]``.
        ln_c: scale and shift of that of the state, ``[2, C]``.
    """

    w_ih: Tensor
    w_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    unit: Tensor | None
    w_hr: Tensor | None
    ln_ih: Tensor | None
    ln_hh: Tensor | None
    ln_c: Tensor | None


class Engine(NamedTuple):
    """The compiled kernel of a recurrence for one data type, and options of a call.

    Args:
        kernel: the kernel.
        key: the recurrence, as ``Recurrence.key``.
        dtype: type of all tensors.
        sources, states, gates, extra: widths of the arrays, ``H``, ``D*C`` and those of the tape.
        step: whether ``x`` is one step ``[B, I]``; results then are ``h`` and ``s`` alone.
        settings: ``reverse``, ``cut``, ``zone_h`` and ``zone_s`` of the kernel.
        options: the same for the general path.
    """

    kernel: native.UnmaskedLayer
    key: str
    dtype: torch.dtype
    sources: int
    states: int
    gates: int
    extra: int
    step: bool
    settings: tuple[bool, int, float, float]
    options: LayerOptions


@lru_cache(maxsize=1024)
def engine_of(
    key: str,
    dtype: torch.dtype,
    step: bool = False,
    reverse: bool = False,
    gradient: str = "bptt",
    zoneout: tuple[float, float] = (0.0, 0.0),
) -> Engine | None:
    """Return the kernel of a recurrence with its options, or None if it needs the general path.

    Args:
        key: the recurrence, as ``Recurrence.key``.
        dtype: type of all tensors.
        step: as in :class:`Engine`.
        reverse, gradient: as in :class:`LayerOptions`.
        zoneout: its ``zone_h`` and ``zone_s``.
    """
    recurrence, name = Recurrence.parse(key), _DTYPES.get(dtype)
    if name is None or not CAN_VIEW or not _takes_parameters(recurrence):
        return None
    if not native.is_compiled(recurrence, name):
        return None
    return Engine(
        kernel=native.unmasked_layer(recurrence, name),
        key=key,
        dtype=dtype,
        sources=recurrence.n_sources,
        states=recurrence.n_states,
        gates=native.gates_width(recurrence),
        extra=native.extra_width(recurrence, sources=False, norms=recurrence.layer_norm),
        step=step,
        settings=(reverse, gradient_cut(gradient), *zoneout),
        options=LayerOptions(reverse, gradient, zone_h=zoneout[0], zone_s=zoneout[1]),
    )


def _takes_parameters(recurrence: Recurrence) -> bool:
    """Return whether the kernel's weights are the parameters as modules hold them."""
    kind = recurrence.kind
    absent = recurrence.without_x or recurrence.without_r
    projected = recurrence.layer_norm and recurrence.cell not in CELLS
    return not (absent or kind.scalars or kind.matrices or projected)


def run_unmasked(
    engine: Engine,
    x: Tensor,
    h0: Tensor | None,
    s0: Tensor | None,
    parameters: Sequence[Tensor | None],
) -> tuple[Tensor, ...]:
    """Run a call; differentiable.

    Args:
        engine: kernel and options.
        x: inputs ``[T, B, I]``, or ``[B, I]`` with ``engine.step``.
        h0: first hidden state, ``[B, H]`` with any number of leading axes of size 1; None: zero.
        s0: first state, ``[B, D*C]`` likewise; None: zero.
        parameters: fields of :class:`LayerParameters`. All tensors are of a type in
            :data:`ORDINARY`, and none is a negative view.

    Returns:
        ``out [T, B, H]``, ``h [1, B, H]`` and ``s [1, B, D*C]``; or, with ``engine.step``,
        ``h [B, H]`` and ``s [B, D*C]``. Without states there is no ``s``.

    Raises:
        ValueError: the kernel does not read these tensors: shape, type, device or layout differ.
    """
    if torch.is_grad_enabled():
        for value in (x, *parameters, h0, s0):
            if value is not None and value.requires_grad:
                return _apply(engine, x, h0, s0, *parameters)
    return _forward(engine, x, h0, s0, parameters, keeps=False)[0]


def _forward(
    engine: Engine,
    x: Tensor,
    h0: Tensor | None,
    s0: Tensor | None,
    parameters: Sequence[Tensor | None],
    keeps: bool,
) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    """Return the results, and ``out``, ``states``, ``gates`` and ``extra`` if ``keeps``.

    The backward pass of one step needs no results, so that the caller may change them in place.
    """
    rows, kind = x.shape[:-1], engine.dtype
    many = not engine.step and rows[0] > 1
    states = gates = extra = h = s = None
    if engine.step and h0 is not None:  # of the same shape, or the kernel refuses; a quicker way
        out = torch.empty_like(h0)
    else:
        out = torch.empty((*rows, engine.sources), dtype=kind)
    if keeps:
        gates = torch.empty((*rows, engine.gates), dtype=kind)
        if engine.states and many:
            states = torch.empty((*rows, engine.states), dtype=kind)
        if engine.extra:
            extra = torch.empty((*rows, engine.extra), dtype=kind)
    if not engine.step:
        h = torch.empty((1, rows[1], engine.sources), dtype=kind)
        if engine.states:
            s = torch.empty((1, rows[1], engine.states), dtype=kind)
    elif engine.states:
        s = (
            torch.empty((rows[0], engine.states), dtype=kind)
            if s0 is None
            else torch.empty_like(s0)
        )
    outs = (out, h, s, states, gates, extra)
    threads = torch.get_num_threads()
    engine.kernel.forward(x, h0, s0, tuple(parameters), *outs, *engine.settings, threads)
    results = (out,) if h is None else (out, h)
    tape = (out if many else None, states, gates, extra)
    return results if s is None else (*results, s), tape


class _Unmasked(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        engine: Engine,
        x: Tensor,
        h0: Tensor | None,
        s0: Tensor | None,
        *parameters: Tensor | None,
    ) -> tuple[Tensor, ...]:
        results, tape = _forward(engine, x, h0, s0, parameters, keeps=True)
        ctx.set_materialize_grads(False)
        ctx.engine = engine
        ctx.has_hooks = _hooks_of_saved_tensors(True) is not None
        ctx.save_for_backward(x, h0, s0, *parameters, *tape)
        return results

    @staticmethod
    def backward(ctx: Any, *errors: Tensor | None) -> tuple[Tensor | None, ...]:
        engine: Engine = ctx.engine
        d_out = None if engine.step else errors[0]
        d_h, d_s = (*errors[not engine.step :], None)[:2]
        came, needs = (d_out, d_h, d_s), ctx.needs_input_grad[1:]
        saved = ctx.saved_tensors
        if ctx.has_hooks:  # which may return views of any layout
            saved = tuple(one if one is None else dense(one) for one in saved)
        if torch.is_grad_enabled() or not is_eager() or not all(map(_is_plain, came)):
            return None, *_differentiable(engine, saved, came, needs)
        return None, *_backward(engine, saved, came, needs)


# ``Function.apply`` without its preparations for ``torch.func``, which :func:`is_eager` excludes.
# They would take a third of the time of an operation on one step.
_apply: Any = super(torch.autograd.Function, _Unmasked).apply  # pyright: ignore[reportAttributeAccessIssue]


def _is_plain(error: Tensor | None) -> bool:
    return error is None or (
        type(error) in ORDINARY
        and not is_batched(error)
        and not error.is_neg()
        and not error._is_zerotensor()
    )


def _backward(
    engine: Engine,
    saved: tuple[Tensor | None, ...],
    errors: tuple[Tensor | None, ...],
    needs: tuple[bool, ...],
) -> list[Tensor | None]:
    """Compute the wanted gradients of ``x``, ``h0``, ``s0`` and the parameters."""
    found = [
        torch.empty_like(value) if needed and value is not None else None
        for value, needed in zip(saved, needs, strict=False)
    ]
    errors = tuple(e if e is None or e.is_contiguous() else e.contiguous() for e in errors)
    x, h0, s0, *_ = saved
    parameters, tape = saved[3:_N_INPUTS], saved[_N_INPUTS:]
    threads = torch.get_num_threads()
    engine.kernel.backward(
        x, h0, s0, parameters, tape, errors, tuple(found), *engine.settings, threads
    )
    return found


def _differentiable(
    engine: Engine,
    saved: tuple[Tensor | None, ...],
    errors: tuple[Tensor | None, ...],
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Compute the same through the general path, whose gradients can be differentiated again.

    The forward pass runs once more.
    """
    values: Any = saved[:_N_INPUTS]
    twice = torch.is_grad_enabled()
    with torch.enable_grad():
        results = _general(engine, *values)
        pairs = [
            (r, e.reshape(r.shape)) for r, e in zip(results, errors, strict=True) if e is not None
        ]
        wanted = [value for value, needed in zip(values, needs, strict=True) if needed]
        found = iter(
            torch.autograd.grad(
                [result for result, _ in pairs],
                wanted,  # type: ignore[arg-type]
                [error for _, error in pairs],
                create_graph=twice,
                allow_unused=True,
            )
        )
    return tuple(next(found) if needed else None for needed in needs)


def _general(
    engine: Engine,
    x: Tensor,
    h0: Tensor | None,
    s0: Tensor | None,
    *parameters: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    recurrence, own = Recurrence.parse(engine.key), LayerParameters(*parameters)  # type: ignore[arg-type]
    x = x.unsqueeze(0) if engine.step else x
    h0, s0 = (
        x.new_zeros(x.shape[1], width) if state is None else state.reshape(x.shape[1], width)
        for state, width in ((h0, engine.sources), (s0, engine.states))
    )
    bias, unit = None, own.unit
    if own.bias_ih is not None and own.bias_hh is not None:
        bias, new = merged_biases(recurrence, own.bias_ih, own.bias_hh)
        unit = unit if new is None else new
    inputs = LayerInputs(x, own.w_ih, own.w_hh, h0, s0, bias, unit, *own[5:])
    found = layer(inputs, recurrence, engine.options)
    return found.out, found.h, found.s
