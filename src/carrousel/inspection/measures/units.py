"""Use of gates and cells: saturation, and units that are dead, double or constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.track import Track
from carrousel.shapes import Floats, Ints

SAMPLE = 2000
"""Steps of sequences, evenly spaced over all, from which the values of a part are described."""
DRIFT = 3.0
"""A state drifts if its mean size changes by more than this multiple of its spread, from the first
step to the last. A state that grows on a line from zero has about 3.5.
"""
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
        steps: number of steps that were recorded.

    All but ``largest`` come from a sample of at most 2000 steps of sequences.
    """

    part: str
    gates: dict[str, Gate]
    state: str
    spread: Annotated[Floats, "units"]
    mean: Annotated[Floats, "units"]
    drift: Annotated[Floats, "units"]
    twins: list[tuple[int, int]]
    largest: float
    steps: int = 0

    def constant(self) -> Annotated[Ints, "constant"]:
        """Return the units that store a constant: they serve as a bias (section 4)."""
        small = self.spread <= 1e-3 * np.maximum(np.abs(self.mean), 1e-3)
        return np.flatnonzero(small)

    def abused(self) -> dict[int, str]:
        """Return the units that are used as something else than memory, with the reason.

        ``"bias"``: the state is a constant other than zero. ``"double"``: it repeats the state of
        an earlier unit. ``"drift"``: its size grows by most of its spread over the sequence.

        Source: Hochreiter & Schmidhuber 1997, section 4, abuse problem and state drift.
        """
        found = {
            int(unit): "bias" for unit in self.constant() if abs(float(self.mean[unit])) > 1e-3
        }
        for _, second in self.twins:
            found.setdefault(second, "double")
        for unit in np.flatnonzero(self.drift * self.steps > DRIFT):
            found.setdefault(int(unit), "drift")
        return found


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
        gate: _gate(_array(found[step, row]))
        for gate, found in track.local.gates.items()
        if gate not in ("cell", "new", "net")
    }
    flat = _array(values[step, row])
    if not len(flat):
        flat = np.zeros((1, values.shape[-1]))
    spread = flat.std(axis=0)
    mask = track.mask()
    largest = values.abs().amax(-1)[mask].max() if len(step) else 0.0
    return Units(
        track.part.name,
        gates,
        "c" if name == "s" else "h",
        spread,
        flat.mean(axis=0),
        _drift(flat, step.cpu().numpy(), spread),
        _twins(flat, spread),
        float(largest),
        len(track),
    )


def _array(values: Tensor) -> Floats:
    return values.double().cpu().numpy()


def _drift(
    flat: Annotated[Floats, "N units"],
    steps: Annotated[Ints, "N"],
    spread: Annotated[Floats, "units"],
) -> Annotated[Floats, "units"]:
    """Return the slope of absolute states over the steps, relative to their spread."""
    if len(steps) < 2:
        return np.zeros_like(spread)
    centred = steps - steps.mean()
    slope = centred @ np.abs(flat) / max(1e-12, float(centred @ centred))
    return slope / np.maximum(spread, 1e-12)


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
