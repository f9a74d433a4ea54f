"""Dynamics of the state: spectral radius, Lyapunov exponent, influence of the initial state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from carrousel.inspection.measures.reach import by_lag, geometric, lags_of, norms
from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.track import Errors, Track
from carrousel.shapes import Floats


@dataclass(frozen=True)
class Dynamics:
    """Numbers on how disturbances of the state of one part grow.

    Args:
        part: name of the part.
        spectral_radius: largest absolute eigenvalue of the recurrent weights of the cell's net
            input; None without such weights.
        lyapunov: largest Lyapunov exponent along the recorded sequences, per step, in natural
            logarithms. None: fewer than 4 steps, or the loss does not read the part.
        initial: error that arrives at the state before the first step, relative to that of the
            read step: a geometric mean over sequences. Of a named state, that after the first step.
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
    for track, (h, s), starts in zip(recording.tracks, flows, recording.starts, strict=True):
        lags = lags_of(recording, track)
        states = by_lag(norms(torch.cat([h, s], -1)), lags)
        is_read = any(source.track is track for source in recording.sources)
        curve = geometric(states)
        exponent = _exponent(curve) if is_read and len(curve) >= 4 else None
        found.append(
            Dynamics(
                track.part.name, _radius(track.part), exponent, _initial(track, states, starts)
            )
        )
    return found


def _exponent(curve: Annotated[Floats, "K"]) -> float:
    """Return the growth of an error per step; the first lag, at which it takes shape, is left out.

    Errors that have underflowed do not count.
    """
    counted = np.flatnonzero(curve < 1e-30)
    curve = curve[: counted[0]] if len(counted) else curve
    if len(curve) < 3:
        return -math.inf
    return math.log(curve[-1] / curve[1]) / (len(curve) - 2)


def _initial(track: Track, states: Annotated[Floats, "K B"], starts: dict[int, Errors]) -> float:
    if not len(states):
        return 0.0
    if track.part.kind == "state":
        return float(geometric(states)[-1])
    errors = [one for one in starts.get(0, ()) if one is not None and one.shape[-1]]
    if not errors:
        return 0.0
    at_start = norms(torch.cat(errors, -1)).cpu().numpy()
    return float(geometric(np.stack([states[0], at_start]))[1])


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
