"""Runs the recurrent parts of a model with a tap at every state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from carrousel.contracts import CELLS, Recurrence, gradient_cut
from carrousel.errors import InputError
from carrousel.inspection.record.fused import FusedCall, fits_fused
from carrousel.inspection.record.local import Call
from carrousel.inspection.record.taps import follows_tap, tap
from carrousel.inspection.record.track import Errors, Joint, Part, Track
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, LayerResult, layer
from carrousel.nn.cells import StepCell

SEGMENT_BYTES = 2**28
"""Size of a layer's graph above which it is computed again in segments of the backward pass."""


@dataclass(eq=False)
class Read:
    """Errors that enter a track directly: not from a later step, nor from another recurrent part.

    Attributes:
        track: the track.
        out: errors of the outputs of a layer, ``[T, B, H]``, in the order of processing; of a cell
            or a named state, errors of ``h`` itself. None: no error.
        s: errors of the states of a cell, ``[T, B, S]``. None: no error.
        ends: errors of the last state ``(h, s)`` that a call of a layer returned, by the first
            step of the call.
    """

    track: Track
    out: Tensor | None = None
    s: Tensor | None = None
    ends: dict[int, Errors] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Returned:
    """What a call of a layer returned, as tensors of the graph with a tap each.

    Attributes:
        first: its first step in the track.
        out: outputs ``[n, B, H]`` in the order of processing.
        h, s: last states ``[B, ...]``.
    """

    first: int
    out: Tensor
    h: Tensor
    s: Tensor


