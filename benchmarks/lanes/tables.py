"""Tables of the results for the terminal, and the format of their figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

Row = Mapping[str, Any]
UNDISTURBED = 0.95
"""A contender that ran for less than this share of the time was disturbed by other programs."""


def print_tables(results: Mapping[str, Any]) -> None:
    """Print one table for each case and number of processes."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    for line in about(results):
        console.print(line, highlight=False)
    for group in dict.fromkeys((row["case"], row["processes"]) for row in results["rows"]):
        rows = [row for row in results["rows"] if (row["case"], row["processes"]) == group]
        console.print(_table(results, rows))
    for row in results["parity"]:
        if not row["parity"]["holds"]:
            text = f"not timed because its results are wrong: {row['case']}, {row['contender']}"
            console.print(text, style="red")
    for package in results["missing"]:
        console.print(f"skipped because it is not installed: {package}")


def _table(results: Mapping[str, Any], rows: list[Row]) -> Table:
    clock = choose_clock(rows)
    kinds = {"wall": "wall-clock time", "processor": "time on the core, which others used as well"}
    processes = _processes(rows[0]["processes"])
    title = f"{rows[0]['case']}, {processes}: ns per trial and step, {kinds[clock]}"
    table = Table(title=title, title_justify="left")
    table.add_column("contender")
    timed = "data ready", "quartiles", "x ours", "data drawn", "x ours"
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
    """Divide the rate of the algorithm's operations by that of a matrix product."""
    gflops = row["flop_per_step"] / row["ns"]["median"]
    return gflops / results["machine"]["peak_gflops"][str(row["processes"])]


def about(results: Mapping[str, Any]) -> Iterable[str]:
    """Describe the machine in a few sentences."""
    found = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    yield f"{found['processor']}, {found['cores']} cores, {found['instruction_set']}; {versions}."
    for count, peak in found["peak_gflops"].items():
        where = "one core" if count == "1" else f"{count} cores"
        yield f"Peak on {where}: a float32 matrix product reaches {peak:.0f} GFLOP/s."


def choose_clock(rows: Iterable[Row]) -> str:
    """Choose wall-clock time, or time on the core if other programs disturbed the measurement."""
    return "wall" if all(row["held"] >= UNDISTURBED for row in rows) else "processor"


def number(ns: float) -> str:
    """Format nanoseconds with three significant digits.

    >>> number(8.706), number(74.61), number(197700.0)
    ('8.71', '74.6', '198,000')
    """
    if ns >= 100:
        digits = len(str(int(ns))) - 3
        return f"{round(ns / 10**digits) * 10**digits:,}"
    return f"{ns:.1f}" if ns >= 10 else f"{ns:.2f}"


def ratio(value: float) -> str:
    """Format a ratio with two significant digits.

    >>> ratio(1.0), ratio(14.3), ratio(0.87)
    ('1.0x', '14x', '0.87x')
    """
    if value >= 10:
        return f"{number(value) if value >= 1000 else round(value)}x"
    return f"{value:.1f}x" if value >= 1 else f"{value:.2f}x"


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes, each on its own core"
