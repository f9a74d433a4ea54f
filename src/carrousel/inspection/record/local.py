"""Single steps of a track: gates, and derivatives by the state before."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, NamedTuple, Protocol

import torch
from torch import Tensor

from carrousel.contracts import CELLS, Recurrence, gradient_cut
from carrousel.contracts.recurrence import ACTIVE, RESET
from carrousel.inspection.record.paths import keeps_of
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, layer


class Call(NamedTuple):
    """A call that has masks, resets or a cut gradient.

    Attributes:
        first: its first step in the track.
        inputs: its tensors.
        options: its settings.
    """

    first: int
    inputs: LayerInputs
    options: LayerOptions

    def ordered(self, name: str) -> Tensor | None:
        """Return a tensor ``[T, B, ...]`` of the inputs in the order of processing."""
        found = getattr(self.inputs, name)
        return found.flip(0) if found is not None and self.options.reverse else found

    def resets(self) -> Tensor | None:
        """Return the steps before which the state is reset, ``[T, B]`` bool; None: none."""
        flags = self.ordered("flags")
        return None if flags is None or flags.dtype == torch.bool else (flags & RESET) != 0

    def active(self) -> Tensor | None:
        """Return the steps that are not padding, ``[T, B]`` bool; None: all."""
        flags = self.ordered("flags")
        if flags is None or flags.dtype == torch.bool:
            return flags
        return (flags & ACTIVE) != 0

    def is_special(self) -> bool:
        """Whether a step differs from the equations of the cell alone."""
        inputs, options = self.inputs, self.options
        masks = (inputs.flags, inputs.drop, inputs.keep_h, inputs.keep_s)
        shares = options.zone_h or options.zone_s
        return any(one is not None for one in masks) or bool(shares) or options.gradient != "bptt"


class Recorded(Protocol):
    """What is read of a :class:`~carrousel.inspection.record.track.Track`."""

    part: Any
    gates: list[Tensor]
    calls: list[Call]

    def __len__(self) -> int: ...

    @property
    def n_sequences(self) -> int: ...

    def before(self) -> tuple[Tensor, Tensor]: ...

    def values(self, name: Any) -> Tensor: ...


class Local:
    """Single steps of a track.

    Attributes:
        gates: activated gates by name, each ``[T, B, C]``; none for a user's loop.
        keeps: ``[T, B, S]``, derivative of a state by its value one step before, along the state
            alone: the forget gate of an LSTM, the update gate ``z`` of a GRU (whose state is
            ``h``), 1 for ``lstm97``; with zoneout, 0 at resets and where the gradient is cut, 1 at
            padding. None for cells without a path of this kind.
    """

    def __init__(self, track: Recorded) -> None:
        self._track = track

    @cached_property
    def gates(self) -> dict[str, Annotated[Tensor, "T B C"]]:
        """Activated gates by name."""
        track, recurrence = self._track, self._track.part.recurrence
        if recurrence is None:
            return {}
        if track.gates and len(track.gates) > 1:
            track.gates[:] = [torch.cat(track.gates)]
        whole = track.gates[0] if track.gates else self._computed[0]
        split = whole.split(list(recurrence.widths), dim=-1)
        return dict(zip(recurrence.kind.net_inputs, split, strict=True))

    @cached_property
    def keeps(self) -> Annotated[Tensor, "T B S"] | None:
        """Derivatives of states by their values one step before."""
        recurrence = self._track.part.recurrence
        if recurrence is None:
            return None
        own = recurrence.cell not in CELLS
        found = self._computed[1] if own else keeps_of(recurrence, self.gates)
        if found is None or not self._track.calls:
            return found
        found = found.clone()
        for call in self._track.calls:
            _correct(found, call, recurrence)
        return found

    @cached_property
    def _computed(self) -> tuple[Tensor, Tensor | None]:
        """All steps as one batch of single steps: gates and keeps of cells from equations."""
        track, part = self._track, self._track.part
        assert part.recurrence is not None
        assert part.inputs is not None
        h, s = track.before()
        drop = None
        for call in track.calls:
            mine = slice(call.first, call.first + len(call.inputs.x))
            if (resets := call.resets()) is not None:
                for whole, fresh in ((h, call.inputs.fresh_h), (s, call.inputs.fresh_s)):
                    zero = whole.new_zeros(()) if fresh is None else fresh.detach()
                    whole[mine] = torch.where(resets[..., None], zero, whole[mine])
            if call.inputs.drop is not None:
                drop = torch.ones_like(h) if drop is None else drop
                drop[mine] = call.inputs.drop
        shape = (len(track), track.n_sequences, -1)
        x = track.values("x").flatten(0, 1)[None]
        with torch.inference_mode(False), torch.enable_grad():
            state = s.flatten(0, 1).requires_grad_()
            inputs = LayerInputs(
                x=x,
                h0=h.flatten(0, 1),
                s0=state,
                drop=None if drop is None else drop.flatten(0, 1),
                **weights_of(part.inputs),
            )
            found = layer(inputs, part.recurrence, LayerOptions(record=True))
            keeps = None
            if part.recurrence.n_states:
                (keeps,) = torch.autograd.grad(found.s.sum(), state, allow_unused=True)
                keeps = torch.zeros_like(s) if keeps is None else keeps.reshape(shape)
        assert found.gates is not None
        return found.gates.detach().reshape(shape), keeps


def _correct(keeps: Tensor, call: Call, recurrence: Recurrence) -> None:
    """Apply zoneout, resets, cuts and padding of a call to the factors of its steps."""
    mine = slice(call.first, call.first + len(call.inputs.x))
    found = keeps[mine]
    name = "s" if recurrence.n_states else "h"
    share = getattr(call.options, f"zone_{name}")
    found = share + (1 - share) * found if share else found
    if (mask := call.ordered(f"keep_{name}")) is not None:
        found = torch.where(mask.bool(), 1.0, found)
    if (resets := call.resets()) is not None:
        found = torch.where(resets[..., None], 0.0, found)
    if (active := call.active()) is not None:
        found = torch.where(active[..., None], found, 1.0)
    cut = gradient_cut(call.options.gradient)
    if cut > 0:
        at = torch.arange(len(found), device=found.device)
        cuts = ((at % cut == 0) & (at > 0))[:, None, None]
        found = torch.where(cuts, 0.0, found)
    keeps[mine] = found


_WEIGHTS = ("w_ih", "w_hh", "bias", "unit", "w_hr", "ln_ih", "ln_hh", "ln_c", "fresh_h", "fresh_s")


def weights_of(inputs: LayerInputs) -> dict[str, Any]:
    """Return the weights among the inputs of a call, without their graph."""
    found = inputs._asdict()
    return {n: None if found[n] is None else found[n].detach() for n in _WEIGHTS}
