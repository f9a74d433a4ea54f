"""Gradients of the weights: norms by block, and what clipping would leave."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.linalg import vector_norm

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
    """Return the norms of the gradients of the recorded loss; ``grad`` is left alone."""
    norms = {
        name: 0.0 if gradient is None else float(vector_norm(gradient, dtype=torch.float64))
        for name, gradient in recording.weights.items()
    }
    return Gradients(norms, sum(norm**2 for norm in norms.values()) ** 0.5, clip)
