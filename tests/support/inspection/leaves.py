"""Errors of recurrent states by automatic differentiation of a plain loop with explicit leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from carrousel.contracts import Recurrence, gradient_cut
from carrousel.kernels.autograd.dispatch import LayerInputs, LayerOptions, LayerResult
from carrousel.kernels.autograd.plain import plain_layer
from carrousel.nn.call.observe import observed_by
from carrousel.nn.cells import StepCell


@dataclass
class Leaves:
    """Observer that adds a leaf of zeros to every state, in single steps of plain operations.

    Attributes:
        h, s: for each module and direction, the leaves of all its steps in order of processing.
        mask: likewise, whether the step is not padding.
    """

    h: dict[Any, list[Tensor]] = field(default_factory=dict)
    s: dict[Any, list[Tensor]] = field(default_factory=dict)
    mask: dict[Any, list[Tensor]] = field(default_factory=dict)

    def run(
        self,
        module: Any,
        which: tuple[int, int],
        inputs: LayerInputs,
        recurrence: Recurrence,
        options: LayerOptions,
    ) -> LayerResult:
        key = (id(module), which)
        T, cut = len(inputs.x), gradient_cut(options.gradient)
        h, s, outs = inputs.h0, inputs.s0, []
        for n, t in enumerate(range(T)[:: -1 if options.reverse else 1]):
            if cut > 0 and n and n % cut == 0:
                h, s = h.detach(), s.detach()
            one = {
                name: None if value is None else value[t : t + 1]
                for name, value in inputs._asdict().items()
                if name in ("x", "flags", "keep_h", "keep_s")
            }
            found = plain_layer(
                inputs._replace(h0=h, s0=s, **one), recurrence, options._replace(reverse=False)
            )
            h, s = (
                state + self._leaf(leaves, key, state)
                for leaves, state in ((self.h, found.h), (self.s, found.s))
            )
            active = torch.ones(len(h), dtype=torch.bool)
            if one["flags"] is not None:
                active = (one["flags"][0] & 1).bool()
            self.mask.setdefault(key, []).append(active)
            outs.append(torch.where(active[:, None], h, 0.0))
        out = torch.stack(outs[:: -1 if options.reverse else 1])
        return LayerResult(h[None] if isinstance(module, StepCell) else out, h, s)

    def _leaf(self, leaves: dict[Any, list[Tensor]], key: Any, like: Tensor) -> Tensor:
        leaf = torch.zeros_like(like).requires_grad_()
        leaves.setdefault(key, []).append(leaf)
        return leaf


def errors_by_leaves(subject: Any) -> dict[Any, tuple[Tensor, Tensor, Tensor]]:
    """Return errors ``h [T, B, H]`` and ``s [T, B, S]`` and the mask ``[T, B]`` of each part."""
    leaves = Leaves()
    with subject.kept():
        loss = subject.value(leaves)
    found = {}
    for key, h in leaves.h.items():
        s = leaves.s[key]
        errors = torch.autograd.grad(
            loss, [*h, *s], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        mask = torch.stack(leaves.mask[key])
        both = (
            torch.stack(some) * mask[..., None] for some in (errors[: len(h)], errors[len(h) :])
        )
        found[key] = (*both, mask)
    return found


__all__ = ["Leaves", "errors_by_leaves", "observed_by"]
