"""How a call uses its recurrent parts: where the loss reads, padding, how states continue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from carrousel.inspection.record.recorder import Recorder
from carrousel.inspection.record.recording import Recording, last_steps
from carrousel.inspection.record.track import Track
from carrousel.shapes import Floats, Ints


@dataclass(frozen=True, eq=False)
class PartUse:
    """How the call uses one part; steps are in the order of processing.

    Args:
        part: name of the part.
        kind: ``"layer"``, ``"cell"`` or ``"state"``.
        by_output: ``[T, B]``, norm of the error that enters through the output of each step.
        by_end: ``[B]``, norm of the error that enters through the last state of a layer.
        last: ``[B]``, index of the last step of each sequence that is not masked.
        active: ``[T, B]`` bool, False where a step is masked, as in a packed sequence.
        padding: ``[B]``, number of steps at the end of each sequence that look like padding
            although they are not masked; see :func:`trailing`.
        joints: ``(step, "start" | "flows" | "detached")`` of each call of the part.
        starts_from_zero: whether the first state is zero.
        learns: whether the recurrent weights are trainable.
        largest_error: largest norm of the whole loss's error at any state of the part.
    """

    part: str
    kind: str
    by_output: Annotated[Floats, "T B"]
    by_end: Annotated[Floats, "B"]
    last: Annotated[Ints, "B"]
    active: Annotated[np.ndarray, "T B"]
    padding: Annotated[Ints, "B"]
    joints: tuple[tuple[int, str], ...]
    starts_from_zero: bool
    learns: bool
    largest_error: float

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

    def windows(self) -> list[int]:
        """Return the numbers of steps between detached states."""
        cuts = [step for step, joint in self.joints if joint == "detached"]
        return np.diff([0, *cuts, self.n_steps]).tolist()


@dataclass(frozen=True, eq=False)
class Usage:
    """How a call uses its parts.

    Args:
        parts: one for each track, in the order of the call.
        carried: parts whose first state in a second call is the last state of the first call.
    """

    parts: list[PartUse]
    carried: list[str]

    def runs(self) -> dict[str, list[PartUse]]:
        """Return the tracks of each part: more than one if a call began from a new state."""
        found: dict[str, list[PartUse]] = {}
        for use in self.parts:
            found.setdefault(use.part, []).append(use)
        return found


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
        ends = [] if read.end is None else [one for one in read.end if one is not None]
        by_end = sum((one.norm(dim=-1) for one in ends), torch.zeros_like(by_output[0]))
        alike = len(track) == len(recording.tracks[0]) and track.n_sequences == len(padding)
        mask = track.mask()
        found.append(
            PartUse(
                track.part.name,
                track.part.kind,
                _plain(by_output),
                _plain(by_end),
                last_steps(track).cpu().numpy(),
                mask.cpu().numpy(),
                padding if alike and not track.part.reverse else np.zeros(len(mask[0]), int),
                tuple(track.joints),
                not bool(track.h0.any()) and not bool(track.s0.any()),
                track.part.inputs is not None and track.part.inputs.w_hh.requires_grad,
                max(float(h.norm(dim=-1).max()), float(_norm(s).max())),
            )
        )
    return Usage(found, _carried(recording))


def _plain(values: torch.Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()


def _norm(values: torch.Tensor) -> torch.Tensor:
    return values.norm(dim=-1) if values.shape[-1] else values.new_zeros(1)


def _padding_of(track: Track) -> Annotated[Ints, "B"]:
    """Return the padding at the end of the sequences of the first part."""
    none = np.zeros(track.n_sequences, int)
    if not track.x or track.part.reverse or not bool(track.mask().all()):
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
    repeated = np.isclose(x, x[-1], rtol=1e-6, atol=1e-9).all(-1)
    run = np.where(repeated.all(0), T, repeated[::-1].argmin(axis=0))
    longest = int(run.argmax())
    is_row = np.isclose(x, x[-1, longest], rtol=1e-6, atol=1e-9).all(-1)
    padding = np.where(is_row[-1], run, 0)
    elsewhere = is_row.sum(0) - padding
    ragged = padding.min() < padding.max() and padding.max() >= 2 and padding.max() < T
    return padding if ragged and not elsewhere.any() else none


def _carried(recording: Recording) -> list[str]:
    """Return the parts that begin a second call with the state in which the first one ended."""
    subject, calls = recording.subject, list[dict[str, list[Track]]]()
    with subject.kept(), torch.inference_mode(False), torch.no_grad():
        random = torch.get_rng_state()
        for _ in range(2):
            torch.set_rng_state(random)
            recorder = Recorder(subject.names)
            subject.output(recorder)
            tracks: dict[str, list[Track]] = {}
            for track in recorder.tracks:
                tracks.setdefault(track.part.name, []).append(track)
            calls.append(tracks)
    first, second = calls
    return [name for name in first if name in second and _continues(first[name], second[name])]


def _continues(first: list[Track], second: list[Track]) -> bool:
    """Whether a part of the second call continues from the end of the first."""
    ended, begun = first[-1], second[0]
    if begun.part.kind == "state":  # its state before the first step is not known
        return not _same(begun.h[0], first[0].h[0])
    return bool(begun.h0.any()) and _same(begun.h0, ended.h[-1])


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b)
