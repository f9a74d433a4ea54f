"""The picture of inputs, states and gates of one sequence."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from carrousel.inspection.pictures import colours
from carrousel.inspection.pictures.errors import pooled, rules_of, time_axis
from carrousel.inspection.pictures.figure import (
    MINUS,
    Axis,
    Colour,
    Key,
    Line,
    Panel,
    Picture,
    Tick,
    linear,
)
from carrousel.inspection.pictures.findings import (
    Findings,
    largest,
    memory_of,
    order_of,
    read_part,
    short,
    states_of,
    steps,
    unit_errors,
)
from carrousel.inspection.trace import Trace
from carrousel.shapes import Floats
from carrousel.words import count

MOST_INPUTS = 4
"""Inputs that are drawn as curves; more become an image."""
_INPUTS: tuple[Colour, ...] = ("ink", "bad", "ours", "good")
_GATES: dict[str, Colour] = {
    "input": "paper",
    "forget": "good",
    "update": "good",
    "output": "soft",
    "reset": "soft",
}
KEEPS = ("forget", "update")
"""Gates that say how much of the state stays."""


def traces(report: Findings) -> Picture | None:
    """Draw the first sequence in the part that the loss reads; None: there is no trace."""
    read = read_part(report)
    shown = [one for one in report.traces if one.h.size and (not read or one.part == read.part)]
    if not shown:
        return None
    trace = _forwards(shown[0])
    order = order_of(report, trace)
    first = _forwards(report.traces[0])
    panels = [
        *_inputs(first if len(first.h) == len(trace.h) else trace),
        _states(trace, order),
        *_keeps(trace, order),
    ]
    panels += [_unit(report, trace, int(unit), why) for unit, why in _chosen(trace, order)]
    rules = rules_of(report, shown[0])
    panels = [
        replace(
            panel,
            rules=tuple(rule if k == 0 else replace(rule, text="") for rule in rules),
            has_x=k == len(panels) - 1,
        )
        for k, panel in enumerate(panels)
    ]
    state = states_of(trace)[0]
    keys = [Key(f"state {state}, relative to the unit's largest", "ours")]
    keys += [Key(line.name, line.colour) for line in panels[0].lines if panels[0].title == "Inputs"]
    keys += [Key(f"{name} gate", _GATES[name]) for name in trace.gates if name in _GATES]
    return Picture(
        "traces",
        f"One sequence in {short(trace.part)}",
        f"From top to bottom: the inputs; the state {state} of every unit (blue is negative, "
        "orange positive), those with the longest memory on top"
        + (
            "; the gate that keeps the state (light: kept, dark: forgotten)"
            if _keeps(trace, order)
            else ""
        )
        + "; and single units. A unit that stores something keeps its colour from the input that "
        "matters until the loss reads it.",
        tuple(panels),
        tuple(keys),
    )


def _forwards(trace: Trace) -> Trace:
    """Return a trace in the order of the sequence."""
    if not trace.reverse:
        return trace
    return replace(
        trace,
        x=trace.x[::-1],
        h=trace.h[::-1],
        s=trace.s[::-1],
        gates={name: gate[::-1] for name, gate in trace.gates.items()},
        error_h=trace.error_h[::-1],
        error_s=trace.error_s[::-1],
        reverse=False,
    )


def _inputs(trace: Trace) -> list[Panel]:
    x = trace.x
    if not x.size:
        return []
    n, t = x.shape[1], np.arange(len(x), dtype=np.float64)
    if n > MOST_INPUTS:
        axis = Axis(count(n, "input"), 0.0, 1.0, ())
        image = colours.signed(pooled(x.T / (largest(x) or 1.0)))
        return [
            Panel("Inputs", time_axis(trace), axis, image=image, height=min(9.0, 1.0 + 0.5 * n))
        ]
    finite = x[np.isfinite(x)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    room = 0.06 * (high - low)
    lines = tuple(Line(f"input {k}", t, x[:, k], _INPUTS[k]) for k in range(n))
    y = linear("value", low - room, high + room, most=4)
    return [Panel("Inputs", time_axis(trace), y, lines, height=7.0)]


def _states(trace: Trace, order: np.ndarray) -> Panel:
    name, values = states_of(trace)
    shares = values / scales(values)
    image = colours.signed(
        pooled((shares[:, order] if len(order) == values.shape[1] else shares).T)
    )
    return Panel(
        f"State {name}, relative to each unit's largest",
        time_axis(trace),
        Axis(count(values.shape[1], "unit"), 0.0, 1.0, ()),
        image=image,
        height=min(16.0, max(5.0, 0.36 * values.shape[1])),
    )


def scales(values: Annotated[Floats, "T units"]) -> Annotated[Floats, "units"]:
    """Return the largest absolute value of each unit, no less than 1 % of the largest of all."""
    each = np.array([largest(unit) for unit in values.T])
    return np.maximum(each, 0.01 * largest(each) or 1.0)


def _keeps(trace: Trace, order: np.ndarray) -> list[Panel]:
    return [
        Panel(
            f"{name.capitalize()} gate",
            time_axis(trace),
            Axis(count(len(order), "unit"), 0.0, 1.0, ()),
            image=colours.heat(pooled(gate[:, order].T)),
            height=min(16.0, max(5.0, 0.36 * len(order))),
        )
        for name, gate in trace.gates.items()
        if name in KEEPS and gate.shape[1] == len(order)
    ]


def _chosen(trace: Trace, order: np.ndarray) -> list[tuple[int, str]]:
    """Return units worth a look, each with the reason."""
    if not len(order):
        return []
    error = unit_errors(trace).sum(axis=0)
    found = {int(order[0]): "longest memory"}
    found.setdefault(int(error.argmax()), "most error")
    found.setdefault(int(order[-1]), "shortest memory")
    return list(found.items())


def _unit(report: Findings, trace: Trace, unit: int, why: str) -> Panel:
    state, values = states_of(trace)
    t = np.arange(len(values), dtype=np.float64)
    scale = scales(values)[unit]
    lines = [
        Line(f"{name} gate", t, gate[:, unit], _GATES[name])
        for name, gate in trace.gates.items()
        if name in _GATES and unit < gate.shape[1]
    ]
    lines.append(Line(f"state {state}", t, values[:, unit] / scale, "ours"))
    memory = memory_of(report, trace.part)
    lives = memory.half_lives() if memory is not None else np.zeros(0)
    life = f", half-life {steps(float(lives[unit]))}" if unit < len(lives) else ""
    y = Axis(
        "relative",
        -1.08,
        1.08,
        tuple(Tick(v, s) for v, s in ((-1, f"{MINUS}1"), (0, "0"), (1, "1"))),
    )
    return Panel(f"Unit {unit}: {why}{life}", time_axis(trace), y, tuple(lines), height=7.0)
