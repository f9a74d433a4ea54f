"""One recorded forward pass, and the errors that flow back from the step that the loss reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from carrousel.errors import InputError
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recorder import Read, Recorder
from carrousel.inspection.record.track import Track


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


@dataclass(frozen=True, eq=False)
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

    def flow(self, seeds: list[Tensor] | None = None) -> list[tuple[Tensor, Tensor]]:
        """Send the errors of the read steps back in time.

        Args:
            seeds: errors of the hidden states ``[B, H]`` at :attr:`Source.steps`, one for each
                source, instead of those of the loss.

        Returns:
            For each track, the errors of ``h [T, B, H]`` and of the states ``s [T, B, S]``, in the
            order of processing. The error of ``s`` at a step is the derivative at constant ``h``
            of that step.
        """
        outputs, errors = list[Tensor](), list[Tensor]()
        for n, source in enumerate(self.sources):
            pairs = _entries(self.recorder, source, None if seeds is None else seeds[n])
            outputs += [one for one, _ in pairs]
            errors += [error for _, error in pairs]
        return self._backward(outputs, errors)

    def total(self) -> list[tuple[Tensor, Tensor]]:
        """Return the errors of the whole loss; see :meth:`flow`."""
        return self._backward([self.loss], [torch.ones_like(self.loss)])

    def release(self) -> None:
        """Let go of the graph, so that its memory is freed; :meth:`flow` cannot be called again."""
        self.recorder.release()

    def _backward(self, outputs: list[Tensor], errors: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        recorder = self.recorder
        recorder.clear()
        if outputs:
            torch.autograd.grad(
                *(outputs, [recorder.anchor], errors), retain_graph=True, allow_unused=True
            )
        for call in reversed(recorder.fused):
            call.complete(
                *(
                    recorder.arrived.get((id(call.track), call.first, what))
                    for what in ("out", "end")
                )
            )
        return [(track.errors("h"), track.errors("s")) for track in self.tracks]


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
            fix="name the states of a loop of your own with carrousel.inspection.state",
        )
    if loss.requires_grad:
        recorder.blocking = True
        recorder.clear()
        torch.autograd.grad(loss, [recorder.anchor], retain_graph=True, allow_unused=True)
        recorder.blocking = False
    reads = [_read(recorder, track) for track in recorder.tracks]
    sources = [_source(read) for read in reads]
    used = [one for one in sources if bool((one.steps >= 0).any())]
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
    known = any(e is not None for e in [*track.error_h, *track.error_s])
    return Read(track, track.errors("h"), track.errors("s")) if known else Read(track)


def last_steps(track: Track) -> Annotated[Tensor, "B"]:
    """Return the index of the last step of each sequence that is not padding."""
    mask = track.mask()
    order = torch.arange(1, len(track) + 1, device=mask.device)[:, None]
    return (mask * order).amax(0) - 1


def entering(read: Read) -> Annotated[Tensor, "T B"]:
    """Return the norm of the direct error at each step of each sequence."""
    track = read.track
    found = torch.zeros(len(track), track.n_sequences, dtype=track.h0.dtype, device=track.h0.device)
    if read.out is not None:
        found = found + read.out.norm(dim=-1)
    if read.s is not None:
        found = found + read.s.norm(dim=-1)
    if read.end is not None:
        parts = [one.norm(dim=-1) for one in read.end if one is not None]
        found[last_steps(track), torch.arange(track.n_sequences)] += torch.stack(parts).sum(0)
    return found


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
        rows = torch.arange(track.n_sequences)[steps >= 0]
        whole[steps[rows], rows] = seed[rows]
        read = Read(track, whole)
    if track.part.kind != "layer":
        return _step_entries(read, steps)
    pairs = []
    if read.out is not None:
        chosen = read.out * (torch.arange(len(track))[:, None] == steps)[..., None]
        for first, out in recorder.whole[id(track)]:
            pairs.append((out, chosen[first : first + len(out)]))
    if read.end is not None:
        last = (last_steps(track) == steps)[:, None]
        for end, error in zip(recorder.ends[id(track)], read.end, strict=True):
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
