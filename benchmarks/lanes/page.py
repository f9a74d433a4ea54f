"""Results of ``benchmarks/lanes`` as a page of Markdown with one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.lanes.tables import Row, about, choose_clock, number, ratio, share_of_peak

HEAD = """\
# Speed

Nanoseconds per trial and time step, learning included: forward pass, truncated gradient, change of
weights. Median of {repeats} stretches; in brackets, how many times as long as the fastest of ours.
{clock}
"""
CLOCK = {
    "wall": "One core; time on the wall.",
    "processor": (
        "One core; time that the core spent on the program, since others used the machine as well."
    ),
}
DATA = {"ready": "data ready", "drawn": "data drawn meanwhile"}


def markdown(results: Mapping[str, Any]) -> str:
    """Return the page: ours on each instruction set, the others at their best, on one core.

    Args:
        results: as :func:`results.collect` returns them.
    """
    rows = [row for row in results["rows"] if row["processes"] == 1]
    clock = choose_clock(rows)
    rows = [row for row in rows if row["clock"] == clock]
    cases = list(dict.fromkeys(row["case"] for row in rows))
    names = list(dict.fromkeys(_name(row) for row in rows))
    lines = [
        HEAD.format(repeats=results["plan"]["repeats"], clock=CLOCK[clock]),
        "| | " + " | ".join(cases) + " |",
        "|---|" + "---:|" * len(cases),
    ]
    for data, words in DATA.items():
        lines.append(f"| *{words}* |" + " |" * len(cases))
        for name in names:
            cells = (_cell(_best(rows, case, name, data)) for case in cases)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- {note}" for note in _notes(results, rows, cases, clock)), ""]
    return "\n".join(lines)


def _notes(
    results: Mapping[str, Any], rows: list[Row], cases: list[str], clock: str
) -> Iterator[str]:
    yield from about(results)
    yield (
        "Share of that peak, ours: "
        + ", ".join(
            f"{case} {share_of_peak(results, row):.0%}"
            for case in cases
            if (row := _fastest_of_ours(rows, case))
        )
        + ". The arithmetic is counted from the equations (`benchmarks/lanes/arithmetic.py`)."
    )
    both = [row for row in results["rows"] if row["processes"] == 2 and row["clock"] == clock]
    pairs = [(case, row) for case in cases if (row := _fastest_of_ours(both, case))]
    if pairs:
        ns = ", ".join(f"{case} {number(row['ns']['median'])}" for case, row in pairs)
        yield f"Two of our processes, each on a core, take together, data ready: {ns}."
    for name in dict.fromkeys(row["contender"] for row in rows if not _is_ours(row)):
        best = {case: _best(rows, case, name, "ready") for case in cases}
        forms = (f"{case} {row['detail']}" for case, row in best.items() if row)
        yield f"{name}, as shown: {'; '.join(forms)}."
    checked = list(dict.fromkeys(row["contender"] for row in rows if row["checked"]))
    yield f"Checked against the float64 reference before they were timed: {', '.join(checked)}."
    for name in dict.fromkeys(row["contender"] for row in rows if not row["checked"]):
        yield f"Another algorithm, which cannot be checked in this way: {name}."
    ours = [row["ns"] for row in rows if _is_ours(row)]
    spread = max((ns["high"] - ns["low"]) / ns["median"] for ns in ours)
    held = min(row["held"] for row in rows)
    yield (
        f"Noise: programs held their core {held:.0%} of the time or more; the quartiles of ours "
        f"lie at most {spread:.0%} of the median apart."
    )
    yield "`make bench ARGS='--save docs/speed.json --markdown docs/speed.md'` makes this page."


def _is_ours(row: Row) -> bool:
    return row["contender"] == "carrousel"


def _name(row: Row) -> str:
    return f"{row['contender']}, {row['detail']}" if _is_ours(row) else row["contender"]


def _best(rows: list[Row], case: str, name: str, data: str) -> Row | None:
    found = [r for r in rows if (r["case"], _name(r), r["data"]) == (case, name, data)]
    return min(found, key=lambda row: row["ns"]["median"], default=None)


def _fastest_of_ours(rows: list[Row], case: str) -> Row | None:
    found = [r for r in rows if _is_ours(r) and (r["case"], r["data"]) == (case, "ready")]
    return min(found, key=lambda row: row["ns"]["median"], default=None)


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    ns = number(row["ns"]["median"])
    return f"**{ns}**" if _is_ours(row) else f"{ns} ({ratio(row['ratio'])})"
