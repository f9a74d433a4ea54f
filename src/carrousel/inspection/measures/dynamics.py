"""Dynamics of the state: spectral radius, Lyapunov exponent, influence of the initial state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.inspection.measures.reach import by_lag, geometric, lags_of
from carrousel.inspection.record.recording import Recording


@dataclass(frozen=True)
class Dynamics:
    """Numbers on how disturbances of the state of one part grow.

    Args:
        part: name of the part.
        spectral_radius: largest absolute eigenvalue of the recurrent weights of the cell's net
            input; None without such weights.
        lyapunov: largest Lyapunov exponent along the recorded sequences, per step, in natural
            logarithms. None: fewer than 4 steps, or the loss does not read the part.
        initial: share of the error that arrives at the initial state, relative to the read step.
    """

    part: str
    spectral_radius: float | None
    lyapunov: float | None
    initial: float


def dynamics(recording: Recording, flows: list[tuple[Tensor, Tensor]]) -> list[Dynamics]:
    """Measure the dynamics of each part.

    Transposed Jacobians make almost any error grow at the rate of the largest Lyapunov exponent.

    Args:
        recording: the recorded call.
        flows: errors of the read step, from :meth:`Recording.flow`.
    """
    found = []
    for track, (h, s) in zip(recording.tracks, flows, strict=True):
        norms = by_lag(torch.cat([h, s], -1).double().norm(dim=-1), lags_of(recording, track))
        is_read = any(source.track is track for source in recording.sources)
        curve = geometric(norms)
        exponent = None
        if is_read and len(curve) >= 4:
            positive = curve[curve > 0]
            rest = positive[1:] if len(positive) > 2 else positive
            exponent = (
                -math.inf
                if len(positive) < len(curve)
                else math.log(rest[-1] / rest[0]) / (len(rest) - 1)
            )
        found.append(
            Dynamics(
                track.part.name,
                _radius(track.part),
                exponent,
                float(curve[-1]) if len(curve) else 0.0,
            )
        )
    return found


def _radius(part: object) -> float | None:
    inputs, recurrence = getattr(part, "inputs", None), getattr(part, "recurrence", None)
    if inputs is None or recurrence is None or recurrence.projection:
        return None
    names = [n for n in ("cell", "new", "net") if n in recurrence.kind.net_inputs]
    if not names:
        return None
    at = recurrence.kind.net_inputs.index(names[0])
    first = sum(recurrence.widths[:at])
    C = recurrence.units
    block = inputs.w_hh.detach()[first : first + C, :C].double()
    return (
        float(torch.linalg.eigvals(block).abs().max()) if block.shape[0] == block.shape[1] else None
    )
