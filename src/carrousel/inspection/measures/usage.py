"""How a call uses its recurrent parts: where the loss reads, padding, how states continue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch

from carrousel.contracts import Recurrence
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recorder import Recorder
from carrousel.inspection.record.recording import Recording, entering
from carrousel.inspection.record.track import Track
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, LayerResult
from carrousel.shapes import Floats, Ints

SAME = 1e-6
"""Inputs are equal up to this, relative to their size: a few roundings of 32-bit numbers."""


@dataclass(frozen=True, eq=False)
class PartUse:
    """How the call uses one part; steps are in the order of processing.

    Args:
        part: name of the part.
        key: the same for all tracks of a part; a call from a new state begins a track.
        kind: ``"layer"``, ``"cell"`` or ``"state"``.
        by_output: ``[T, B]``, norm of the error that enters through the output of each step.
        by_end: ``[T, B]``, norm of the error that enters through the last state that a call of a
            layer returns, at the last step of each sequence in that call.
        last: ``[B]``, index of the last step of each sequence that is not masked.
        active: ``[T, B]`` bool, False where a step is masked, as in a packed sequence.
        padding: ``[B]``, number of steps at the end of each sequence that look like padding
            although they are not masked; see :func:`trailing`.
        joints: ``(step, "start" | "flows" | "detached")`` of each call of the part.
        starts_from_zero: whether the first state is zero.
        is_silent: whether no error reaches the part, although its weights are trainable.
    """

    part: str
    key: object
    kind: str
    by_output: Annotated[Floats, "T B"]
    by_end: Annotated[Floats, "T B"]
    last: Annotated[Ints, "B"]
    active: Annotated[np.ndarray, "T B"]
    padding: Annotated[Ints, "B"]
    joints: tuple[tuple[int, str], ...]
    starts_from_zero: bool
    is_silent: bool

    @property
    def n_steps(self) -> int:
        """``T``."""
        return len(self.by_output)

    @property
    def n_sequences(self) -> int:
        """``B``."""
        return self.by_output.shape[1]

    def padded(self) -> Annotated[np.ndarray, "T B"]:
        """Return whether each step is padding, masked or not."""
        steps = np.arange(self.n_steps)[:, None]
        return ~self.active | (steps >= self.n_steps - self.padding)

    def entered(self) -> Annotated[np.ndarray, "T B"]:
        """Return whether an error enters at each step."""
        return (self.by_output > 0) | (self.by_end > 0)

    def reachable(self) -> int:
        """Return the largest lag at which an error can arrive: no detached state lies between.

        Of a part that the loss does not read itself: the steps of the longest window, less one.
        """
        steps = np.flatnonzero(self.entered().any(1))
        if not len(steps):
            return max(self.windows()) - 1
        cuts = np.array([0, *(step for step, joint in self.joints if joint == "detached")])
        return int((steps - cuts[np.searchsorted(cuts, steps, "right") - 1]).max())

    def windows(self) -> list[int]:
        """Return the numbers of steps between detached states."""
        cuts = [step for step, joint in self.joints if joint == "detached"]
        return np.diff([0, *cuts, self.n_steps]).tolist()


@dataclass(frozen=True, eq=False)
class Usage:
    """How a call uses its parts.

    Args:
        parts: one for each track, in the order of the call.
        carried: parts whose first state in a second call is the last state of the first call, with
            the largest absolute value of that state.
        cut_off: parts with trainable weights that change the loss but receive no error.
    """

    parts: list[PartUse]
    carried: dict[str, float]
    cut_off: list[str]

    def runs(self) -> list[list[PartUse]]:
        """Return the tracks of each part: more than one if a call began from a new state."""
        found: dict[object, list[PartUse]] = {}
        for use in self.parts:
            found.setdefault(use.key, []).append(use)
        return list(found.values())


def usage(recording: Recording) -> Usage:
    """Describe how the recorded call uses its parts, and make two more calls."""
    padding = _padding_of(recording.tracks[0])
    total = recording.total()
    found = []
    for n, track in enumerate(recording.tracks):
        read, (h, s) = recording.reads[n], total[n]
        out = torch.zeros_like(track.values("h")) if read.out is None else read.out
        by_output = out.norm(dim=-1)
        if read.s is not None:
            by_output = by_output + read.s.norm(dim=-1)
        by_end = entering(read) - by_output
        alike = len(track) == len(recording.tracks[0]) and track.n_sequences == len(padding)
        mask = track.mask()
        found.append(
            PartUse(
                track.part.name,
                track.part.name if track.part.kind == "state" else track.key,
                track.part.kind,
                _plain(by_output),
                _plain(by_end),
                track.last_steps().cpu().numpy(),
                mask.cpu().numpy(),
                padding if alike and not track.part.reverse else np.zeros(len(mask[0]), int),
                tuple(track.joints),
                not bool(track.h0.any()) and not bool(track.s0.any()),
                _is_trained(recording, track) and not bool(h.any()) and not bool(s.any()),
            )
        )
    uses = Usage(found, _carried(recording), [])
    for runs in uses.runs():
        if all(use.is_silent for use in runs) and _matters(recording, runs[0].key):
            uses.cut_off.append(runs[0].part)
    return uses


def _is_trained(recording: Recording, track: Track) -> bool:
    """Whether a part has trainable weights and ran with gradients: no target net, for example."""
    inputs = track.part.inputs
    if inputs is None or not inputs.w_hh.requires_grad:
        return False
    calls = recording.recorder.returned.get(id(track), [])
    tensors = [call.out for call in calls] + [h for h, _ in track.outputs]
    return any(one.requires_grad for one in tensors)


class _Without(Recorder):
    """Observer that replaces the results of one part by zeros."""

    def __init__(self, names: dict[Any, str], key: object) -> None:
        super().__init__(names)
        self.key = key

    def run(
        self,
        module: Any,
        which: tuple[int, int],
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> LayerResult:
        """Run one call of a layer or cell."""
        found = super().run(module, which, inputs, recurrence, options)
        if (id(module), which) != self.key:
            return found
        return LayerResult(*(None if one is None else torch.zeros_like(one) for one in found))  # type: ignore[arg-type]


def _matters(recording: Recording, key: object) -> bool:
    """Whether the loss changes with the results of a part."""
    subject = recording.subject
    with torch.inference_mode(False), torch.no_grad():
        changed = subject.loss(subject.output(_Without(subject.names, key)))
    return not torch.equal(changed, recording.loss.detach())


def _plain(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()


def _padding_of(track: Track) -> Annotated[Ints, "B"]:
    """Return the padding at the end of the sequences of the first part."""
    none = np.zeros(track.n_sequences, int)
    if not track.x or track.part.reverse or not track.is_whole:
        return none
    return trailing(_plain(track.values("x")))


def trailing(x: Annotated[Floats, "T B I"]) -> Annotated[Ints, "B"]:
    """Return how many steps at the end of each sequence look like padding.

    Padding is one row of inputs that is the same in all sequences, occurs only at their ends, and
    is not repeated equally often in all of them. An embedding of a padding symbol qualifies too.

    Args:
        x: inputs of the first layer.

    >>> x = np.arange(1.0, 9.0).reshape(4, 2, 1)
    >>> x[2:, 0] = 0.0
    >>> trailing(x).tolist()
    [2, 0]
    """
    T, B, _ = x.shape
    none = np.zeros(B, int)
    if T < 2 or B < 2:
        return none
    repeated = _equal(x, x[-1])
    run = np.where(np.all(repeated, axis=0), T, np.argmin(repeated[::-1], axis=0))
    longest = int(run.argmax())
    is_row = _equal(x, x[-1, longest])
    padding = np.where(np.take(is_row, -1, axis=0), run, 0)
    elsewhere = np.sum(is_row, axis=0) - padding
    ragged = padding.min() < padding.max() and padding.max() >= 2 and padding.max() < T
    return padding if ragged and not elsewhere.any() else none


def _equal(x: Annotated[Floats, "T B I"], row: Floats) -> Annotated[np.ndarray, "T B"]:
    """Return where rows of inputs are equal but for rounding."""
    return np.abs(x - row).max(axis=-1) <= SAME * max(1.0, float(np.abs(row).max()))


def _carried(recording: Recording) -> dict[str, float]:
    """Return the parts that begin a second call with the state in which the first one ended."""
    subject = recording.subject
    if subject.model in subject.converted:  # a layer of torch alone keeps no state
        return {}

    def twice(*args: Any, **kwargs: Any) -> Any:
        random = torch.get_rng_state()
        subject.model(*args, **kwargs)
        torch.set_rng_state(random)
        return subject.model(*args, **kwargs)

    both = Subject(twice, subject.inputs, subject.loss, subject.module)
    recorder = Recorder(both.names)
    with torch.inference_mode(False), torch.no_grad():
        both.output(recorder)
    found: dict[str, float] = {}
    for track in recorder.tracks:
        if track.part.kind == "state" and _differ(*(halves := track.values("h").chunk(2))):
            found[track.part.name] = float((halves[1][0] - halves[0][0]).abs().max())
    half = len(recorder.calls) // 2
    ended = {track.key: track for track, _ in recorder.calls[:half]}
    begun: set[Any] = set()
    for track, first in recorder.calls[half:]:
        if track.key in ended and track.key not in begun:
            begun.add(track.key)
            before = ended[track.key]
            last = track.values("h")[first - 1] if before is track else before.last()[0]
            state = track.before_call(first)[0]
            if bool(state.any()) and not _differ(state, last):
                found[before.part.name] = float(state.abs().max())
    return found


def _differ(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and not torch.allclose(a, b)
