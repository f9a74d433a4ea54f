"""Saturation of gates and cell inputs, with what drives it: weights, inputs or biases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.track import Track

CANDIDATES = ("cell", "new", "net")
"""Names of the squashed net input that is no gate: of LSTM, GRU and simple recurrent nets."""
FLAT = 0.04
"""A squashing function is flat where its slope is below 4 % of its largest slope.

For a sigmoid these are values closer than 0.01 to 0 or 1, for tanh closer than 0.02 to -1 or 1.
"""


@dataclass(frozen=True)
class Saturation:
    """Shares of values where the derivative is nearly zero, in one part.

    Args:
        part: name of the part.
        gates: least share among the gates of flat values; None: it has no gates.
        closed, open: shares of flat values near 0, and near 1, over all gates.
        candidate: share of flat values of the cell input, or of the hidden state of a simple
            recurrent net; None: its squashing function has other bounds.
        weights: root mean square over units of the norms of all weights to a unit.
        fan_in: number of weights to a unit.
        biases: root mean square of the biases.
        inputs: root mean square of the inputs.
    """

    part: str
    gates: float | None
    closed: float
    open: float
    candidate: float | None
    weights: float
    fan_in: int
    biases: float
    inputs: float


def saturations(recording: Recording) -> list[Saturation]:
    """Measure the saturation of each part that has weights."""
    return [found for track in recording.tracks if (found := _saturation(track)) is not None]


def _saturation(track: Track) -> Saturation | None:
    inputs, values = track.part.inputs, track.local.gates
    if inputs is None or not values:
        return None
    mask = track.mask()
    gates = [value[mask] for name, value in values.items() if name not in CANDIDATES]
    flat = [4.0 * gate * (1.0 - gate) < FLAT for gate in gates]
    w_ih, w_hh = inputs.w_ih.detach().double(), inputs.w_hh.detach().double()
    drive = [w_hh.square().sum(-1)]
    if len(w_ih) == len(w_hh):
        drive.append(w_ih.square().sum(-1))
    sides = [_shares(f, g < 0.5) for f, g in zip(flat, gates, strict=True)]
    return Saturation(
        track.part.name,
        min(float(one.double().mean()) for one in flat) if flat else None,
        sum(low for low, _ in sides) / max(1, len(sides)),
        sum(high for _, high in sides) / max(1, len(sides)),
        _candidate({n: v[mask] for n, v in values.items() if n in CANDIDATES}),
        float(torch.stack(drive).sum(0).mean().sqrt()),
        w_ih.shape[-1] + w_hh.shape[-1],
        0.0 if inputs.bias is None else _rms(inputs.bias.detach()),
        _rms(track.values("x")[mask]),
    )


def _shares(flat: Tensor, low: Tensor) -> tuple[float, float]:
    return float((flat & low).double().mean()), float((flat & ~low).double().mean())


def _candidate(values: dict[str, Tensor]) -> float | None:
    for value in values.values():
        if float(value.abs().max()) <= 1.0 and bool((value < 0).any()):
            return float((1.0 - value.square() < FLAT).double().mean())
    return None


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())
