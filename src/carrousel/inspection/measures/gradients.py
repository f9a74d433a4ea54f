"""Gradients of the weights: norms by block, and what clipping and truncation would leave."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.linalg import vector_norm

from carrousel.contracts import Recurrence
from carrousel.inspection.record.recording import Recording
from carrousel.nn.cells import StepCell
from carrousel.nn.recurrent import Recurrent


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


def gradients(recording: Recording, clip: float | None = None) -> Gradients:
    """Return the norms of the gradients of the recorded loss; ``grad`` is left alone."""
    found = recording.weights
    norms = {name: _norm(gradient) for name, gradient in found.items()}
    return Gradients(norms, math.hypot(*norms.values()), clip, _blocks(recording, found))


def _norm(gradient: Tensor | None) -> float:
    return 0.0 if gradient is None else float(vector_norm(gradient, dtype=torch.float64))


def _blocks(recording: Recording, found: dict[str, Tensor | None]) -> dict[str, dict[str, float]]:
    """Return the norms by gate of weights whose rows are the net inputs of a recurrent part."""
    blocks = {}
    for module, place in recording.subject.names.items():
        if not isinstance(module, Recurrent | StepCell):
            continue
        recurrence: Recurrence = module.recurrence
        for own, _ in module.named_parameters(recurse=False):
            name = f"{place}.{own}" if place else own
            gradient = found.get(name)
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            if gradient is None or not own.startswith(kinds):
                continue
            if gradient.shape[0] != recurrence.n_net_inputs:
                continue  # cells from equations may lack rows
            parts = gradient.split(list(recurrence.widths))
            names = recurrence.kind.net_inputs
            blocks[name] = {gate: _norm(part) for gate, part in zip(names, parts, strict=True)}
    return blocks
