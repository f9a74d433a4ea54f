"""One direction of one layer by the compiled kernels: memory for what goes in and comes out."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.layer import LayerInputs
from carrousel.kernels.native import sequence as native
from carrousel.kernels.native.sequence import extra_width, gates_width

BY_SAMPLE = ("w_ih", "w_hh", "bias", "w_hr")
"""Inputs whose gradients can come one a sample."""


class Call(NamedTuple):
    """How a call is run; ``cut`` is what ``gradient_cut`` says, ``tape``: there is a way back."""

    recurrence: Recurrence
    reverse: bool
    cut: int
    recompute: int
    zone_h: float
    zone_s: float
    tape: bool


class Tape(NamedTuple):
    """What forward hands over; the last four are empty where nothing is kept.

    ``out [T, B, K]``, last ``h``, ``s``; ``states [T, B, S M]``, ``gates [T, B, G]``, ``extra
    [T, B, E]``; ``marks [segments, B, K + S M]``: state before each segment that is made anew.
    """

    out: Tensor
    h: Tensor
    s: Tensor
    states: Tensor
    gates: Tensor
    extra: Tensor
    marks: Tensor


class Gradients(NamedTuple):
    """Errors by input, empty where there is no such input or nobody asked."""

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


def tape_shapes(inputs: LayerInputs, call: Call) -> dict[str, tuple[int, ...]]:
    """Shapes of :class:`Tape` by name."""
    steps, batch = inputs.x.shape[:2]
    R = call.recurrence
    kept = steps if call.tape and not call.recompute else 0
    segments = -(-steps // call.recompute) if call.tape and call.recompute else 0
    return {
        "out": (steps, batch, R.n_sources),
        "h": (batch, R.n_sources),
        "s": (batch, R.n_states),
        "states": (kept, batch, R.n_states),
        "gates": (kept, batch, gates_width(R)),
        "extra": (kept, batch, extra_width(R, _has_sources(inputs), inputs.ln_ih is not None)),
        "marks": (segments, batch, R.n_sources + R.n_states),
    }


def forward(inputs: LayerInputs, call: Call) -> Tape:
    """Run a layer; everything detached, contiguous, of one dtype on the CPU."""
    tape = Tape(
        **{name: inputs.x.new_empty(shape) for name, shape in tape_shapes(inputs, call).items()}
    )
    native.forward(call.recurrence, _dtype(inputs), _arrays(inputs, call, tape))
    return tape


def backward(
    inputs: LayerInputs,
    call: Call,
    tape: Tape,
    errors: tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None],
    needs: int,
    samples: int = 0,
) -> Gradients:
    """Errors of all inputs from those of ``out``, last ``h`` and ``s``, and ``states``.

    ``needs``: bits of the fields of :class:`Gradients` somebody wants. ``samples``: the batch is
    that many samples of the same size side by side; gradients of ``w_ih``, ``w_hh``, ``bias`` and
    ``w_hr`` come one a sample.
    """
    d_out, d_h, d_s, d_states = (None if e is None else e.contiguous() for e in errors)
    dh = torch.zeros_like(inputs.h0) if d_h is None else d_h.clone()
    ds = torch.zeros_like(inputs.s0) if d_s is None else d_s.clone()
    grads = _empty_gradients(inputs, needs, samples)._replace(h0=dh, s0=ds)
    arrays = _arrays(inputs, call, tape)
    del arrays["h"], arrays["s"]
    given = {"d_out": d_out, "d_states": d_states, "dh": dh, "ds": ds}
    arrays |= {name: None if e is None else e.numpy() for name, e in given.items()}
    arrays["samples"] = samples
    for name, gradient in grads._asdict().items():
        if name not in ("h0", "s0") and gradient.numel():
            one = name in BY_SAMPLE and not samples
            arrays[f"d_{name}"] = (gradient.unsqueeze(0) if one else gradient).numpy()
    native.backward(call.recurrence, _dtype(inputs), arrays)
    return grads


def _dtype(inputs: LayerInputs) -> str:
    return "float64" if inputs.x.dtype == torch.float64 else "float32"


def _has_sources(inputs: LayerInputs) -> bool:
    return inputs.flags is not None or inputs.drop is not None


def _arrays(inputs: LayerInputs, call: Call, tape: Tape) -> dict[str, Any]:
    tensors = inputs._asdict() | tape._asdict()
    arrays = {name: None if t is None else t.numpy() for name, t in tensors.items()}
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
    """Zeros to add to, and an ``x`` that will be written whole."""
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