class Recorder:
    """Observer of one forward pass, and owner of the taps of its graph.

    Args:
        names: name of each module of the model.

    Attributes:
        tracks: all tracks in the order in which they began.
        calls: the track of each call of a layer or cell in order, and its length before the call.
        anchor: leaf of the graph that every tap depends on.
        blocking: whether errors stop at the first recurrent part that they reach.
        returned: of layers, by ``id`` of the track.
    """

    def __init__(self, names: dict[Any, str]) -> None:
        self.names = names
        self.tracks: list[Track] = []
        self.calls: list[tuple[Track, int]] = []
        self.anchor = torch.zeros((), requires_grad=True)
        self.blocking = False
        self.reads: dict[int, Read] = {}
        self.fused: list[FusedCall] = []
        self.arrived: dict[tuple[int, int, str], tuple[Tensor | None, ...]] = {}
        self.returned: dict[int, list[Returned]] = {}
        self._open: dict[tuple[int, tuple[int, int]], Track] = {}
        self._named: dict[str, Track] = {}

    def run(
        self,
        module: Any,
        which: tuple[int, int],
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> LayerResult:
        """Run a layer or cell; see :class:`carrousel.nn.call.observe.Observer`."""
        if options.record:
            raise InputError(
                "the model calls a layer with return_states=True, which cannot be inspected",
                argument="module",
                fix="inspect the model without {return_states}",
            )
        T, n_sequences = inputs.x.shape[:2]
        if not T or not n_sequences:
            raise InputError(
                f"{self.names.get(module) or 'a layer'} receives {n_sequences} sequences of {T} "
                "steps",
                argument="inputs",
                fix="give at least one sequence of one step",
            )
        track = self._track(module, which, inputs, recurrence, options)
        first = len(track)
        self.calls.append((track, first))
        h0, s0 = tap(
            self._keeper(track, "start", first), self._like(inputs.h0), inputs.h0, inputs.s0
        )
        inputs = inputs._replace(h0=h0, s0=s0)
        call = Call(first, inputs, options)
        if call.is_special():
            track.calls.append(call)
        if fits_fused(inputs, recurrence, options, T):
            fused = FusedCall(track, first)
            out, h, s = fused.run(self._like(inputs.x), inputs, recurrence, options)
            self.fused.append(fused)
        else:
            out, h, s = self._by_steps(track, first, inputs, recurrence, options)
        if isinstance(module, StepCell):
            track.outputs.append((h, s))
            return LayerResult(out, h, s)
        (out,) = tap(self._keeper(track, "out", first), self._like(out), out)
        h, s = tap(self._keeper(track, "end", first), self._like(h), h, s)
        self.returned.setdefault(id(track), []).append(Returned(first, out, h, s))
        return LayerResult(out.flip(0) if options.reverse else out, h, s)

    def _by_steps(
        self,
        track: Track,
        first: int,
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run single steps with a tap after each, in segments if their graph is large."""
        T = inputs.x.shape[0]
        size = 16 * T * inputs.h0.numel() * inputs.h0.element_size()
        length = T if size < SEGMENT_BYTES else math.isqrt(T) + 1
        order = range(T - 1, -1, -1) if options.reverse else range(T)
        h, s, outs = inputs.h0, inputs.s0, list[Tensor]()
        for begin in range(0, T, max(1, length)):
            some = order[begin : begin + length]
            arguments = (self, track, inputs, recurrence, options, h, s, some, first, begin)
            if length < T and torch.is_grad_enabled():
                out, h, s = checkpoint(_segment, *arguments, use_reentrant=False)  # type: ignore[misc]
            else:
                out, h, s = _segment(*arguments)
            outs.append(out)
        return torch.cat(outs) if outs else inputs.x.new_zeros(0, *inputs.h0.shape), h, s

    def _like(self, tensor: Tensor) -> Tensor:
        """Return the anchor with the type and device of a tensor."""
        return self.anchor.to(tensor)

    def _track(
        self,
        module: Any,
        which: tuple[int, int],
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> Track:
        """Return the track that a call continues, or a new one."""
        key = (id(module), which)
        known, joint = self._open.get(key), "start"
        if known is not None and not options.reverse:
            joint = _joint(known, inputs.h0, inputs.s0)
        if known is None or joint == "start":
            kind = "cell" if isinstance(module, StepCell) else "layer"
            name = self._new_name(_name(self.names.get(module, ""), which, kind, module))
            part = Part(name, recurrence, inputs, options.reverse, kind)
            known = Track(part, inputs.h0.detach(), inputs.s0.detach(), key=key)
            self.tracks.append(known)
            self._open[key] = known
        elif not _continues(known, inputs.h0, inputs.s0):
            known.starts.append((len(known), inputs.h0.detach(), inputs.s0.detach()))
        known.joints.append((len(known), joint))  # type: ignore[arg-type]
        return known

    def _new_name(self, name: str) -> str:
        """Return the name of a track; a part that begins again is numbered."""
        used = {track.part.name for track in self.tracks}
        base, direction = name.removesuffix(", reverse"), name.endswith(", reverse")
        for number in range(1, len(used) + 2):
            again = f"{base}, call {number}" if number > 1 else base
            again += ", reverse" if direction else ""
            if again not in used:
                return again
        return name

    def named(self, name: str, h: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """Record a step of a user's loop; return its states with a tap."""
        track = self._named_track(name, h, s)
        h, s = record_step(self, track, len(track), h, s, None)
        track.outputs.append((h, s))
        return h, s

    def _named_track(self, name: str, h: Tensor, s: Tensor) -> Track:
        track = self._named.get(name)
        if track is None or track.h0.shape != h.shape:
            part = Part(self._new_name(name), None, None, kind="state")
            track = Track(part, torch.zeros_like(h), torch.zeros_like(s))
            track.joints.append((0, "start"))
            self.tracks.append(track)
            self._named[name] = track
        return track

    def clear(self) -> None:
        """Forget the errors of the last backward pass."""
        self.arrived.clear()
        for call in self.fused:
            call.net = None
        for track in self.tracks:
            track.error_h.clear()
            track.error_s.clear()
            track.error_start.clear()

    def release(self) -> None:
        """Let go of the graph. Its taps hold the recorder: a cycle that Python does not collect."""
        self.returned.clear()
        for track in self.tracks:
            track.outputs.clear()
            track.calls.clear()
            track.part.inputs = None

    def state_keeper(self, track: Track, t: int) -> Callable[..., bool]:
        """Return the function that a tap calls with the errors of the states after step ``t``."""

        def keep(errors: tuple[Tensor | None, ...]) -> bool:
            for found, error in zip((track.error_h, track.error_s), errors, strict=False):
                if error is not None:
                    found.append((t, error[None]))
            return track.part.kind == "layer" or not self.blocking

        return keep

    def _keeper(self, track: Track, what: str, first: int) -> Callable[..., bool]:
        """Return the function that the tap of a layer's first state, output or last state calls."""

        def keep(errors: tuple[Tensor | None, ...]) -> bool:
            if what == "start":
                track.error_start[first] = (errors[0], errors[1])
                return True
            if not self.blocking:
                self.arrived[id(track), first, what] = errors
                return True
            read = self.reads.setdefault(id(track), Read(track))
            if what == "end":
                read.ends[first] = (errors[0], errors[1])
            elif errors[0] is not None:
                if read.out is None:
                    read.out = torch.zeros_like(track.values("h"))
                read.out[first : first + len(errors[0])] = errors[0]
            return False

        return keep


def _segment(
    recorder: Recorder,
    track: Track,
    inputs: LayerInputs,
    recurrence: Recurrence,
    options: LayerOptions,
    h: Tensor,
    s: Tensor,
    order: range,
    first: int,
    begin: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run consecutive steps; return the outputs ``[steps, B, H]`` and the last state.

    Args:
        first: step of the track at which the call begins.
        begin: step of the call, in the order of processing, with which ``order`` begins.
    """
    cut, outs = gradient_cut(options.gradient), list[Tensor]()
    gates = recurrence.cell in CELLS
    single = options._replace(reverse=False, recompute=0, record=gates)
    for n, t in enumerate(order, begin):
        if cut > 0 and n and n % cut == 0:
            h, s = h.detach(), s.detach()
        one = slice(t, t + 1)
        now = inputs._replace(
            x=inputs.x[one],
            h0=h,
            s0=s,
            flags=None if inputs.flags is None else inputs.flags[one],
            keep_h=None if inputs.keep_h is None else inputs.keep_h[one],
            keep_s=None if inputs.keep_s is None else inputs.keep_s[one],
        )
        found = layer(now, recurrence, single)
        active = Call(0, now, single).active()
        x = inputs.x[one]
        h, s = record_step(recorder, track, first + n, found.h, found.s, x, active, found.gates)
        outs.append(h if active is None else torch.where(active[0, :, None], h, 0.0))
    return torch.stack(outs), h, s


def record_step(
    recorder: Recorder,
    track: Track,
    t: int,
    h: Tensor,
    s: Tensor,
    x: Tensor | None,
    active: Tensor | None = None,
    gates: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Append a step to a track and return its states with a tap.

    A step that is computed again in a backward pass is not appended.

    Args:
        h, s: ``[B, ...]``.
        x, active, gates: ``[1, B, ...]``.
    """
    if t == len(track):
        track.extend(h[None], s[None], x, active, gates)
    if not torch.is_grad_enabled():
        return h, s
    return tap(recorder.state_keeper(track, t), recorder._like(h), h, s)  # type: ignore[return-value]


def _continues(track: Track, h: Tensor, s: Tensor) -> bool:
    last_h, last_s = track.last()
    return torch.equal(last_h, h.detach()) and torch.equal(last_s, s.detach())


def _joint(track: Track, h: Tensor, s: Tensor) -> Joint:
    """Return how a state follows the last one of a track."""
    if not len(track) or track.last()[0].shape != h.shape:
        return "start"
    if not _continues(track, h, s):
        zero = not bool(h.detach().any()) and not bool(s.detach().any())
        return "flows" if not zero and follows_tap(h) else "start"
    return "flows" if h.requires_grad else "detached"


def _name(module: str, which: tuple[int, int], kind: str, owner: Any) -> str:
    name = module or type(owner).__name__
    if kind == "cell":
        return name
    layer, direction = which
    several = owner.num_layers > 1
    return name + (f", layer {layer}" if several else "") + (", reverse" if direction else "")
