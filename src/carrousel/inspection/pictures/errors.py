"""The picture of the error of every unit at every step of one sequence."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.inspection.pictures import colours
from carrousel.inspection.pictures.figure import Axis, Panel, Picture, Rule, linear, superscript
from carrousel.inspection.pictures.findings import Findings, largest, order_of, short, unit_errors
from carrousel.inspection.trace import Trace
from carrousel.shapes import Floats
from carrousel.words import count

MOST_PARTS = 8
"""Parts that are drawn at most."""
MOST_ROWS, MOST_COLUMNS = 160, 600
"""Pixels of an image at most; the largest value of neighbours is shown."""


def errors(report: Findings) -> Picture | None:
    """Draw the errors of the first sequence, one panel for each part; None: there is no trace."""
    traces = [one for one in report.traces if one.h.size][:MOST_PARTS]
    if not traces:
        return None
    most = max(largest(unit_errors(one)) for one in traces)
    return Picture(
        "errors",
        "Where the error flows",
        "Each row is a unit, those with the longest memory on top; each column is a step of the "
        "first sequence. The colour is the size of the error of the loss that arrives there, on a "
        "logarithmic scale. Where it is dark, almost no error arrives, and training cannot "
        "change what the unit does." + _left_out(report),
        tuple(_panel(report, one, most) for one in traces),
        scale=(
            colours.heat(np.linspace(0.0, 1.0, 64)),
            f"10{superscript(-colours.DECADES)} of the largest or less",
            "largest error",
        ),
        beside=len(traces) > 1,
    )


def _panel(report: Findings, trace: Trace, most: float) -> Panel:
    found = in_time(trace, unit_errors(trace)[:, order_of(report, trace)])
    shares = colours.decades(pooled(found.T), most)
    return Panel(
        short(trace.part),
        time_axis(trace),
        Axis(count(found.shape[1], "unit"), 0.0, 1.0, ()),
        rules=rules_of(report, trace),
        image=colours.heat(shares),
        height=min(24.0, max(8.0, 0.42 * found.shape[1])),
    )


def time_axis(trace: Trace) -> Axis:
    """Return the axis of the steps of a trace, each of which is one wide."""
    n = len(trace.h)
    label = "step of the sequence" + (", which is processed backwards" if trace.reverse else "")
    return linear(label, -0.5, n - 0.5, whole=True)


def in_time(trace: Trace, values: Annotated[Floats, "T ..."]) -> Annotated[Floats, "T ..."]:
    """Return values of a trace in the order of the sequence."""
    return values[::-1] if trace.reverse else values


def rules_of(report: Findings, trace: Trace) -> tuple[Rule, ...]:
    """Return the step that the loss reads, and the step that the lag asks for."""
    if trace.read < 0:
        return ()
    places = in_time(trace, np.arange(float(len(trace.h))))
    found = [Rule(float(places[trace.read]), "loss reads")]
    if report.lag is not None and 0 < report.lag <= trace.read:
        found.append(Rule(float(places[trace.read - report.lag]), f"{report.lag:,} before"))
    return tuple(found)


def pooled(values: Annotated[Floats, "rows columns"]) -> Annotated[Floats, "fewer fewer"]:
    """Return at most the most rows and columns of an image, by the largest absolute values."""
    for axis, most in ((0, MOST_ROWS), (1, MOST_COLUMNS)):
        n = values.shape[axis]
        if n > most:
            first = np.linspace(0, n, most, endpoint=False).astype(np.int64)
            high = np.maximum.reduceat(values, first, axis=axis)
            low = np.minimum.reduceat(values, first, axis=axis)
            values = np.where(high >= -low, high, low)
    return values


def _left_out(report: Findings) -> str:
    left = len(report.traces) - MOST_PARTS
    return f" {count(left, 'further part')} not shown." if left > 0 else ""
