"""Tables of a report: its parts, gates, and gradients, as texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carrousel.inspection.pictures.findings import (
    Findings,
    at_lag,
    carrousel_curve,
    curve_of,
    factor,
    half_life_of,
    lived,
    median_half_life,
    rate_of,
    short,
    steps,
)
from carrousel.words import ABSENT


@dataclass(frozen=True)
class Table:
    """A table whose first column is a text.

    Args:
        title: heading.
        text: what the columns mean.
        heads: of the columns.
        rows: texts.
    """

    title: str
    text: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables(report: Findings) -> list[Table]:
    """Return all tables that have rows."""
    found = [reach(report), half_lives(report), gates(report), dynamics(report), gradients(report)]
    return [table for table in found if table.rows]


def reach(report: Findings) -> Table:
    """Return the error by part."""
    lag = report.lag
    rows = []
    for one in report.reach:
        curve, direct = curve_of(one), carrousel_curve(one)
        longest = lag if lag is not None and lag < len(curve) else max(0, len(curve) - 1)
        rows.append(
            (
                short(one.part) + (" (read by the loss)" if one.is_read else ""),
                one.cell,
                factor(rate_of(one)),
                steps(half_life_of(one)),
                factor(at_lag(curve, longest)),
                ABSENT if direct is None else factor(at_lag(direct, longest)),
            )
        )
    where = f"at lag {lag:,}" if lag is not None else "at the longest lag"
    return Table(
        "Trainable reach",
        "The error that arrives at earlier states, relative to lag 0. Where a part is shorter than "
        "the lag asked, its longest lag is shown.",
        ("part", "cell", "factor per step", "half-life", f"left {where}", "through the carrousel"),
        tuple(rows),
    )


def half_lives(report: Findings) -> Table:
    """Return the spread of the half-lives of units by part."""
    rows = []
    for one in report.unit_memory:
        lives = one.half_lives()
        lives = np.sort(lives[~np.isnan(lives)])
        if not len(lives):
            continue
        above = ABSENT if report.lag is None else f"{int((lives >= report.lag).sum())}"
        rows.append(
            (
                short(one.part),
                one.state,
                f"{len(lives)}",
                lived(float(lives[0])),
                lived(median_half_life(one)),
                lived(float(lives[-1])),
                above,
            )
        )
    return Table(
        "Memory of the units",
        "Half-lives of the difference of two pasts.",
        ("part", "state", "units", "shortest", "median", "longest", "units above the lag asked"),
        tuple(rows),
    )


def gates(report: Findings) -> Table:
    """Return the use of gates by part."""
    rows = [
        (
            short(units.part),
            name,
            f"{float(gate.mean.mean()):.2f}",
            _percent(float(gate.closed.mean())),
            _percent(float(gate.open.mean())),
        )
        for units in report.units
        for name, gate in units.gates.items()
        if len(gate.mean)
    ]
    return Table(
        "Gates",
        "Mean over units, steps and sequences. A gate is closed below 0.01 and open above 0.99; "
        "there it passes almost no error to its own weights.",
        ("part", "gate", "mean", "closed", "open"),
        tuple(rows),
    )


def dynamics(report: Findings) -> Table:
    """Return growth of disturbances, and unused units, by part."""
    rows = []
    for one in report.dynamics:
        units = next((u for u in report.units if u.part == one.part), None)
        rows.append(
            (
                short(one.part),
                ABSENT if one.spectral_radius is None else f"{one.spectral_radius:.3g}",
                ABSENT if one.lyapunov is None else f"{one.lyapunov:.3g}",
                factor(one.initial),
                ABSENT if units is None else str(len(units.constant())),
                ABSENT if units is None else str(len(units.twins)),
                ABSENT if units is None else f"{units.largest:.3g}",
            )
        )
    return Table(
        "Dynamics and units",
        "A Lyapunov exponent below 0 means that errors shrink by that logarithm in each step, "
        "above 0 that they grow. Error at the start: what is left at the initial state.",
        (
            *("part", "spectral radius", "Lyapunov exponent", "error at the start"),
            *("constant units", "pairs of equal units", "largest state"),
        ),
        tuple(rows),
    )


def gradients(report: Findings) -> Table:
    """Return norms of gradients by block of parameters."""
    found = report.gradients
    total = found.total or 1.0
    rows = [
        (short(name), factor(norm), _percent((norm / total) ** 2))
        for name, norm in found.norms.items()
    ]
    clip = f" Clipping at {found.clip:g} leaves {_percent(found.kept())}." if found.clip else ""
    return Table(
        "Gradients by block",
        f"Norm of the gradient of each parameter; all together {factor(found.total)}.{clip}",
        ("parameter", "norm", "share of the squared norm"),
        tuple(rows),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
