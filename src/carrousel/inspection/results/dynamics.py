"""Dynamics of the state: spectral radius, Lyapunov exponent, influence of the initial state."""

from __future__ import annotations

from dataclasses import dataclass


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
