"""The picture of the three curves: trainable reach, the state's memory, and used memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from carrousel.inspection.pictures.figure import (
    Axis,
    Key,
    Line,
    Panel,
    Picture,
    Rule,
    linear,
    logarithmic,
)
from carrousel.inspection.pictures.findings import (
    Findings,
    carrousel_curve,
    change_of,
    curve_of,
    half_life_of,
    largest,
    mean_memory,
    median_half_life,
    memory_of,
    read_part,
    short,
    steps,
    used_until,
)

LOWEST, HIGHEST = 1e-16, 1e16
"""Ends of the axis at most; a longer curve leaves the picture."""


def three_curves(report: Findings, axes: tuple[Axis, Axis] | None = None) -> Picture:
    """Draw the three curves over lag on a logarithmic axis.

    Args:
        report: what was measured.
        axes: of lag and of size, from :func:`shared_axes`; None: those that fit.
    """
    lines, keys = _lines(report)
    x, y = axes or shared_axes([report])
    rules = []
    if report.lag is not None and report.lag <= x.high:
        rules.append(Rule(report.lag, f"lag asked: {report.lag}"))
    rules.append(Rule(0.5, "half", "y", is_quiet=True))
    read = read_part(report)
    part = f"{short(read.part)}: " if read else ""
    return Picture(
        "curves",
        "How far back the net can learn, remembers, and looks",
        "A straight line is exponential decay: each step back multiplies by the same factor."
        + (
            " At the dashed line, a high trainable reach means that the net can learn the lag, and "
            "a high used memory that it has learned it."
            if report.lag is not None
            else ""
        ),
        (Panel(f"{part}relative size", x, y, lines, tuple(rules), height=23.0),),
        keys,
    )


def shared_axes(reports: Sequence[Findings]) -> tuple[Axis, Axis]:
    """Return axes on which the curves of all reports fit."""
    longest, positive = 1.0, [1.0]
    for report in reports:
        lines, _ = _lines(report)
        lags = [float(line.x[-1]) for line in lines if len(line.x)]
        longest = max(longest, *lags, float(report.lag or 0))
        for line in lines:
            seen = line.y[np.isfinite(line.y) & (line.y > 0)]
            # Used memory is the difference of two losses: small values are noise.
            positive += [
                max(float(one), 1e-4) if line.style == "marked" else float(one) for one in seen
            ]
    low = 10.0 ** math.floor(math.log10(max(min(positive), LOWEST)))
    high = 10.0 ** math.ceil(math.log10(min(max(positive), HIGHEST)) - 0.05)
    return (
        linear("lag: steps before the step that the loss reads", 0.0, longest, whole=True),
        logarithmic("relative size", min(low, 0.1), max(2.0, high)),
    )


def _lines(report: Findings) -> tuple[tuple[Line, ...], tuple[Key, ...]]:
    found = [*_reach(report), *_memory(report), *_used(report)]
    return tuple(line for line, _ in found if line is not None), tuple(key for _, key in found)


def _reach(report: Findings) -> list[tuple[Line | None, Key]]:
    reach = read_part(report)
    if reach is None:
        return []
    curve = curve_of(reach)
    lags = np.arange(len(curve), dtype=np.float64)
    key = Key(
        "Trainable reach",
        "ours",
        figure=_halves(half_life_of(reach)),
        definition="the error of the loss that arrives at the states so many steps earlier: the "
        "gradient that training can use (norm, geometric mean over sequences, relative to lag 0).",
    )
    found: list[tuple[Line | None, Key]] = [(Line("trainable reach", lags, curve), key)]
    direct = carrousel_curve(reach)
    if direct is not None:
        found.append(
            (
                Line("through the carrousel", lags, direct, style="dashed"),
                Key(
                    "through the carrousel",
                    "ours",
                    "dashed",
                    definition="its part that stayed inside the cells all the way, multiplied by "
                    "the forget gates alone (in a GRU by the update gates).",
                ),
            )
        )
    return found


def _memory(report: Findings) -> list[tuple[Line | None, Key]]:
    reach = read_part(report)
    memory = memory_of(report, reach.part) if reach else None
    if memory is None:
        return []
    curve = mean_memory(memory)
    key = Key(
        "State's memory",
        "good",
        figure=_halves(median_half_life(memory), "median "),
        definition="how much two states still differ that had different pasts, after so many "
        "equal inputs (mean absolute difference, relative to lag 0). Below about 1e-7 it may be "
        "rounding of 32-bit numbers.",
    )
    return [(Line("state's memory", np.arange(len(curve), dtype=np.float64), curve, "good"), key)]


def _used(report: Findings) -> list[tuple[Line | None, Key]]:
    used = report.used
    if used is None or not len(used.lags):
        return []
    until = used_until(used)
    definition = (
        "how much the loss changes (it rises, in a net that has learned) if everything further "
        "back than this lag is another sequence's history (relative to the largest change)."
    )
    if math.isnan(until):
        figure = "none: foreign history does not change the loss"
        return [(None, Key("Used memory", "paper", "marked", figure, definition))]
    change = change_of(used)
    lags = used.lags.astype(np.float64)
    line = Line("used memory", lags, change / largest(change), "paper", "marked")
    figure = f"above half up to lag {until:,.0f}"
    return [(line, Key("Used memory", "paper", "marked", figure, definition))]


def _halves(half_life: float, whose: str = "") -> str:
    if math.isnan(half_life):
        return "not measured"
    if math.isinf(half_life):
        return f"{whose}half-life longer than measured" if whose else "does not decay"
    if half_life <= 0.0:
        return "gone after one step"
    return f"{whose}half-life {steps(half_life)}"
