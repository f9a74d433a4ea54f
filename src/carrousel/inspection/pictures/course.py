"""The picture of the course of training: the loss, and the error that arrives at the lag."""

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
    Tick,
    logarithmic,
)
from carrousel.inspection.pictures.findings import Findings, at_lag, curve_of, read_part
from carrousel.words import printable

LOWEST = 1e-12
"""Least value that is drawn."""
MOST_LABELS, LONGEST = 8, 14
"""Labels of the axis at most, and their characters."""


def course(snapshots: Sequence[tuple[str, Findings]]) -> Picture:
    """Draw figures of several reports in their order."""
    at = np.arange(float(len(snapshots)))
    loss = np.array([abs(report.loss) for _, report in snapshots])
    left = np.array([_left(report) for _, report in snapshots])
    lag = snapshots[-1][1].lag
    where = f"at lag {lag:,}" if lag is not None else "at the longest lag"
    known = np.concatenate([loss, left])
    known = known[np.isfinite(known) & (known > LOWEST)]
    low = 10.0 ** math.floor(math.log10(min([0.1, *known])))
    high = 10.0 ** math.ceil(math.log10(max([1.0, *known])))
    return Picture(
        "course",
        "The course of training",
        "The loss can fall only if error arrives at the lag that the task asks for. Move the "
        "slider, or choose a step in the picture.",
        (
            Panel(
                "Loss and trainable reach",
                _axis([label for label, _ in snapshots]),
                logarithmic("relative size", low, high),
                (
                    Line("loss", at, loss, "ink", "marked"),
                    Line(f"error {where}", at, left, "ours", "marked"),
                ),
                height=9.0,
            ),
        ),
        (
            Key("loss of the inspected call", "ink", "marked"),
            Key(f"error that arrives {where}, relative to lag 0", "ours", "marked"),
        ),
    )


def _left(report: Findings) -> float:
    read = read_part(report)
    if read is None:
        return math.nan
    curve = curve_of(read)
    return at_lag(curve, min(report.lag if report.lag is not None else len(curve), len(curve) - 1))


def _axis(labels: Sequence[str]) -> Axis:
    step = max(1, math.ceil(len(labels) / MOST_LABELS))
    ticks = tuple(
        Tick(float(k), _short(printable(label)), is_fine=bool(k // step % 2))
        for k, label in enumerate(labels)
        if k % step == 0
    )
    return Axis("snapshot", -0.4, len(labels) - 0.6, ticks)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
