"""One measurement: a few scalars and the reach curve, for less work than a whole report."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
import torch

from carrousel.errors import InputError
from carrousel.inspection.measures.memory import memories
from carrousel.inspection.measures.reach import reaches
from carrousel.inspection.measures.units import units
from carrousel.inspection.record.model import Subject
from carrousel.inspection.record.recording import Recording, record
from carrousel.shapes import Floats

Measure = Literal["reach", "gates", "gradient", "memory"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured at one step of a training.

    Args:
        step: number of the step.
        time: seconds since 1970.
        scalars: by name, such as ``"reach/half_life"``.
        curve: ``[K]``, error by lag, relative to lag 0; empty without the measure ``"reach"``.
    """

    step: int
    time: float
    scalars: dict[str, float]
    curve: Annotated[Floats, "K"]


def measure(
    subject: Subject, chosen: Collection[Measure], lag: int | None, lags: Sequence[int] | None
) -> tuple[dict[str, float], Annotated[Floats, "K"], Sequence[int]]:
    """Measure a model, and leave it as it was.

    Args:
        subject: model, data and loss.
        chosen: what to measure.
        lag: time lag that the task asks for; None: unknown.
        lags: lags of the curve that become scalars; None: powers of two.

    Returns:
        The scalars, the reach curve and the lags. A scalar is NaN at a lag that the sequences do
        not have.

    Raises:
        InputError: as :func:`carrousel.inspection.inspect`, and for ``"memory"`` with one sequence.
    """
    with subject.kept(weights=True):
        recording = record(subject)
        try:
            if lags is None:
                lags = powers_of_two(max(int(one.steps.max()) for one in recording.sources))
            found, curve = {"reach/loss": float(recording.loss.detach())}, np.zeros(0)
            if "reach" in chosen:
                values, curve = _reach(recording, lag, lags)
                found |= values
            if "gates" in chosen:
                found |= _gates(recording)
            if "gradient" in chosen:
                found["gradient/norm"] = _gradient_norm(recording)
            if "memory" in chosen:
                found |= _memory(recording, lags)
            return found, curve, lags
        finally:
            recording.release()


def powers_of_two(longest: int) -> list[int]:
    """Return 1, 2, 4, ... up to ``longest``.

    >>> powers_of_two(10)
    [1, 2, 4, 8]
    """
    return [2**n for n in range(longest.bit_length())]


def _reach(
    recording: Recording, lag: int | None, lags: Iterable[int]
) -> tuple[dict[str, float], Annotated[Floats, "K"]]:
    reach = next(one for one in reaches(recording, recording.flow()) if one.is_read)
    curve = reach.curve()

    def at(k: int) -> float:
        return float(curve[k]) if k < len(curve) else math.nan

    found = {"reach/half_life": reach.half_life(), "reach/rate": reach.rate()}
    if lag is not None:
        found["reach/asked"] = at(lag)
    return found | {f"reach/lag_{k}": at(k) for k in lags}, curve


def _gates(recording: Recording) -> dict[str, float]:
    """Return the shares of saturated values: of each gate, and of all together."""
    shares: dict[str, list[np.ndarray]] = {}
    for part in units(recording):
        for name, gate in part.gates.items():
            shares.setdefault(name, []).append(gate.closed + gate.open)
    found = {
        f"gates/{name}_saturated": float(np.concatenate(some).mean())
        for name, some in shares.items()
    }
    if shares:
        every = np.concatenate([one for some in shares.values() for one in some])
        found["gates/saturated"] = float(every.mean())
    return found


def _gradient_norm(recording: Recording) -> float:
    """Return the norm of the gradient of the loss with respect to all weights together."""
    weights = [one for one in recording.subject.module.parameters() if one.requires_grad]
    if not weights or not recording.loss.requires_grad:
        return 0.0
    with torch.inference_mode(False), torch.enable_grad():
        found = torch.autograd.grad(recording.loss, weights, retain_graph=True, allow_unused=True)
    return math.hypot(*(float(one.norm()) for one in found if one is not None))


def _memory(recording: Recording, lags: Iterable[int]) -> dict[str, float]:
    """Return by how much the loss rises if the history beyond each lag is foreign."""
    source = recording.sources[0]
    if source.track.n_sequences < 2:
        raise InputError(
            "used memory exchanges the histories of sequences, and there is one sequence alone",
            argument="inputs",
            fix="give {inputs} of two sequences or more, or leave 'memory' out of {measures}",
        )
    longest = int(source.steps.max())
    found = {f"memory/lag_{k}": math.nan for k in lags}
    known = [k for k in lags if k < longest]
    if known:
        used, _ = memories(recording, known)
        for k, rise in zip(used.lags, used.increase(), strict=True):
            found[f"memory/lag_{int(k)}"] = float(rise)
    return found
