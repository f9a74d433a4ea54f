"""Norms of the gradient by block of weights, and what clipping would leave."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Gradients:
    """Gradient of the loss with respect to the weights.

    Args:
        norms: by name of the parameter.
        total: norm of all together.
        clip: largest norm that training allows; None: no clipping.
        blocks: norms of the rows of each gate in the weights of recurrent parts, by name of the
            parameter and of the gate, such as ``{"lstm.weight_hh_l0": {"forget": 0.1, ...}}``.
    """

    norms: dict[str, float]
    total: float
    clip: float | None
    blocks: dict[str, dict[str, float]] = field(default_factory=dict)

    def kept(self) -> float:
        """Return the share of the gradient that clipping leaves, 1 without clipping."""
        if self.clip is None or self.total <= self.clip:
            return 1.0
        return self.clip / self.total
