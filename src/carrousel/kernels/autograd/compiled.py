"""One direction of one layer by the compiled kernels: allocates and passes the arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.dlpack import to_dlpack  # pyright: ignore[reportPrivateImportUsage]

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.layer import LayerInputs
from carrousel.kernels.native import sequence as native
from carrousel.kernels.native.sequence import extra_width, gates_width

CAN_VIEW = hasattr(Tensor, "__dlpack_c_exchange_api__")
"""Whether native code can read tensors of this version of torch as they are."""

BY_SAMPLE = ("w_ih", "w_hh", "bias", "w_hr")
"""Inputs whose gradients can be computed per sample."""


class CallSettings(NamedTuple):
    """Settings of a call.

    ``cut`` is the value of ``gradient_cut``; ``tape``: whether values are stored for the backward
    pass. The others are fields of ``LayerOptions``.
    """

    recurrence: Recurrence
    reverse: bool
    cut: int
    recompute: int
    zone_h: float
    zone_s: float
    tape: bool


class Tape(NamedTuple):
    """Results of the forward pass; the last four fields are empty if they are not stored.

    Args:
        out: outputs, ``[T, B, H]``.
        h: last hidden state, ``[B, H]``.
        s: last state, ``[B, D*C]``.
        states: states of every step, ``[T, B, D*C]``.
        gates: activated gates of every step, ``[T, B, gates_width]``.
        extra: further values of every step, ``[T, B, extra_width]``.
        marks: state before each recomputed segment, ``[segments, B, H + D*C]``.
    """

    out: Tensor
    h: Tensor
    s: Tensor
    states: Tensor
    gates: Tensor
    extra: Tensor
    marks: Tensor


class Gradients(NamedTuple):
    """Gradients for inputs, in their shapes; empty for absent inputs and unwanted gradients."""

    x: Tensor
    w_ih: Tensor
    w_hh: Tensor
    h0: Tensor
    s0: Tensor
    bias: Tensor
    unit: Tensor
    w_hr: Tensor
    ln_ih: Tensor
    ln_hh: Tensor
    ln_c: Tensor
    fresh_h: Tensor
    fresh_s: Tensor


def lent(tensor: Tensor) -> Any:
    """Return an object through which native code can read and write a tensor on the CPU.

    The caller may still resize the tensor's storage afterwards, which ``Tensor.numpy()`` prevents
    for good.
    """
    return tensor if CAN_VIEW else to_dlpack(tensor)


def dense(tensor: Tensor) -> Tensor:
    """Return a contiguous tensor whose memory holds its values: no lazy negative, no lazy zero."""
    if tensor._is_zerotensor():
        return tensor.clone()
    return tensor.resolve_neg().contiguous()


def tape_shapes(inputs: LayerInputs, call: CallSettings) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the fields of :class:`Tape`, by name."""
    steps, batch = inputs.x.shape[:2]
    recurrence = call.recurrence
    kept = steps if call.tape and not call.recompute else 0
    segments = -(-steps // call.recompute) if call.tape and call.recompute else 0
    extra = extra_width(recurrence, _has_sources(inputs), inputs.ln_ih is not None)
    return {
        "out": (steps, batch, recurrence.n_sources),
        "h": (batch, recurrence.n_sources),
        "s": (batch, recurrence.n_states),
        "states": (kept, batch, recurrence.n_states),
        "gates": (kept, batch, gates_width(recurrence)),
        "extra": (kept, batch, extra),
        "marks": (segments, batch, recurrence.n_sources + recurrence.n_states),
    }


def forward(inputs: LayerInputs, call: CallSettings) -> Tape:
    """Run a layer; all tensors are detached, contiguous, of one dtype and on the CPU."""
    tape = Tape(
        **{name: inputs.x.new_empty(shape) for name, shape in tape_shapes(inputs, call).items()}
    )
    native.forward(call.recurrence, _dtype(inputs), _arrays(inputs, call, tape))
    return tape


def backward(
    inputs: LayerInputs,
    call: CallSettings,
    tape: Tape,
    errors: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None],
    needs: int,
    samples: int = 0,
) -> Gradients:
    """Compute the gradients with respect to the inputs.

    Args:
        inputs: those of :func:`forward`.
        call: that of :func:`forward`.
        tape: the result of :func:`forward`.
        errors: gradients of the loss for ``out``, ``h``, ``s`` and ``states``; None: zero.
        needs: bits of the wanted fields of :class:`Gradients`.
        samples: number of equal parts of the batch with separate gradients of the inputs in
            :data:`BY_SAMPLE`, ``[samples, ...]``; 0: one gradient for all.
    """
    d_out, d_h, d_s, d_states = (None if e is None else dense(e) for e in errors)
    dh = torch.zeros_like(inputs.h0) if d_h is None else d_h.clone()
    ds = torch.zeros_like(inputs.s0) if d_s is None else d_s.clone()
    grads = _empty_gradients(inputs, needs, samples)._replace(h0=dh, s0=ds)
    arrays = _arrays(inputs, call, tape)
    del arrays["h"], arrays["s"]
    given = {"d_out": d_out, "d_states": d_states, "dh": dh, "ds": ds}
    arrays |= {name: None if e is None else lent(e) for name, e in given.items()}
    arrays["samples"] = samples
    for name, gradient in grads._asdict().items():
        if name not in ("h0", "s0") and gradient.numel():
            one = name in BY_SAMPLE and not samples
            arrays[f"d_{name}"] = lent(gradient.unsqueeze(0) if one else gradient)
    native.backward(call.recurrence, _dtype(inputs), arrays)
    return grads


def _dtype(inputs: LayerInputs) -> str:
    return "float64" if inputs.x.dtype == torch.float64 else "float32"


def _has_sources(inputs: LayerInputs) -> bool:
    return inputs.flags is not None or inputs.drop is not None


def _arrays(inputs: LayerInputs, call: CallSettings, tape: Tape) -> dict[str, Any]:
    tensors = inputs._asdict() | tape._asdict()
    arrays = {name: None if t is None else lent(t) for name, t in tensors.items()}
    if inputs.is_projected:
        arrays["w_ih"] = None
    absent = ("marks",) if call.tape and not call.recompute else ("states", "gates", "extra")
    for name in (*absent, *(() if call.tape else ("marks",))):
        arrays[name] = None
    return arrays | {
        "threads": torch.get_num_threads(),
        "cut": call.cut,
        "reverse": call.reverse,
        "recompute": call.recompute if call.tape else 0,
        "zone_h": call.zone_h,
        "zone_s": call.zone_s,
    }


def _empty_gradients(inputs: LayerInputs, needs: int, samples: int) -> Gradients:
    """Allocate gradients: zeros, which the kernel adds to; ``x`` is overwritten completely."""
    made = {}
    for bit, name in enumerate(Gradients._fields):
        value = getattr(inputs, name)
        wanted = value is not None and value.numel() and needs >> bit & 1
        if value is None or name in ("h0", "s0") or not wanted:
            made[name] = inputs.x.new_empty(0)
        elif name == "x":
            made[name] = torch.empty_like(value)
        else:
            many = samples and name in BY_SAMPLE
            made[name] = value.new_zeros((samples, *value.shape) if many else value.shape)
    return Gradients(**made)
