"""Errors of all states of a layer from one call of a fused kernel."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import linear

from carrousel.contracts import CELLS, Recurrence
from carrousel.contracts.recurrence import ACTIVE, RESET
from carrousel.inspection.record.taps import tap
from carrousel.inspection.record.track import Track
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, layer

Errors = tuple[Tensor | None, ...] | None


def fits_fused(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions, T: int) -> bool:
    """Return whether :class:`FusedCall` applies: no masks, no resets, the exact gradient."""
    flags, masks = inputs.flags, (inputs.drop, inputs.keep_h, inputs.keep_s)
    resets = flags is not None and flags.dtype != torch.bool and bool((flags & RESET).any())
    return (
        not resets
        and T > 1
        and recurrence.cell in CELLS
        and not recurrence.layer_norm
        and not inputs.is_projected
        and all(mask is None for mask in masks)
        and options.gradient == "bptt"
        and options.zone_h == options.zone_s == 0.0
    )


class FusedCall:
    """One call of a layer: all steps at once, with a tap at the net inputs.

    The backward pass gives the errors ``d`` of the net inputs ``a(t) = W x(t) + R h(t - 1) + b`` of
    all steps. Those of the states follow from them::

        dL/dh(t - 1) = R' d(t) + errors that enter from outside
        dL/dc(t - 1) = dL/dh(t) dh(t)/dc(t - 1) + dL/dc(t) dc(t)/dc(t - 1)

    In a GRU the error of ``h`` has the additional path ``z``, and the row of the new value in ``R``
    gets ``r d``.

    Args:
        track: the track that the call belongs to; its states are appended to it.
        first: number of steps before the call.
    """

    def __init__(self, track: Track, first: int) -> None:
        self.track, self.first, self.steps = track, first, 0
        self.net: Annotated[Tensor, "T B U"] | None = None

    def run(
        self, anchor: Tensor, inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return outputs in the order of processing, and the last states."""
        track, order = self.track, -1 if options.reverse else 1
        (x,) = tap(self._keep, anchor, linear(inputs.x, inputs.w_ih))
        found = layer(
            inputs._replace(x=x, w_ih=inputs.w_ih.new_empty(0)),
            recurrence,
            options._replace(record=True, recompute=0),
        )
        out = found.out.flip(0) if order < 0 else found.out
        states = found.states.detach()[::order] if order > 0 else found.states.detach().flip(0)  # type: ignore[union-attr]
        active = None
        if inputs.flags is not None:
            flags = inputs.flags.flip(0) if order < 0 else inputs.flags
            active = flags if flags.dtype == torch.bool else (flags & ACTIVE).bool()
        h = out.detach()
        self.steps, self.reverse = len(out), order < 0
        track.h += h.unbind()
        track.s += states.unbind()
        track.x += (inputs.x.detach().flip(0) if order < 0 else inputs.x.detach()).unbind()
        track.active += [None] * len(out) if active is None else active.unbind()
        track.error_h += [None] * len(out)
        track.error_s += [None] * len(out)
        return out, found.h, found.s

    def _keep(self, errors: tuple[Tensor | None, ...]) -> bool:
        if errors[0] is not None:
            self.net = errors[0].flip(0) if self.reverse else errors[0]
        return True

    def complete(self, out: Errors, end: Errors) -> None:
        """Fill in the errors of the states.

        Args:
            out: errors that arrived at the outputs, ``[T, B, H]``.
            end: errors that arrived at the last ``h`` and ``s``.
        """
        track, mine = self.track, slice(self.first, self.first + self.steps)
        if self.net is None and out is None and end is None:
            return
        h = torch.zeros_like(torch.stack(track.h[mine]))
        if out is not None and out[0] is not None:
            h = h + out[0]
        last, rows = self._last_steps(), torch.arange(track.n_sequences)
        end_h, end_s = (None, None) if end is None else (end[0], end[1])
        if end_h is not None:
            h[last, rows] += end_h
        self._add_recurrent(h)
        track.error_h[mine] = list(h.unbind())
        if not track.s[0].shape[-1]:
            return
        keeps, direct = track.local.keeps, track.local.by_state(self._padded(h))
        assert keeps is not None
        s = torch.zeros_like(torch.stack(track.s[mine]))
        if end_s is not None:
            s[last, rows] += end_s
        for t in range(self.steps - 1, 0, -1):
            s[t - 1] += direct[self.first + t] + s[t] * keeps[self.first + t]
        track.error_s[mine] = list(s.unbind())

    def _padded(self, h: Tensor) -> Tensor:
        """Return errors of ``h`` of all steps of the track, zero outside this call."""
        found = torch.zeros_like(self.track.values("h"))
        found[self.first : self.first + self.steps] = h
        return found

    def _last_steps(self) -> Annotated[Tensor, "B"]:
        """Return the last active step of each sequence in this call; 0 if there is none."""
        mask = self.track.mask()[self.first : self.first + self.steps]
        order = torch.arange(1, self.steps + 1, device=mask.device)[:, None]
        return ((mask * order).amax(0) - 1).clamp(min=0)

    def _add_recurrent(self, h: Tensor) -> None:
        """Add to the errors of ``h`` those that later steps of the call send back."""
        inputs, recurrence = self.track.part.inputs, self.track.part.recurrence
        if self.net is None or inputs is None or recurrence is None:
            return
        net, w = self.net, inputs.w_hh.detach()
        if recurrence.cell != "gru":
            h[:-1] += net[1:] @ w
            return
        C = recurrence.units
        gates = self.track.local.gates
        mine = slice(self.first, self.first + self.steps)
        reset, update = gates["reset"][mine], gates["update"][mine]
        net = torch.cat([net[..., : 2 * C], net[..., 2 * C :] * reset], -1)
        back = net @ w
        for t in range(self.steps - 1, 0, -1):
            h[t - 1] += back[t] + h[t] * update[t]
