"""One direction of one layer by the compiled kernels: windows of steps, and products around them.

The kernel walks a window of steps; input projections and the gradients of weights are torch's own
matrix products, over the same window while it is still in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from carrousel.contracts import CELLS, Recurrence
from carrousel.contracts.recurrence import ACTIVE
from carrousel.kernels.autograd_layer import LayerInputs
from carrousel.kernels.sequence import (
    extra_parts,
    extra_width,
    gates_width,
    has_own_errors,
    open_sequence,
)

WINDOW_BYTES = 2**21
"""Net inputs of a window: few enough to stay in the second-level caches of two cores."""


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
        "extra": (kept, batch, extra_width(R, _has_sources(inputs))),
        "marks": (segments, batch, R.n_sources + R.n_states),
    }


def forward(inputs: LayerInputs, call: Call) -> Tape:
    """Run a layer; everything detached, contiguous, of one dtype on the CPU."""
    tape = Tape(
        **{name: inputs.x.new_empty(shape) for name, shape in tape_shapes(inputs, call).items()}
    )
    tape.h.copy_(inputs.h0)
    tape.s.copy_(inputs.s0)
    steps = inputs.x.shape[0]
    kept = call.tape and not call.recompute
    run = _Forward(inputs, call, tape.h, tape.s)
    for number, segment in enumerate(_segments(steps, call)):
        if call.tape and call.recompute:
            torch.cat((tape.h, tape.s), 1, out=tape.marks[number])
        run(segment, tape.out, tape if kept else None, 0)
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
    run = _Backward(inputs, call, errors, needs, samples)
    steps = inputs.x.shape[0]
    again = None if tape.states.shape[0] == steps else _Again(inputs, call, tape)
    segments = list(_segments(steps, call))
    for number in range(len(segments) - 1, -1, -1):
        segment = segments[number]
        enter = _entering(inputs, tape, number)
        if again is None:
            run(segment, tape, 0, enter)
        else:
            run(segment, again(segment, enter), min(segment), enter)
    return run.gradients()


def _has_sources(inputs: LayerInputs) -> bool:
    return inputs.flags is not None or inputs.drop is not None


def _segments(steps: int, call: Call) -> Iterator[range]:
    """Steps made anew together, in the order of processing; each is a range of rising steps."""
    length = call.recompute or max(steps, 1)
    for first in range(0, steps, length):
        last = min(first + length, steps)
        yield range(steps - last, steps - first) if call.reverse else range(first, last)


def _windows(segment: range, length: int, reverse: bool) -> list[range]:
    starts = range(segment.start, segment.stop, length)
    windows = [range(start, min(start + length, segment.stop)) for start in starts]
    return windows[::-1] if reverse else windows


def _entering(inputs: LayerInputs, tape: Tape, number: int) -> tuple[Tensor, Tensor]:
    if not len(tape.marks):
        return inputs.h0, inputs.s0
    mark, width = tape.marks[number], inputs.h0.shape[1]
    return mark[:, :width].contiguous(), mark[:, width:].contiguous()


class _Way:
    """What both ways share: the packed layer, and the windows of flags and masks."""

    def __init__(
        self, inputs: LayerInputs, call: Call, h: Tensor, s: Tensor, *, learn: bool
    ) -> None:
        self.inputs, self.call, self.R = inputs, call, call.recurrence
        self.steps, self.batch = inputs.x.shape[:2]
        self.described = self.R.cell not in CELLS
        self.dtype = str(inputs.x.dtype).removeprefix("torch.")
        names = ("w_hh", "bias", "unit", "w_hr", "ln_hh", "ln_c", "fresh_h", "fresh_s", "drop")
        weights = {name: getattr(inputs, name) for name in names}
        if self.described:
            weights["bias"] = None  # it is part of the net inputs
        self.sequence = open_sequence(
            self.R,
            self.dtype,
            weights,
            batch=self.batch,
            threads=torch.get_num_threads(),
            cut=call.cut,
            learn=learn,
            sources=_has_sources(inputs),
            h=h,
            s=s,
        )
        bytes_of_step = max(1, self.batch * self.R.n_net_inputs * inputs.x.element_size())
        self.length = max(1, WINDOW_BYTES // bytes_of_step)

    def first(self, window: range) -> int:
        """How many steps were processed before a window."""
        return self.steps - window.stop if self.call.reverse else window.start

    def window(self, window: range) -> dict[str, Any]:
        a, b = window.start, window.stop
        i, c = self.inputs, self.call
        return {
            "steps": b - a,
            "first": self.first(window),
            "reverse": c.reverse,
            "flags": None if i.flags is None else i.flags[a:b],
            "keep_h": None if i.keep_h is None else i.keep_h[a:b],
            "keep_s": None if i.keep_s is None else i.keep_s[a:b],
            "zone_h": c.zone_h,
            "zone_s": c.zone_s,
        }


class _Forward(_Way):
    def __init__(self, inputs: LayerInputs, call: Call, h: Tensor, s: Tensor) -> None:
        super().__init__(inputs, call, h, s, learn=False)
        self.scratch: Tensor | None = None
        if self.described or not call.tape or call.recompute:
            steps = min(self.length, self.steps)
            self.scratch = inputs.x.new_empty(steps, self.batch, self.R.n_net_inputs)

    def __call__(self, segment: range, out: Tensor, tape: Tape | None, offset: int) -> None:
        """Walk a segment; ``tape`` holds steps from ``offset`` on."""
        for window in _windows(segment, self.length, self.call.reverse):
            a, b = window.start - offset, window.stop - offset
            gates = None if tape is None else tape.gates[a:b]
            in_place = gates is not None and not self.described
            x = self._net_inputs(window, gates if in_place else None)
            self.sequence.forward(
                self.window(window)
                | {
                    "x": x,
                    "out": out[window.start : window.stop],
                    "states": None if tape is None else tape.states[a:b],
                    "gates": gates,
                    "extra": None if tape is None else tape.extra[a:b],
                }
            )

    def _net_inputs(self, window: range, into: Tensor | None) -> Tensor:
        """``w_ih x``, where the kernel will put the gates if it can."""
        i, N = self.inputs, self.R.n_net_inputs
        x = i.x[window.start : window.stop]
        if i.is_projected:
            return x
        if into is None:
            if self.scratch is None or len(self.scratch) < len(window):
                self.scratch = i.x.new_empty(len(window), self.batch, N)
            into = self.scratch[: len(window)]
        flat = x.reshape(-1, x.shape[2])
        if self.described and i.bias is not None:
            torch.addmm(i.bias, flat, i.w_ih.t(), out=into.view(-1, N))
        else:
            torch.mm(flat, i.w_ih.t(), out=into.view(-1, N))
        return into


class _Again:
    """The tape of one segment, made anew from the state before it."""

    def __init__(self, inputs: LayerInputs, call: Call, tape: Tape) -> None:
        length = min(call.recompute, inputs.x.shape[0])
        shapes = tape_shapes(inputs._replace(x=inputs.x[:length]), call._replace(recompute=0))
        self.whole = tape
        self.h, self.s = inputs.h0.clone(), inputs.s0.clone()
        self.part = Tape(**{name: inputs.x.new_empty(shape) for name, shape in shapes.items()})
        self.run = _Forward(inputs, call._replace(recompute=0), self.h, self.s)

    def __call__(self, segment: range, enter: tuple[Tensor, Tensor]) -> Tape:
        self.h.copy_(enter[0])
        self.s.copy_(enter[1])
        self.run(segment, self.whole.out, self.part, segment.start)
        return self.part._replace(out=self.whole.out)


class _Backward(_Way):
    def __init__(
        self,
        inputs: LayerInputs,
        call: Call,
        errors: tuple[Tensor | None, ...],
        needs: int,
        samples: int,
    ) -> None:
        self.d_out, d_h, d_s, self.d_states = (
            None if error is None else error.contiguous() for error in errors
        )
        self.dh = torch.zeros_like(inputs.h0) if d_h is None else d_h.clone()
        self.ds = torch.zeros_like(inputs.s0) if d_s is None else d_s.clone()
        super().__init__(inputs, call, self.dh, self.ds, learn=True)
        self.samples = samples
        if samples:
            self.length = max(1, self.steps)
        self.parts = extra_parts(self.R, _has_sources(inputs))
        self.grads = _empty_gradients(inputs, needs, samples)
        N, K = self.R.n_net_inputs, self.R.n_sources
        steps = min(self.length, max(self.steps, 1))
        x = inputs.x
        self.errors = x.new_empty(steps, self.batch, N)
        own = has_own_errors(self.R)
        self.own_errors = x.new_empty(steps, self.batch, N) if own else None
        self.projected = x.new_empty(steps, self.batch, K) if self.R.projection else None
        self.x = x
        if inputs.flags is not None:  # whatever stands in padding must not meet a zero error
            self.x = x.masked_fill(((inputs.flags & ACTIVE) == 0).unsqueeze(2), 0.0)

    def __call__(
        self, segment: range, tape: Tape, offset: int, enter: tuple[Tensor, Tensor]
    ) -> None:
        """Walk a segment back; of ``tape``, all but ``out`` holds steps from ``offset`` on."""
        reverse = self.call.reverse
        windows = _windows(segment, self.length, reverse)
        for number in range(len(windows) - 1, -1, -1):
            window = windows[number]
            a, b, n = window.start, window.stop, len(window)
            before = b if reverse else a - 1
            entering = number == 0
            part = slice(a - offset, b - offset)
            d_x = self.errors[:n]
            if self.inputs.is_projected and self.grads.x.numel():
                d_x = self.grads.x[a:b]
            d_r = None if self.own_errors is None else self.own_errors[:n]
            projected = None if self.projected is None else self.projected[:n]
            h_enter, s_enter = enter
            if not entering:
                h_enter, s_enter = tape.out[before], tape.states[before - offset]
            self.sequence.backward(
                self.window(window)
                | {
                    "out": tape.out[a:b],
                    "states": tape.states[part],
                    "gates": tape.gates[part],
                    "extra": tape.extra[part],
                    "h_enter": h_enter,
                    "s_enter": s_enter,
                    "d_out": None if self.d_out is None else self.d_out[a:b],
                    "d_states": None if self.d_states is None else self.d_states[a:b],
                    "d_x": d_x,
                    "d_r": d_r,
                    "d_projected": projected,
                }
            )
            extra = tape.extra[part]
            self._weights(window, tape.out, extra, h_enter, d_x, d_x if d_r is None else d_r)
            if projected is not None:
                self._product(self.grads.w_hr, projected, extra[..., self.parts["output"]])

    def _weights(
        self, window: range, out: Tensor, extra: Tensor, h_enter: Tensor, d_x: Tensor, d_r: Tensor
    ) -> None:
        g, i, N = self.grads, self.inputs, self.R.n_net_inputs
        a, b = window.start, window.stop
        if not i.is_projected:
            if g.x.numel():
                into = g.x[a:b].view(-1, g.x.shape[2])
                torch.mm(d_x.view(-1, N), i.w_ih, out=into)
            self._product(g.w_ih, d_x, self.x[a:b])
        if g.bias.numel():
            g.bias.add_(d_x.unflatten(1, (self.samples or 1, -1)).sum((0, 2)).view_as(g.bias))
        if not g.w_hh.numel():
            return
        if "source" in self.parts:
            source = extra[..., self.parts["source"]]
            self._product(g.w_hh, d_r, source if i.drop is None else source * i.drop)
            return
        first, rest, before = (
            (-1, slice(0, -1), slice(a + 1, b))
            if self.call.reverse
            else (
                0,
                slice(1, None),
                slice(a, b - 1),
            )
        )
        self._product(g.w_hh, d_r[first].unsqueeze(0), h_enter.unsqueeze(0))
        self._product(g.w_hh, d_r[rest], out[before])

    def _product(self, into: Tensor, errors: Tensor, sources: Tensor) -> None:
        """Add ``sum_t errors_t^T sources_t`` to the gradient of a matrix, if anybody wants it."""
        if not into.numel() or not len(errors):
            return
        if self.samples:
            e, s = (
                part.unflatten(1, (self.samples, -1)).transpose(0, 1).flatten(1, 2)
                for part in (errors, sources)
            )
            into.baddbmm_(e.transpose(1, 2), s)
        else:
            into.addmm_(errors.flatten(0, 1).t(), sources.flatten(0, 1))

    def gradients(self) -> Gradients:
        g = self.grads
        names = ("unit", "ln_hh", "ln_c", "fresh_h", "fresh_s")
        self.sequence.collect(
            {name: getattr(g, name) if getattr(g, name).numel() else None for name in names}
        )
        return g._replace(h0=self.dh, s0=self.ds)


def _empty_gradients(inputs: LayerInputs, needs: int, samples: int) -> Gradients:
    """Zeros to add to, and an ``x`` that will be written whole."""
    made = {}
    for bit, name in enumerate(Gradients._fields):
        value = getattr(inputs, name)
        wanted = value is not None and value.numel() and needs >> bit & 1
        if name in ("h0", "s0") or not wanted:
            made[name] = inputs.x.new_empty(0)
        elif name == "x":
            made[name] = torch.empty_like(value)
        else:
            many = samples and name in ("w_ih", "w_hh", "bias", "w_hr")
            made[name] = value.new_zeros((samples, *value.shape) if many else value.shape)
    return Gradients(**made)
