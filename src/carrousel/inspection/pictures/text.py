"""A report as a short text."""

from __future__ import annotations

from collections.abc import Sequence

from carrousel.inspection.pictures.findings import (
    Findings,
    at_lag,
    curve_of,
    factor,
    half_life_of,
    median_half_life,
    memory_of,
    read_part,
    short,
    steps,
    verdict,
)
from carrousel.words import ABSENT, number, printable


def text(report: Findings) -> str:
    """Return the verdict, a table of the parts, and the faults with their remedies."""
    lag = f"lag asked {report.lag:,}" if report.lag is not None else "lag unknown"
    where = f"error at lag {report.lag:,}" if report.lag is not None else "error at the longest lag"
    rows = [("part", "cell", "error halves in", where, "state halves in", "saturated gates")]
    for one in report.reach:
        curve = curve_of(one)
        at = report.lag if report.lag is not None else len(curve) - 1
        memory = memory_of(report, one.part)
        units = next((each for each in report.units if each.part == one.part), None)
        full = (
            []
            if units is None
            else [
                f"{name} {100 * gate.saturated():.0f} %"
                for name, gate in units.gates.items()
                if len(gate.mean)
            ]
        )
        rows.append(
            (
                short(one.part),
                one.cell,
                steps(half_life_of(one)),
                factor(at_lag(curve, at)),
                ABSENT if memory is None else steps(median_half_life(memory)),
                ", ".join(full) or ABSENT,
            )
        )
    lines = [verdict(report), f"loss {number(report.loss)}, {lag}", "", *aligned(rows)]
    if report.faults:
        lines += ["", *(f"- {printable(str(fault))}" for fault in report.faults)]
    return "\n".join(lines)


def summary(report: Findings) -> tuple[str, ...]:
    """Return loss, half-lives, the error at the lag, and the number of faults, as texts."""
    read = read_part(report)
    loss, n_faults = number(report.loss), str(len(report.faults))
    if read is None:
        return loss, ABSENT, ABSENT, ABSENT, n_faults
    curve, memory = curve_of(read), memory_of(report, read.part)
    at = report.lag if report.lag is not None else len(curve) - 1
    life = ABSENT if memory is None else steps(median_half_life(memory))
    return loss, steps(half_life_of(read)), factor(at_lag(curve, at)), life, n_faults


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with columns of equal width.

    >>> aligned([("part", "cell"), ("rnn", "lstm")])
    ['part  cell', 'rnn   lstm']
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
