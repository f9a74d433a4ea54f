"""The compiled kernels as torch operations: shapes for tracing, gradients of any order, vmap.

There are two operations, ``carrousel::sequence_forward`` and ``carrousel::sequence_backward``. The
second is the gradient of the first. Its own gradient is that of the plain path, so double backward
supports every option, at the cost of the plain path.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C import _len_torch_dispatch_stack
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.compiled import (
    BY_SAMPLE,
    CallSettings,
    Gradients,
    Tape,
    backward,
    dense,
    forward,
    tape_shapes,
)
from carrousel.kernels.autograd.layer import LayerInputs
from carrousel.kernels.autograd.second import second_gradient
from carrousel.kernels.autograd.vmap import (
    SETTINGS_END,
    TENSORS,
    backward_by_samples,
    forward_by_samples,
)

DIFFERENTIABLE = Gradients._fields
"""Inputs that have a gradient, in the order of the operations' arguments and results."""

_TAPE = Tape._fields

_TENSOR_ARGUMENTS = ", ".join(
    f"Tensor {name}" if name in ("x", "w_ih", "w_hh", "h0", "s0") else f"Tensor? {name}"
    for name in TENSORS
)
_SETTINGS = "str key, bool reverse, int cut, int recompute, float zone_h, float zone_s"

torch.library.define(
    "carrousel::sequence_forward",
    f"({_TENSOR_ARGUMENTS}, {_SETTINGS}, bool tape) -> ({', '.join(['Tensor'] * len(_TAPE))})",
)
torch.library.define(
    "carrousel::sequence_backward",
    f"({_TENSOR_ARGUMENTS}, {_SETTINGS}, {', '.join(f'Tensor {name}' for name in _TAPE)}, "
    "Tensor? d_out, Tensor? d_h, Tensor? d_s, Tensor? d_states, int needs, int samples) -> "
    f"({', '.join(['Tensor'] * len(DIFFERENTIABLE))})",
)

ORDINARY = (Tensor, torch.nn.Parameter)
"""Types whose memory the kernels may read; subclasses may hold something else."""
_COUNT = len(TENSORS)
_OTHERS = TENSORS[len(DIFFERENTIABLE) :]


def _unpack(arguments: tuple[Any, ...], tape: bool) -> tuple[LayerInputs, CallSettings]:
    tensors = dict(zip(TENSORS, arguments[:_COUNT], strict=True))
    key, reverse, cut, recompute, zone_h, zone_s = arguments[_COUNT:SETTINGS_END]
    call = CallSettings(Recurrence.parse(key), reverse, cut, recompute, zone_h, zone_s, tape)
    return LayerInputs(**tensors), call


def _dense(inputs: LayerInputs) -> LayerInputs:
    """Return contiguous, detached tensors, which the kernels require."""
    if inputs.flags is not None and inputs.flags.dtype == torch.bool:
        inputs = inputs._replace(flags=inputs.flags.to(torch.uint8))
    return LayerInputs(
        *(None if v is None else dense(v.detach()) for v in inputs)  # type: ignore[arg-type]
    )


def _forward(*arguments: Any) -> Tape:
    inputs, call = _unpack(arguments, arguments[SETTINGS_END])
    return forward(_dense(inputs), call)


torch.library.impl("carrousel::sequence_forward", "CPU", _forward)


@torch.library.register_fake("carrousel::sequence_forward")
def forward_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    """Return the results of ``carrousel::sequence_forward`` without values."""
    inputs, call = _unpack(arguments, arguments[SETTINGS_END])
    return tuple(inputs.x.new_empty(shape) for shape in tape_shapes(inputs, call).values())


def _backward(*arguments: Any) -> Gradients:
    tape = Tape(
        *(
            part.detach().contiguous()
            for part in arguments[SETTINGS_END : SETTINGS_END + len(_TAPE)]
        )
    )
    *errors, needs, samples = arguments[SETTINGS_END + len(_TAPE) :]
    inputs, call = _unpack(arguments, True)
    detached = tuple(None if e is None else e.detach() for e in errors)
    return backward(_dense(inputs), call, tape, detached, needs, samples)  # type: ignore[arg-type]


torch.library.impl("carrousel::sequence_backward", "CPU", _backward)


@torch.library.register_fake("carrousel::sequence_backward")
def _backward_shapes(*arguments: Any) -> tuple[Tensor, ...]:
    inputs, _ = _unpack(arguments, True)
    needs, samples = arguments[-2:]
    shapes = []
    for bit, name in enumerate(DIFFERENTIABLE):
        value = getattr(inputs, name)
        if name in ("h0", "s0"):
            shapes.append(value.shape)
        elif value is None or not needs >> bit & 1 or value.numel() == 0:
            shapes.append((0,))
        elif samples and name in BY_SAMPLE:
            shapes.append((samples, *value.shape))
        else:
            shapes.append(value.shape)
    return tuple(inputs.x.new_empty(shape) for shape in shapes)


# --- first gradient ------------------------------------------------------------------------------


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[4:])
    ctx.settings = inputs[_COUNT:SETTINGS_END]
    ctx.save_for_backward(*inputs[:_COUNT], *output)


