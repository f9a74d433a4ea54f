"""One recorded forward pass, and the errors that flow back from the step that the loss reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import torch
from torch import Tensor

from carrousel.errors import InputError
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recorder import Read, Recorder
from carrousel.inspection.record.track import Errors, Track

Flow = list[tuple[Tensor, Tensor]]
"""For each track, errors of ``h [T, B, H]`` and of the states ``s [T, B, S]``."""
Starts = list[dict[int, Errors]]
"""For each track, errors of the states before its calls, by the first step of the call."""
Backward = tuple[Flow, Starts, list[Tensor | None]]
"""Both, and gradients of parameters."""


@dataclass(frozen=True, eq=False)
class Source:
    """Where the loss reads a track: the last step of each sequence at which an error enters.

    Attributes:
        read: all errors that enter the track.
        steps: ``[B]``, index of that step in the order of processing; -1: no error enters.
    """

    read: Read
    steps: Annotated[Tensor, "B"]

    @property
    def track(self) -> Track:
        """The track."""
        return self.read.track


@dataclass(eq=False)
class Recording:
    """All states of one call of a model, with its graph.

    Attributes:
        subject: model, data and loss.
        recorder: taps of the graph.
        loss: the loss, with its graph.
        reads: errors that enter each track directly, in the order of the tracks.
        sources: where the loss reads the part that ran last: one of a layer, two of a
            bidirectional layer.
    """

    subject: Subject
    recorder: Recorder
    loss: Tensor
    reads: list[Read]
    sources: list[Source]

    @property
    def tracks(self) -> list[Track]:
        """All tracks, in the order in which they began."""
        return self.recorder.tracks

    def flow(self, seeds: list[Tensor] | None = None) -> Flow:
        """Send the errors of the read steps back in time.

        Args:
            seeds: errors of the hidden states ``[B, H]`` at :attr:`Source.steps`, one for each
                source, instead of those of the loss.

        Returns:
            For each track, the errors of ``h [T, B, H]`` and of the states ``s [T, B, S]``, in the
            order of processing. The error of ``s`` at a step is the derivative at constant ``h``
            of that step.
        """
        return self._of_read[0] if seeds is None else self._of_seeds(seeds)[0]

    def total(self) -> Flow:
        """Return the errors of the whole loss; see :meth:`flow`."""
        return self._whole[0]

    @property
    def starts(self) -> Starts:
        """Errors of the states before the calls of each track, for those of the read steps."""
        return self._of_read[1]

    @property
    def weights(self) -> dict[str, Tensor | None]:
        """Gradients of the parameters that learn, by name; None: the loss does not use it."""
        return dict(zip(self._learning(), self._whole[2], strict=True))

    def _learning(self) -> dict[str, Tensor]:
        named = self.subject.module.named_parameters()
        return {name: one for name, one in named if one.requires_grad}

    @cached_property
    def _whole(self) -> Backward:
        learning = list(self._learning().values())
        if not self.loss.requires_grad:
            flow, starts, _ = self._backward([], [])
            return flow, starts, [None] * len(learning)
        return self._backward([self.loss], [torch.ones_like(self.loss)], learning)

    @cached_property
    def _of_read(self) -> Backward:
        return self._whole if self._reads_once() else self._of_seeds(None)

    def _of_seeds(self, seeds: list[Tensor] | None) -> Backward:
        outputs, errors = list[Tensor](), list[Tensor]()
        for n, source in enumerate(self.sources):
            pairs = _entries(self.recorder, source, None if seeds is None else seeds[n])
            outputs += [one for one, _ in pairs]
            errors += [error for _, error in pairs]
        return self._backward(outputs, errors)

    def _reads_once(self) -> bool:
        """Whether no error enters elsewhere than at the read steps."""
        mine = {id(source.track): source for source in self.sources}
        for read in self.reads:
            norms = entering(read)
            if (source := mine.get(id(read.track))) is not None:
                order = torch.arange(len(norms), device=norms.device)[:, None]
                norms = norms * (order != source.steps)
            if bool(norms.any()):
                return False
        return True

    def release(self) -> None:
        """Let go of the graph, so that its memory is freed; :meth:`flow` cannot be called again."""
        self.recorder.release()

    def _backward(
        self, outputs: list[Tensor], errors: list[Tensor], learning: list[Tensor] | None = None
    ) -> Backward:
        recorder = self.recorder
        recorder.clear()
        found: list[Tensor | None] = []
        if outputs:
            _, *found[:] = torch.autograd.grad(
                outputs,
                [recorder.anchor, *(learning or [])],
                errors,
                retain_graph=True,
                allow_unused=True,
            )
        for call in reversed(recorder.fused):
            key = id(call.track), call.first
            call.complete(recorder.arrived.get((*key, "out")), recorder.arrived.get((*key, "end")))
        flow = [(track.errors("h"), track.errors("s")) for track in self.tracks]
        return flow, [dict(track.error_start) for track in self.tracks], found


def record(subject: Subject) -> Recording:
    """Run a model once and find where its loss reads the recurrent parts.

    Call :meth:`Recording.release` at the end.

    Raises:
        InputError: the model has no recurrent part, or the loss depends on none.
    """
    recorder = Recorder(subject.names)
    try:
        return _recorded(subject, recorder)
    except BaseException:
        recorder.release()
        raise


def _recorded(subject: Subject, recorder: Recorder) -> Recording:
    with torch.inference_mode(False), torch.enable_grad():
        loss = subject.value(recorder)
    if not recorder.tracks:
        raise InputError(
            "no recurrent layer, cell or named state ran during the call",
            argument="module",
            fix="pass a torch.nn.Module that contains the layers, or name the states of a loop of "
            "your own with carrousel.inspection.state",
        )
    error = None
    if loss.requires_grad:
        recorder.blocking = True
        recorder.clear()
        (error,) = torch.autograd.grad(
            loss, [recorder.anchor], retain_graph=True, allow_unused=True
        )
        recorder.blocking = False
    reads = [_read(recorder, track) for track in recorder.tracks]
    sources = [_source(read) for read in reads]
    used = [one for one in sources if bool((one.steps >= 0).any())]
    if not used and error is not None:
        raise InputError(
            f"the loss is {float(loss.detach()):.4g} and its derivative is exactly zero at all "
            "recurrent states",
            argument="loss",
            fix="inspect data at which {loss} is above its minimum and not clamped",
        )
    if not used:
        raise InputError(
            "the loss does not depend on any recurrent state",
            argument="loss",
            fix="let {loss} use the output of the recurrent layers, without detach() between",
        )
    last = used[-1]
    together = [one for one in used if _siblings(one.track, last.track)]
    return Recording(subject, recorder, loss, reads, together)


def _siblings(track: Track, other: Track) -> bool:
    """Whether two tracks are the directions of one layer."""
    base = [one.part.name.removesuffix(", reverse") for one in (track, other)]
    return track is other or (base[0] == base[1] and track.part.reverse != other.part.reverse)


def _read(recorder: Recorder, track: Track) -> Read:
    """Return the direct errors of a track, which the blocked backward pass has left."""
    if track.part.kind == "layer":
        return recorder.reads.get(id(track), Read(track))
    known = track.error_h or track.error_s
    return Read(track, track.errors("h"), track.errors("s")) if known else Read(track)


def entering(read: Read) -> Annotated[Tensor, "T B"]:
    """Return the norm of the direct error at each step of each sequence."""
    track = read.track
    found = torch.zeros(len(track), track.n_sequences, dtype=track.h0.dtype, device=track.h0.device)
    if read.out is not None:
        found = found + read.out.norm(dim=-1)
    if read.s is not None:
        found = found + read.s.norm(dim=-1)
    rows = torch.arange(track.n_sequences, device=found.device)
    for first, errors in read.ends.items():
        for error in errors:
            if error is not None:
                found[_end_of(track, first), rows] += error.norm(dim=-1)
    return found


def _end_of(track: Track, first: int) -> Annotated[Tensor, "B"]:
    """Return the last step of each sequence in the call that begins at a step."""
    begins = sorted(begin for begin, _ in track.joints if begin > first)
    return track.last_steps(first, (begins[0] if begins else len(track)) - first)


def _source(read: Read) -> Source:
    norms = entering(read)
    order = torch.arange(1, len(norms) + 1, device=norms.device)[:, None]
    return Source(read, ((norms > 0) * order).amax(0) - 1)


def _entries(
    recorder: Recorder, source: Source, seed: Tensor | None
) -> list[tuple[Tensor, Tensor]]:
    """Return tensors of the graph, and the errors to send back from them."""
    read, track, steps = source.read, source.track, source.steps
    if seed is not None:
        whole = torch.zeros_like(track.values("h"))
        rows = torch.arange(track.n_sequences, device=whole.device)[steps >= 0]
        whole[steps[rows], rows] = seed[rows]
        read = Read(track, whole)
    if track.part.kind != "layer":
        return _step_entries(read, steps)
    pairs = []
    order = torch.arange(len(track), device=steps.device)[:, None]
    chosen = None if read.out is None else read.out * (order == steps)[..., None]
    for call in recorder.returned[id(track)]:
        if chosen is not None:
            pairs.append((call.out, chosen[call.first : call.first + len(call.out)]))
        last = (_end_of(track, call.first) == steps)[:, None]
        for end, error in zip((call.h, call.s), read.ends.get(call.first, ()), strict=False):
            if error is not None:
                pairs.append((end, error * last))
    return pairs


def _step_entries(read: Read, steps: Tensor) -> list[tuple[Tensor, Tensor]]:
    pairs = []
    for t in sorted({int(t) for t in steps if t >= 0}):
        chosen = (steps == t)[:, None]
        h, s = read.track.outputs[t]
        for tensor, error in ((h, read.out), (s, read.s)):
            if error is not None and tensor.requires_grad:
                pairs.append((tensor, error[t] * chosen))
    return pairs
