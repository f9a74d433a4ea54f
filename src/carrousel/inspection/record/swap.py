"""A second call in which each sequence continues from the state of another sequence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.contracts.recurrence import ACTIVE
from carrousel.inspection.record.local import Call
from carrousel.inspection.record.recorder import Recorder
from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.track import Track
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, LayerResult, layer
from carrousel.nn.cells import StepCell


@dataclass(eq=False)
class Window:
    """Steps of a track that follow the exchange of states.

    Attributes:
        track: as recorded without an exchange.
        rows: ``[V]``, sequences whose state is exchanged.
        steps: ``[k + 1, V]``, indices of the steps after the exchange.
        h: ``[k + 1, V, H]``, their hidden states after the exchange; None: the part did not run.
        s: ``[k + 1, V, S]``, likewise.
    """

    track: Track
    rows: Annotated[Tensor, "V"]
    steps: Annotated[Tensor, "k V"]
    h: Tensor | None = None
    s: Tensor | None = None
    x: Tensor | None = None
    """Inputs ``[T, B, I]`` of the whole track after the exchange; None: the part did not run."""

    @cached_property
    def begins(self) -> frozenset[int]:
        """Steps that follow the exchange of a sequence."""
        return frozenset(self.steps[0].tolist())

    @cached_property
    def end(self) -> int:
        """Last step of all windows."""
        return int(self.steps[-1].max())

    def recorded(self) -> tuple[Tensor, Tensor]:
        """Return the states of the same steps without the exchange."""
        return (
            self.track.values("h")[self.steps, self.rows],
            self.track.values("s")[self.steps, self.rows],
        )


def swapped(recording: Recording, lag: int) -> tuple[float, list[Window]]:
    """Run the model again; the history beyond a lag is that of another sequence.

    Each sequence keeps its inputs from ``lag`` steps before the step that the loss reads. Its state
    before them is replaced by that of the next sequence of the batch, at the same lag. Outputs of
    a layer at other steps than the read one stay as they were, so that only the loss of the read
    step changes. In a loop of cells or named states all later steps change.

    Args:
        recording: of the undisturbed call.
        lag: ``k``, number of steps.

    Returns:
        The loss, and a window for each track. Sequences that are not longer than the lag are
        left as they are.
    """
    swap = _Swap(recording, lag)
    with torch.inference_mode(False), torch.no_grad():
        loss = float(recording.subject.value(swap))
    return loss, list(swap.windows.values())


def read_steps(recording: Recording, track: Track) -> Annotated[Tensor, "B"]:
    """Return the index in a track of the step that the loss reads; -1: none.

    For a part that the loss does not read itself it is the step of the same time, or the last step
    if the track has another number of steps.
    """
    for source in recording.sources:
        if source.track is track:
            return source.steps
    main = recording.sources[0]
    if len(main.track) != len(track) or main.track.n_sequences != track.n_sequences:
        return track.last_steps()
    flip = main.track.part.reverse != track.part.reverse
    return torch.where(main.steps >= 0, len(track) - 1 - main.steps, -1) if flip else main.steps


class _Swap(Recorder):
    """Observer that replays a recording up to the exchange. Recorder: named states find it."""

    def __init__(self, recording: Recording, lag: int) -> None:
        super().__init__(recording.recorder.names)
        self.expected = iter(recording.recorder.calls)
        self.mains = {id(source.track) for source in recording.sources}
        self.windows: dict[int, Window] = {}
        self.steps: dict[str, int] = {}
        self.by_name = {t.part.name: t for t in recording.tracks if t.part.kind == "state"}
        for track in recording.tracks:
            steps = read_steps(recording, track)
            before, rows = steps - lag - 1, torch.arange(track.n_sequences, device=steps.device)
            rows = rows[(before >= 0) & track.mask()[before.clamp(min=0), rows]]
            window = before[rows] + torch.arange(1, lag + 2, device=steps.device)[:, None]
            self.windows[id(track)] = Window(track, rows, window)

    def run(
        self,
        module: Any,
        which: tuple[int, int],
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> LayerResult:
        """Run one call of a layer or cell."""
        track, first = next(self.expected)
        window = self.windows[id(track)]
        if isinstance(module, StepCell):
            if len(window.rows) and first < min(window.begins):  # all is as it was recorded
                h, s = track.values("h")[first], track.values("s")[first]
            else:
                found = layer(inputs, recurrence, options)
                h, s = found.h, found.s
            h, s = self._exchanged(window, first, h, s)
            return LayerResult(h[None], h, s)
        return self._layer(window, first, inputs, recurrence, options)

    def named(self, name: str, h: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """Return the states of a step of a user's loop, exchanged where that is due."""
        t = self.steps[name] = self.steps.get(name, -1) + 1
        return self._exchanged(self.windows[id(self.by_name[name])], t, h, s)

    def _exchanged(self, window: Window, t: int, h: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """Exchange the states of the sequences whose window begins after step ``t``; keep both."""
        if not len(window.rows):
            return h, s
        if t + 1 in window.begins:
            now = window.steps[0] == t + 1
            h, s = h.clone(), s.clone()
            to, source = window.rows[now], _next(window)
            h[to], s[to] = (one[now] for one in source)
        _store(window, t, h, s)
        return h, s

    def _layer(
        self,
        window: Window,
        first: int,
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> LayerResult:
        """Run the steps of a layer after the exchange, all sequences in step."""
        track, T = window.track, inputs.x.shape[0]
        mine = slice(first, first + T)
        h, s = track.values("h"), track.values("s")
        mask = track.mask()[mine, :, None]
        if len(window.rows):
            self._run_window(window, first, inputs, recurrence, options)
            assert window.h is not None
            assert window.s is not None
            h, s = h.clone(), s.clone()
            h[window.steps, window.rows], s[window.steps, window.rows] = window.h, window.s
        out = h[mine] if track.is_whole else torch.where(mask, h[mine], 0.0)
        if id(track) in self.mains:  # other steps keep their outputs
            out = torch.where(mask, track.values("h")[mine], 0.0)
            read = window.steps[-1] - first if len(window.rows) else window.rows
            inside = (read >= 0) & (read < T)
            at, rows = read[inside], window.rows[inside]
            out[at, rows] = h[mine][at, rows]
        end = track.last_steps(first, T)
        rows = torch.arange(track.n_sequences, device=end.device)
        out = out.flip(0) if options.reverse else out
        empty = ~mask.any(0)  # no real step: the state is that before the call
        last_h, last_s = (
            torch.where(empty, start, whole[end, rows])
            for start, whole in ((inputs.h0, h), (inputs.s0, s))
        )
        return LayerResult(out, last_h, last_s)

    def _run_window(
        self,
        window: Window,
        first: int,
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> None:
        """Compute the states after the exchange, with the inputs of this call."""
        track, rows = window.track, window.rows
        T, call = inputs.x.shape[0], Call(first, inputs, options)
        if window.x is None:
            window.x = track.values("x").clone()
        window.x[first : first + T] = inputs.x.flip(0) if options.reverse else inputs.x
        h, s = _next(window)

        def of_window(name: str, fill: int) -> Tensor | None:
            given = call.ordered(name)
            if given is None:
                return None
            whole = given.new_full((len(track), *given.shape[1:]), fill)
            whole[first : first + T] = given
            return whole[window.steps, rows].contiguous()

        found = layer(
            inputs._replace(
                x=window.x[window.steps, rows].contiguous(),
                h0=h,
                s0=s,
                flags=of_window("flags", True if _is_bool(inputs.flags) else ACTIVE),
                drop=None if inputs.drop is None else inputs.drop[rows],
                keep_h=of_window("keep_h", 0),
                keep_s=of_window("keep_s", 0),
            ),
            recurrence,
            options._replace(reverse=False, record=recurrence.n_states > 0, gradient="bptt"),
        )
        window.h = found.out
        window.s = found.out[..., :0] if found.states is None else found.states


def _is_bool(flags: Tensor | None) -> bool:
    return flags is not None and flags.dtype == torch.bool


def _next(window: Window) -> tuple[Tensor, Tensor]:
    """Return the states that the rows of a window get: those of the next row, at its own step."""
    track, rows = window.track, window.rows.roll(-1)
    before = window.steps[0].roll(-1) - 1
    return track.values("h")[before, rows], track.values("s")[before, rows]


def _store(window: Window, t: int, h: Tensor, s: Tensor) -> None:
    """Keep the states of step ``t`` that lie in the window."""
    if not min(window.begins) <= t <= window.end:
        return
    if window.h is None or window.s is None:
        window.h, window.s = (one.clone() for one in window.recorded())
    n, row = (window.steps == t).nonzero(as_tuple=True)
    window.h[n, row], window.s[n, row] = h[window.rows[row]], s[window.rows[row]]
