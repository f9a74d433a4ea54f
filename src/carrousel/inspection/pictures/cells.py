"""The picture of the units of each part, sorted by how long they remember."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from carrousel.inspection.pictures import colours
from carrousel.inspection.pictures.errors import MOST_PARTS
from carrousel.inspection.pictures.figure import (
    Axis,
    Key,
    Line,
    Panel,
    Picture,
    Rule,
    Tick,
    linear,
    logarithmic,
)
from carrousel.inspection.pictures.findings import Findings, short
from carrousel.inspection.results.memory import UnitMemory


def cells(report: Findings) -> Picture | None:
    """Draw half-lives and mean gates of the units; None: no memory was measured."""
    memories = [one for one in report.unit_memory if one.difference.size]
    memories = [one for one in memories if not np.isnan(one.half_lives()).all()][:MOST_PARTS]
    if not memories:
        return None
    longest = max(float(len(one.difference)) for one in memories)
    panels = list[Panel]()
    for memory in memories:
        order = np.argsort(-np.nan_to_num(memory.half_lives(), nan=-1.0), kind="stable")
        panels.append(_half_lives(report, memory, order, max(longest, 2.0)))
        gates = _gates(report, memory, order)
        if gates is not None:
            panels[-1] = replace(panels[-1], has_x=False)
            panels.append(gates)
    has_gates = any(panel.image is not None for panel in panels)
    return Picture(
        "cells",
        "Units by how long they remember",
        "Each dot is a unit: the number of equal inputs after which half of the difference between "
        "two pasts is gone. A net that stores something over the asked lag has units above the "
        "dashed line."
        + (
            " Below, in the same order, the mean of each gate: dark is closed, light is open."
            if has_gates
            else ""
        ),
        tuple(panels),
        _keys(memories),
        scale=(colours.heat(np.linspace(0.0, 1.0, 64)), "gate closed (0)", "gate open (1)")
        if has_gates
        else None,
        beside=False,
    )


def _keys(memories: Sequence[UnitMemory]) -> tuple[Key, ...]:
    """Return the keys of the dots that are drawn."""
    lives = np.concatenate([one.half_lives() for one in memories])
    known = Key("half-life of the state", "good", "dots")
    endless = Key("half-life longer than measured", "paper", "dots")
    return (known,) * bool(np.isfinite(lives).any()) + (endless,) * bool(np.isinf(lives).any())


def _half_lives(report: Findings, memory: UnitMemory, order: np.ndarray, longest: float) -> Panel:
    lives = memory.half_lives()[order]
    ranks = np.arange(len(lives), dtype=np.float64)
    endless = np.isinf(lives)
    y = logarithmic("steps", 0.8, 1.25 * longest)
    y = Axis(y.label, y.low, y.high, tuple(Tick(one, f"{one:,}") for one in _round(longest)), True)
    rules = ()
    if report.lag is not None and report.lag <= y.high and report.lag >= 1:
        rules = (Rule(report.lag, f"lag asked: {report.lag}", "y"),)
    return Panel(
        f"{short(memory.part)}: half-life of {memory.state} by unit",
        _ranks(len(lives)),
        y,
        (
            Line("half-life", ranks, np.where(endless, np.nan, lives), "good", "dots"),
            Line(
                "longer than measured", ranks, np.where(endless, longest, np.nan), "paper", "dots"
            ),
        ),
        rules,
        height=13.0,
    )


def _gates(report: Findings, memory: UnitMemory, order: np.ndarray) -> Panel | None:
    units = next((one for one in report.units if one.part == memory.part), None)
    gates = {
        name: gate.mean[order]
        for name, gate in (units.gates if units else {}).items()
        if len(gate.mean) == len(order)
    }
    if not gates:
        return None
    n = len(gates)
    ticks = tuple(Tick((n - k - 0.5) / n, name) for k, name in enumerate(gates))
    return Panel(
        f"{short(memory.part)}: mean of the gates",
        _ranks(len(order)),
        Axis("gate", 0.0, 1.0, ticks),
        image=colours.heat(np.array(list(gates.values()))),
        height=1.9 * n,
    )


def _ranks(n: int) -> Axis:
    axis = linear("unit, by half-life", -0.5, n - 0.5, whole=True)
    return Axis(axis.label, axis.low, axis.high, ())


def _round(longest: float) -> list[int]:
    """Return 1, 3, 10, 30, ... up to a number."""
    top = math.log10(longest)
    return [k * 10**n for n in range(int(top) + 1) for k in (1, 3) if k * 10**n <= 1.2 * longest]
