"""Result of an inspection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.inspection.evidence import Evidence
from carrousel.inspection.measures.dynamics import Dynamics
from carrousel.inspection.measures.gradients import Gradients
from carrousel.inspection.measures.memory import UnitMemory, UsedMemory
from carrousel.inspection.measures.reach import Reach, lags_of
from carrousel.inspection.measures.units import Units
from carrousel.inspection.verdicts.fault import Fault
from carrousel.inspection.verdicts.rules import faults
from carrousel.inspection.verdicts.sentence import sentence
from carrousel.shapes import Floats


@dataclass(frozen=True, eq=False)
class Trace:
    """One sequence in one part, for pictures; steps are in the order of processing.

    Args:
        part: name of the part.
        read: index of the step that the loss reads; -1: none.
        x: inputs, ``[T, I]``; empty for a named state.
        h: hidden states ``[T, H]``.
        s: further states ``[T, S]``; ``S`` may be 0.
        gates: activated gates by name, each ``[T, units]``.
        error_h, error_s: errors of the read step at each state, ``[T, H]`` and ``[T, S]``.
    """

    part: str
    read: int
    x: Annotated[Floats, "T I"]
    h: Annotated[Floats, "T H"]
    s: Annotated[Floats, "T S"]
    gates: dict[str, Annotated[Floats, "T units"]]
    error_h: Annotated[Floats, "T H"]
    error_s: Annotated[Floats, "T S"]


@dataclass(frozen=True, eq=False)
class Report:
    """Where the error flows, how long the net remembers, and what is wrong.

    Args:
        loss: loss of the call.
        lag: time lag that the task asks for, in steps; None: unknown.
        reach: trainable reach, the error by lag; one for each part, in the order of the call.
        used: used memory, the loss with foreign history by lag; None: there is one sequence alone.
        unit_memory: half-life of each unit's state, by twins.
        units: use of gates and cells.
        dynamics: growth of disturbances.
        gradients: norms by parameter, clipping.
        traces: first sequence of the batch in each part.
        faults: verdicts; empty for a sound net.
    """

    loss: float
    lag: int | None
    reach: tuple[Reach, ...]
    used: UsedMemory | None
    unit_memory: tuple[UnitMemory, ...]
    units: tuple[Units, ...]
    dynamics: tuple[Dynamics, ...]
    gradients: Gradients
    traces: tuple[Trace, ...]
    faults: tuple[Fault, ...]

    def read_reach(self) -> Reach:
        """Return the reach of the part that the loss reads, forwards if there are two."""
        return next(one for one in self.reach if one.is_read)

    def sentence(self) -> str:
        """Return the verdict in one sentence.

        >>> import torch
        >>> from carrousel.inspection import inspect
        >>> net, x = torch.nn.LSTM(2, 4, batch_first=True), torch.zeros(3, 1, 2)
        >>> inspect(net, x, lambda output: output[0][:, -1].sum()).sentence()[:37]
        '1 fault, one_step: The part processes'
        """
        return sentence(self.faults, self.read_reach(), self.used, self.lag)


def report_of(evidence: Evidence) -> Report:
    """Return the report on what was measured."""
    recording = evidence.recording
    return Report(
        float(recording.loss.detach()),
        evidence.asked.lag,
        tuple(evidence.reach),
        evidence.used,
        tuple(evidence.unit_memory),
        tuple(evidence.units),
        tuple(evidence.dynamics),
        evidence.gradients,
        _traces(evidence),
        faults(evidence),
    )


def _traces(evidence: Evidence) -> tuple[Trace, ...]:
    found = []
    for track, (h, s) in zip(evidence.recording.tracks, evidence.flows, strict=True):
        read = lags_of(evidence.recording, track)[0, 0]
        found.append(
            Trace(
                track.part.name,
                int(read),
                _first(track.values("x")) if track.x else np.zeros((len(track), 0)),
                _first(track.values("h")),
                _first(track.values("s")),
                {name: _first(gate) for name, gate in track.local.gates.items()},
                _first(h),
                _first(s),
            )
        )
    return tuple(found)


def _first(values: object) -> Floats:
    return values[:, 0].double().cpu().numpy()  # type: ignore[index]
