"""Use of gates and cells: saturation, and units that are dead, double or constant."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.track import Track
from carrousel.inspection.results.units import DRIFT as DRIFT
from carrousel.inspection.results.units import SATURATED as SATURATED
from carrousel.inspection.results.units import Gate as Gate
from carrousel.inspection.results.units import Units as Units
from carrousel.inspection.results.units import units_of as units_of
from carrousel.shapes import Floats

SAMPLE = 2000
"""Steps of sequences, evenly spaced over all, from which the values of a part are described."""


def units(recording: Recording) -> list[Units]:
    """Describe the units of every part.

    Source: Hochreiter & Schmidhuber 1997, section 4, abuse problem and state drift.
    """
    return [_units(track) for track in recording.tracks]


def _units(track: Track) -> Units:
    name: Literal["s", "h"] = "s" if track.n_states else "h"
    values = track.values(name)
    step, row = track.mask().nonzero(as_tuple=True)
    if len(step) > SAMPLE:
        some = torch.linspace(0, len(step) - 1, SAMPLE, device=step.device).long()
        step, row = step[some], row[some]
    gates = {
        gate: _array(found[step, row])
        for gate, found in track.local.gates.items()
        if gate not in ("cell", "new", "net")
    }
    flat = _array(values[step, row])
    if not len(flat):
        flat = np.zeros((1, values.shape[-1]))
    mask = track.mask()
    largest = values.abs().amax(-1)[mask].max() if len(step) else 0.0
    state = "c" if name == "s" else "h"
    times = step.cpu().numpy()
    return units_of(
        track.part.name, gates, state, flat, times, largest=float(largest), n_steps=len(track)
    )


def _array(values: Tensor) -> Floats:
    return values.double().cpu().numpy()
