"""Errors of all states of a layer from one call of a fused kernel."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.nn.functional import linear

from carrousel.contracts import CELLS, Recurrence
from carrousel.inspection.record.local import Call
from carrousel.inspection.record.paths import by_own_state
from carrousel.inspection.record.taps import tap
from carrousel.inspection.record.track import Track
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, layer

Errors = tuple[Tensor | None, ...] | None


def fits_fused(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions, T: int) -> bool:
    """Return whether :class:`FusedCall` applies: no masks, no resets, the exact gradient."""
    masks = (inputs.drop, inputs.keep_h, inputs.keep_s)
    if not (
        T > 1
        and recurrence.cell in CELLS
        and not recurrence.layer_norm
        and not inputs.is_projected
        and all(mask is None for mask in masks)
        and options.gradient == "bptt"
        and options.zone_h == options.zone_s == 0.0
    ):
        return False
    resets = Call(0, inputs, options).resets()
    return resets is None or not bool(resets.any())


class FusedCall:
    """One call of a layer: all steps at once, with a tap at the net inputs.

    The backward pass gives the errors ``d`` of the net inputs ``a(t) = W x(t) + R h(t - 1) + b`` of
    all steps. Those of the states follow from them::

        dL/dh(t - 1) = R' d(t) + errors that enter from outside
        dL/dc(t - 1) = (dL/dh(t) dh(t)/dc(t) + dL/dc(t)) dc(t)/dc(t - 1)

    In a GRU the error of ``h`` has the additional path ``z``, and the row of the new value in ``R``
    gets ``r d``.

    Args:
        track: the track that the call belongs to; its states are appended to it.
        first: number of steps before the call.
    """

    def __init__(self, track: Track, first: int) -> None:
        self.track, self.first, self.steps, self.reverse = track, first, 0, False
        self.net: Annotated[Tensor, "T B U"] | None = None

    def run(
        self, anchor: Tensor, inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return outputs in the order of processing, and the last states."""
        self.reverse = options.reverse
        call = Call(self.first, inputs, options)
        x, active = inputs.x, call.active()
        if active is not None:  # padding may be NaN, and NaN times an error of zero is NaN
            x = torch.where(self._ordered(active)[..., None], x, 0.0)
        (x,) = tap(self._keep, anchor, linear(x, inputs.w_ih))
        found = layer(
            inputs._replace(x=x, w_ih=inputs.w_ih.new_empty(0)),
            recurrence,
            options._replace(record=True, recompute=0),
        )
        assert found.states is not None
        assert found.gates is not None
        out = self._ordered(found.out)
        states = self._ordered(found.states) if recurrence.n_states else out.detach()[..., :0]
        self.steps = len(out)
        gates = self._ordered(found.gates)
        self.track.extend(out, states, self._ordered(inputs.x), active, gates)
        return out, found.h, found.s

    def _ordered(self, values: Tensor) -> Tensor:
        return values.flip(0) if self.reverse else values

    def _keep(self, errors: tuple[Tensor | None, ...]) -> bool:
        if errors[0] is not None:
            self.net = self._ordered(errors[0])
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
        h = torch.zeros_like(track.values("h")[mine])
        if out is not None and out[0] is not None:
            h += out[0]
        last = track.last_steps(self.first, self.steps) - self.first
        rows = torch.arange(track.n_sequences, device=last.device)
        end_h, end_s = (None, None) if end is None else (end[0], end[1])
        if end_h is not None:
            h[last, rows] += end_h
        self._add_recurrent(h)
        track.error_h.append((self.first, h))
        if track.n_states:
            track.error_s.append((self.first, self._of_states(h, last, rows, end_s)))

    def _of_states(self, h: Tensor, last: Tensor, rows: Tensor, end: Tensor | None) -> Tensor:
        """Return the errors of ``c`` for those of ``h``."""
        track, mine = self.track, slice(self.first, self.first + self.steps)
        inputs, recurrence = track.part.inputs, track.part.recurrence
        assert inputs is not None
        assert recurrence is not None
        after = track.values("s")[mine]
        before = torch.cat([track.before_call(self.first)[1][None], after[:-1]])
        gates = {name: gate[mine] for name, gate in track.local.gates.items()}
        unit = None if inputs.unit is None else inputs.unit.detach()
        kept, shown = by_own_state(recurrence, gates, before, after, unit)
        m = h @ inputs.w_hr.detach() if inputs.w_hr is not None else h[..., : after.shape[-1]]
        enters = m * shown * kept
        if not track.is_whole:
            mask = track.mask()[mine, :, None]
            kept, enters = torch.where(mask, kept, 1.0), torch.where(mask, enters, 0.0)
        s = torch.zeros_like(after)
        if end is not None:
            s[last, rows] += end
        for t in range(self.steps - 1, 0, -1):
            s[t - 1] += torch.addcmul(enters[t], s[t], kept[t])
        return s

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
        if not self.track.is_whole:
            mask = self.track.mask()[mine, :, None]
            back, update = torch.where(mask, back, 0.0), torch.where(mask, update, 1.0)
        for t in range(self.steps - 1, 0, -1):
            h[t - 1] += torch.addcmul(back[t], h[t], update[t])
