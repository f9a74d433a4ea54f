"""Gradients of the weights: norms by block, and what clipping would leave."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.inspection.record.recording import Recording


@dataclass(frozen=True)
class Gradients:
    """Gradient of the loss with respect to the weights.

    Args:
        norms: by name of the parameter.
        total: norm of all together.
        clip: largest norm that training allows; None: no clipping.
    """

    norms: dict[str, float]
    total: float
    clip: float | None

    def kept(self) -> float:
        """Return the share of the gradient that clipping leaves, 1 without clipping."""
        if self.clip is None or self.total <= self.clip:
            return 1.0
        return self.clip / self.total


def gradients(recording: Recording, clip: float | None = None) -> Gradients:
    """Compute the gradients by a call of the model as it is; ``grad`` is left alone."""
    named = [
        (name, one)
        for name, one in recording.subject.module.named_parameters()
        if one.requires_grad
    ]
    found: list[Tensor | None] = [None] * len(named)
    with torch.inference_mode(False), torch.enable_grad():
        loss = recording.subject.value()
        if named and loss.requires_grad:
            found = list(torch.autograd.grad(loss, [one for _, one in named], allow_unused=True))
    norms = {
        name: 0.0 if gradient is None else float(gradient.norm())
        for (name, _), gradient in zip(named, found, strict=True)
    }
    return Gradients(norms, sum(norm**2 for norm in norms.values()) ** 0.5, clip)
