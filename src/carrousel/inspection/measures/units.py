"""Use of gates and cells: saturation, and units that are dead, double or constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.track import Track
from carrousel.shapes import Floats, Ints

SATURATED = 0.01
"""A gate is saturated where it is closer than this to 0 or to 1."""


@dataclass(frozen=True, eq=False)
class Gate:
    """Values of one gate over all steps and sequences.

    Args:
        mean: ``[units]``.
        spread: ``[units]``, standard deviation.
        closed, open: ``[units]``, shares of the values below 0.01, and above 0.99.
    """

    mean: Annotated[Floats, "units"]
    spread: Annotated[Floats, "units"]
    closed: Annotated[Floats, "units"]
    open: Annotated[Floats, "units"]

    def saturated(self) -> float:
        """Return the share of saturated values."""
        return float((self.closed + self.open).mean())


@dataclass(frozen=True, eq=False)
class Units:
    """How the units of one part are used.

    Args:
        part: name of the part.
        gates: by name, such as ``"forget"``.
        state: ``"c"`` or ``"h"``: the state that the following describe.
        spread: ``[units]``, standard deviation of the state over steps and sequences.
        mean: ``[units]``, mean of the state.
        drift: ``[units]``, mean change of the absolute state per step, relative to its spread.
        twins: pairs of units whose states are correlated by more than 0.999 in absolute value.
        largest: largest absolute state.
    """

    part: str
    gates: dict[str, Gate]
    state: str
    spread: Annotated[Floats, "units"]
    mean: Annotated[Floats, "units"]
    drift: Annotated[Floats, "units"]
    twins: list[tuple[int, int]]
    largest: float

    def constant(self) -> Annotated[Ints, "constant"]:
        """Return the units that store a constant: they serve as a bias (section 4)."""
        small = self.spread <= 1e-3 * np.maximum(np.abs(self.mean), 1e-3)
        return np.flatnonzero(small)


def units(recording: Recording) -> list[Units]:
    """Describe the units of every part.

    Source: Hochreiter & Schmidhuber 1997, section 4, abuse problem and state drift.
    """
    return [_units(track) for track in recording.tracks]


def _units(track: Track) -> Units:
    name = "s" if track.s[0].shape[-1] else "h"
    mask = track.mask().cpu().numpy()
    values = track.values(name).double().cpu().numpy()
    gates = {
        gate: found.double().cpu().numpy()[mask]
        for gate, found in track.local.gates.items()
        if gate not in ("cell", "new", "net")
    }
    steps = np.arange(len(values))[:, None].repeat(values.shape[1], axis=1)[mask]
    return units_of(track.part.name, gates, "c" if name == "s" else "h", values[mask], steps)


def units_of(
    part: str,
    gates: Mapping[str, Annotated[Floats, "N units"]],
    state: str,
    flat: Annotated[Floats, "N units"],
    steps: Annotated[Ints, "N"],
) -> Units:
    """Describe the units of one part from the values at all its steps.

    Args:
        part: name of the part.
        gates: activated gates by name.
        state: ``"c"`` or ``"h"``.
        flat: the states.
        steps: time of each row, from the start of its sequence.
    """
    spread = flat.std(axis=0)
    centred = steps - steps.mean()
    slope = (centred[:, None] * np.abs(flat)).mean(axis=0) / max(1e-12, float((centred**2).mean()))
    drift = slope / np.maximum(spread, 1e-12)
    return Units(
        part,
        {name: _gate(values) for name, values in gates.items()},
        state,
        spread,
        flat.mean(axis=0),
        drift,
        _twins(flat, spread),
        float(np.abs(flat).max()),
    )


def _gate(values: Annotated[Floats, "N units"]) -> Gate:
    return Gate(
        values.mean(axis=0),
        values.std(axis=0),
        (values < SATURATED).mean(axis=0),
        (values > 1.0 - SATURATED).mean(axis=0),
    )


def _twins(flat: np.ndarray, spread: np.ndarray) -> list[tuple[int, int]]:
    used = np.flatnonzero(spread > 1e-9)
    if len(used) < 2:
        return []
    related = np.abs(np.corrcoef(flat[:, used].T)) > 0.999
    return [(int(used[i]), int(used[j])) for i, j in np.argwhere(np.triu(related, 1))]
