"""The page ``docs/speed.md`` and the README's table of speed, from ``benchmarks/lanes``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.lanes.tables import Row, about, choose_clock, number, ratio, share_of_peak
from tools.pages.render import render

from carrousel import words
from carrousel.experiments.report.markdown import table

DATA = {"ready": "data ready", "drawn": "data drawn during the measurement"}


def speed_page(results: Mapping[str, Any]) -> str:
    """Write the page: ours on each instruction set and the others at their best, on one core.

    Args:
        results: as :func:`benchmarks.lanes.collect.collect` returns them.
    """
    rows = [row for row in results["rows"] if row["processes"] == 1]
    clock = choose_clock(rows)
    rows = [row for row in rows if row["clock"] == clock]
    both = [row for row in results["rows"] if (row["processes"], row["clock"]) == (2, clock)]
    cases = list(dict.fromkeys(row["case"] for row in rows))
    ours = [row["ns"] for row in rows if _is_ours(row)]
    return render(
        "speed.md",
        repeats=results["plan"]["repeats"],
        clock=clock,
        table=_table(rows, cases),
        about=list(about(results)),
        shares=_listed(rows, cases, lambda row: f"{share_of_peak(results, row):.0%}"),
        pairs=_listed(both, cases, lambda row: number(row["ns"]["median"])),
        forms=_forms(rows, cases),
        checked=", ".join(dict.fromkeys(row["contender"] for row in rows if row["checked"])),
        unchecked=list(dict.fromkeys(row["contender"] for row in rows if not row["checked"])),
        held=f"{min(row['held'] for row in rows):.0%}",
        spread=f"{max((ns['high'] - ns['low']) / ns['median'] for ns in ours):.0%}",
    )


def speed_summary(results: Mapping[str, Any]) -> str:
    """Table for the README: each implementation in its fastest form, with newly drawn data."""
    rows = [row for row in results["rows"] if (row["processes"], row["data"]) == (1, "drawn")]
    clock = choose_clock(rows)
    fastest: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = row["case"], row["contender"]
        best = fastest.get(key)
        faster = best is None or row["ns"]["median"] < best["ns"]["median"]
        if row["clock"] == clock and faster:
            fastest[key] = row
    contenders = list(dict.fromkeys(contender for _, contender in fastest))
    cells = [
        [case, *(_summary_cell(fastest.get((case, contender))) for contender in contenders)]
        for case in dict.fromkeys(case for case, _ in fastest)
    ]
    kind = "one core; wall-clock time" if clock == "wall" else "one shared core; CPU time"
    note = f"{results['machine']['processor']}, {kind}. In brackets: ratio to carrousel."
    return f"{table(['net', *contenders], cells)}\n\n{note}"


def _table(rows: Sequence[Row], cases: Sequence[str]) -> str:
    names = list(dict.fromkeys(_name(row) for row in rows))
    lines = []
    for data, title in DATA.items():
        lines.append([f"*{title}*", *("" for _ in cases)])
        lines += [
            [name, *(_cell(_best(rows, case, name, data)) for case in cases)] for name in names
        ]
    return table(["", *cases], lines)


def _listed(rows: Sequence[Row], cases: Sequence[str], form: Any) -> str:
    """Format our fastest row of each case, where there is one."""
    found = {case: _fastest_of_ours(rows, case) for case in cases}
    return ", ".join(f"{case} {form(row)}" for case, row in found.items() if row)


def _forms(rows: Sequence[Row], cases: Sequence[str]) -> dict[str, str]:
    """Name the form in which each other implementation is fastest, case by case."""
    found = {}
    for name in dict.fromkeys(row["contender"] for row in rows if not _is_ours(row)):
        best = {case: _best(rows, case, name, "ready") for case in cases}
        found[name] = "; ".join(f"{case} {row['detail']}" for case, row in best.items() if row)
    return found


def _is_ours(row: Row) -> bool:
    return row["contender"] == "carrousel"


def _name(row: Row) -> str:
    return f"{row['contender']}, {row['detail']}" if _is_ours(row) else row["contender"]


def _best(rows: Sequence[Row], case: str, name: str, data: str) -> Row | None:
    found = [r for r in rows if (r["case"], _name(r), r["data"]) == (case, name, data)]
    return min(found, key=lambda row: row["ns"]["median"], default=None)


def _fastest_of_ours(rows: Sequence[Row], case: str) -> Row | None:
    found = [r for r in rows if _is_ours(r) and (r["case"], r["data"]) == (case, "ready")]
    return min(found, key=lambda row: row["ns"]["median"], default=None)


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    ns = number(row["ns"]["median"])
    return f"**{ns}**" if _is_ours(row) else f"{ns} ({ratio(row['ratio'])})"


def _summary_cell(row: Row | None) -> str:
    if row is None:
        return words.ABSENT
    ns = row["ns"]["median"]
    figure = f"{ns:,.3g}" if ns < 1000 else f"{round(ns, -2):,.0f}"
    return figure if _is_ours(row) else f"{figure} ({row['ratio']:.3g})"
