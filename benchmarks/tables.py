"""Results of ``benchmarks/lanes.py`` as tables: for the terminal, and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

Row = Mapping[str, Any]
UNDISTURBED = 0.95
"""A contender that held its core for less of the time than this was disturbed by others."""


def print_tables(results: Mapping[str, Any]) -> None:
    """Print one table for each case and number of processes."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    for line in _about(results):
        console.print(line, highlight=False)
    for group in dict.fromkeys((row["case"], row["processes"]) for row in results["rows"]):
        rows = [row for row in results["rows"] if (row["case"], row["processes"]) == group]
        console.print(_table(results, rows))
    for row in results["parity"]:
        if not row["parity"]["holds"]:
            text = f"NOT TIMED, wrong results: {row['case']}, {row['contender']}"
            console.print(text, style="red")
    for package in results["missing"]:
        console.print(f"not installed, so left out: {package}")


def _table(results: Mapping[str, Any], rows: list[Row]) -> Table:
    clock = choose_clock(rows)
    words = "time on the wall" if clock == "wall" else "time on the core; others used it meanwhile"
    processes = _processes(rows[0]["processes"])
    title = f"{rows[0]['case']}, {processes}: ns per trial and step, {words}"
    table = Table(title=title, title_justify="left")
    table.add_column("contender")
    timed = "data ready", "quartiles", "x ours", "drawn too", "x ours"
    for name in (*timed, "core held", "of peak"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = [row for row in rows if row["clock"] == clock]
    for ready in (row for row in rows if row["data"] == "ready"):
        name = (ready["contender"], ready["detail"])
        [drawn] = [
            row
            for row in rows
            if row["data"] == "drawn" and (row["contender"], row["detail"]) == name
        ]
        ours = ready["contender"] == "carrousel"
        table.add_row(
            ", ".join(name),
            number(ready["ns"]["median"]),
            f"{number(ready['ns']['low'])} - {number(ready['ns']['high'])}",
            ratio(ready["ratio"]),
            number(drawn["ns"]["median"]),
            ratio(drawn["ratio"]),
            f"{ready['held']:.0%}",
            f"{share_of_peak(results, ready):.0%}" if ours else "",
        )
    return table


def share_of_peak(results: Mapping[str, Any], row: Row) -> float:
    """What the algorithm asks for, in operations a second, by what a matrix product reaches."""
    gflops = row["flop_per_step"] / row["ns"]["median"]
    return gflops / results["machine"]["peak_gflops"][str(row["processes"])]


def markdown(results: Mapping[str, Any], clock: str | None = None) -> str:
    """A page with one table: each case on one process, ours beside the best of the others.

    Args:
        results: as :func:`lanes.measure` returns them.
        clock: ``"wall"`` or ``"processor"``; by default the former, unless others used the cores.
    """
    rows = [row for row in results["rows"] if row["processes"] == 1]
    clock = clock or choose_clock(rows)
    rows = [row for row in rows if row["clock"] == clock]
    cases = list(dict.fromkeys(row["case"] for row in rows))
    names = list(dict.fromkeys(row["contender"] for row in rows))
    head = ["contender", *cases]
    lines = [
        "# Speed",
        "",
        "Nanoseconds per trial and time step, learning included: median of "
        f"{results['plan']['repeats']} stretches, in brackets how many times as long as ours. One "
        "core. "
        + (
            "Time is what the clock on the wall shows."
            if clock == "wall"
            else "Time is what the core spent on the program: others used the machine meanwhile."
        ),
        "",
        "| " + " | ".join(head) + " |",
        "|---|" + "---:|" * len(cases),
    ]
    for data, words in (("ready", "data ready"), ("drawn", "data drawn on the clock")):
        lines.append(f"| *{words}* |" + " |" * len(cases))
        for name in names:
            best = [_best(rows, case, name, data) for case in cases]
            lines.append(f"| {name} | " + " | ".join(_entry(row) for row in best) + " |")
    lines += ["", *_notes(results, rows, cases), ""]
    return "\n".join(lines)


def _notes(results: Mapping[str, Any], rows: list[Row], cases: list[str]) -> Iterable[str]:
    yield from (f"- {line}" for line in _about(results))
    for name in dict.fromkeys(row["contender"] for row in rows):
        best = [(case, _best(rows, case, name, "ready")) for case in cases]
        forms = "; ".join(f"{case}: {row['detail']}" for case, row in best if row)
        yield f"- {name}: {forms}."
    shares = [
        f"{case} {share_of_peak(results, row):.0%}"
        for case in cases
        if (row := _best(rows, case, "carrousel", "ready"))
    ]
    yield f"- Share of that peak that our kernel's arithmetic reaches: {', '.join(shares)}."
    yield (
        "- Every contender but `torch.nn.LSTM` (another cell, another algorithm: the usual choice) "
        "was first checked against the float64 reference."
    )
    yield "- Made by `make bench ARGS='--save FILE --markdown docs/speed.md'`."


def _about(results: Mapping[str, Any]) -> Iterable[str]:
    about = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    yield f"{about['processor']}, {about['cores']} cores, {about['instruction_set']}; {versions}."
    peak = about["peak_gflops"].get("1", 0.0)
    yield f"A float32 matrix product reaches {peak:.0f} GFLOP/s on one core, taken for its peak."


def choose_clock(rows: Iterable[Row]) -> str:
    """Time on the wall, unless others used the cores meanwhile: then time on the core."""
    return "wall" if all(row["held"] >= UNDISTURBED for row in rows) else "processor"


def _best(rows: Iterable[Row], case: str, name: str, data: str) -> Row | None:
    found = [r for r in rows if (r["case"], r["contender"], r["data"]) == (case, name, data)]
    return min(found, key=lambda row: row["ns"]["median"], default=None)


def _entry(row: Row | None) -> str:
    if row is None:
        return "-"
    ns = number(row["ns"]["median"])
    return f"**{ns}**" if row["contender"] == "carrousel" else f"{ns} ({ratio(row['ratio'])})"


def number(ns: float) -> str:
    """Three digits.

    >>> number(8.706), number(74.61), number(197700.0)
    ('8.71', '74.6', '197,700')
    """
    if ns >= 100:
        digits = len(str(int(ns))) - 3
        return f"{round(ns / 10**digits) * 10**digits:,}" if digits > 1 else f"{ns:,.0f}"
    return f"{ns:.1f}" if ns >= 10 else f"{ns:.2f}"


def ratio(value: float) -> str:
    """Two digits.

    >>> ratio(1.0), ratio(14.3), ratio(0.87)
    ('1.0x', '14x', '0.87x')
    """
    if value >= 10:
        return f"{number(value) if value >= 1000 else round(value)}x"
    return f"{value:.1f}x" if value >= 1 else f"{value:.2f}x"


def _processes(count: int) -> str:
    return "one process on one core" if count == 1 else f"{count} processes, each on a core"