def _first(ctx: Any, d_out: Any, d_h: Any, d_s: Any, d_states: Any, *_: Any) -> tuple[Any, ...]:
    if d_out is d_h is d_s is d_states is None:  # graphs that are cut behind the layer
        return (None,) * (_COUNT + 7)
    saved = ctx.saved_tensors
    needs = sum(1 << bit for bit in range(len(DIFFERENTIABLE)) if ctx.needs_input_grad[bit])
    if d_states is not None and d_states.numel() == 0:
        d_states = None
    errors = run_backward(
        *saved[:_COUNT], *ctx.settings, *saved[_COUNT:], d_out, d_h, d_s, d_states, needs, 0
    )
    shaped = _shaped(errors, saved, ctx.needs_input_grad)
    return (*shaped, *[None] * (len(_OTHERS) + 7))


def _shaped(errors: Any, values: Any, needs: Any) -> list[Tensor | None]:
    """Return None for unwanted gradients, and zeros for empty inputs."""
    shaped: list[Tensor | None] = []
    for error, value, needed in zip(errors, values, needs, strict=False):
        if value is None or not needed:
            shaped.append(None)
        else:
            shaped.append(error if error.shape == value.shape else torch.zeros_like(value))
    return shaped


torch.library.register_autograd("carrousel::sequence_forward", _first, setup_context=_remember)


# --- second gradient -----------------------------------------------------------------------------


def _remember_errors(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.settings = inputs[_COUNT:SETTINGS_END]
    *errors, ctx.needs, ctx.samples = inputs[SETTINGS_END + len(_TAPE) :]
    ctx.save_for_backward(*inputs[:_COUNT], *errors)


def _second(ctx: Any, *dd: Tensor | None) -> tuple[Any, ...]:
    saved = ctx.saved_tensors
    values, errors = saved[: len(DIFFERENTIABLE)], saved[_COUNT:]
    others = dict(zip(_OTHERS, saved[len(DIFFERENTIABLE) : _COUNT], strict=True))
    by_value, by_error = second_gradient(
        values, others, errors, dd, ctx.settings, ctx.needs, ctx.samples
    )
    return (*by_value, *[None] * (len(_OTHERS) + 6 + len(_TAPE)), *by_error, None, None)


torch.library.register_autograd(
    "carrousel::sequence_backward", _second, setup_context=_remember_errors
)


# --- outside graphs ------------------------------------------------------------------------------
#
# Without tracing, functions of autograd are used: ``torch.func.grad`` supports them, unlike
# operations of torch.library, and a call costs a tenth of the time.


def _is_traced(x: Tensor) -> bool:
    return (
        torch.compiler.is_compiling() or type(x) not in ORDINARY or _len_torch_dispatch_stack() > 0
    )


def is_eager() -> bool:
    """Return whether operations run at once: no tracing, transform, mode or dual number."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or _len_torch_dispatch_stack()
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
    )


def is_batched(*tensors: Tensor | None) -> bool:
    """Return whether one is batched by the vmap of ``torch.autograd`` (``is_grads_batched``)."""
    return any(tensor is not None and is_legacy_batchedtensor(tensor) for tensor in tensors)


def run_forward(*arguments: Any) -> Tape:
    """Call ``carrousel::sequence_forward``; works under the transforms of ``torch.func`` too."""
    if torch._C._are_functorch_transforms_active():
        return Tape(*_ForwardFunction.apply(*arguments))  # type: ignore[misc]
    if _is_traced(arguments[0]):
        return Tape(*torch.ops.carrousel.sequence_forward(*arguments))
    if torch.is_grad_enabled() and arguments[SETTINGS_END]:
        return Tape(*_FastForwardFunction.apply(*arguments))  # type: ignore[misc]
    return _forward(*arguments)


def run_backward(*arguments: Any) -> Gradients:
    """Call ``carrousel::sequence_backward``; works under the transforms of ``torch.func`` too."""
    if torch._C._are_functorch_transforms_active():
        return Gradients(*_BackwardFunction.apply(*arguments))  # type: ignore[misc]
    if _is_traced(arguments[0]) or is_batched(*arguments[-6:-2]):
        return Gradients(*torch.ops.carrousel.sequence_backward(*arguments))
    if torch.is_grad_enabled():
        return Gradients(*_BackwardFunction.apply(*arguments))  # type: ignore[misc]
    return _backward(*arguments)


class _ForwardFunction(torch.autograd.Function):
    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        return tuple(run_forward(*arguments))

    setup_context = staticmethod(_remember)
    backward = staticmethod(_first)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        return forward_by_samples(run_forward, info.batch_size, in_dims, args)


class _FastForwardFunction(torch.autograd.Function):
    """The same outside ``torch.func``, without the cost of ``setup_context`` at every call."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        tape = _forward(*arguments)
        _remember(ctx, arguments, tape)
        return tuple(tape)

    backward = staticmethod(_first)


class _BackwardFunction(torch.autograd.Function):
    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        return tuple(run_backward(*arguments))

    setup_context = staticmethod(_remember_errors)
    backward = staticmethod(_second)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        return backward_by_samples(run_backward, info.batch_size, in_dims, args)


def _forward_vmap(info: Any, dims: tuple[int | None, ...], *arguments: Any) -> Any:
    op = torch.ops.carrousel.sequence_forward
    return forward_by_samples(op, info.batch_size, dims, arguments)


def _backward_vmap(info: Any, dims: tuple[int | None, ...], *arguments: Any) -> Any:
    op = torch.ops.carrousel.sequence_backward
    return backward_by_samples(op, info.batch_size, dims, arguments)


torch.library.register_vmap("carrousel::sequence_forward", _forward_vmap)
torch.library.register_vmap("carrousel::sequence_backward", _backward_vmap)
