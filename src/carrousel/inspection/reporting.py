"""The report on a recorded call."""

from __future__ import annotations

import numpy as np

from carrousel.inspection.evidence import Evidence
from carrousel.inspection.measures.reach import lags_of
from carrousel.inspection.report import Report
from carrousel.inspection.trace import Trace
from carrousel.inspection.verdicts.rules import faults
from carrousel.shapes import Floats


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
                track.part.reverse,
            )
        )
    return tuple(found)


def _first(values: object) -> Floats:
    return values[:, 0].double().cpu().numpy()  # type: ignore[index]
