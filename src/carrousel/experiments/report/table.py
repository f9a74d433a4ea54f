"""Tables of a report, for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from carrousel import words
from carrousel.experiments.report import labels
from carrousel.experiments.report.collect import LEGEND, SOURCE, Entry, Report, kernel_notes
from carrousel.experiments.report.markdown import escaped
from carrousel.experiments.report.markdown import table as write_table


class ReportColumn(NamedTuple):
    """A column of the main table."""

    head: str
    cell: Callable[[Entry], str]


COLUMNS = (
    ReportColumn("row", lambda entry: entry.experiment.name),
    ReportColumn("task", lambda entry: entry.experiment.title),
    ReportColumn("solved", lambda entry: labels.solved(entry.summary)),
    ReportColumn("95 %", lambda entry: words.rate_interval(entry.summary.success_ci95)),
    ReportColumn("paper", lambda entry: words.percent(entry.summary.published.success_percent)),
    ReportColumn("sequences", lambda entry: labels.mean_sequences(entry.summary)),
    ReportColumn("median", lambda entry: labels.median_sequences(entry.summary)),
    ReportColumn("paper", lambda entry: words.number(entry.summary.published.sequences)),
    ReportColumn("ratio", lambda entry: labels.ratio(entry.summary)),
    ReportColumn("verdict", lambda entry: labels.verdict(entry.verdict)),
    ReportColumn("further", lambda entry: labels.further(entry.summary)),
    ReportColumn("time", lambda entry: words.duration(entry.summary.seconds)),
)


TEXT_COLUMNS = ("row", "task", "verdict", "further")
"""Heads of columns with text, which is aligned left; figures are aligned right."""


DISPENSABLE = ("task", "further", "median", "95 %", "time", "ratio", "verdict")
"""Heads of columns that are omitted in narrow terminals, in this order."""


def terminal(report: Report, *, width: int = 80) -> RenderableType:
    """Return the table for a terminal, with as many columns as fit."""
    columns, gap = _fitting(report.entries, width)
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for column in columns:
        text = column.head in TEXT_COLUMNS
        table.add_column(column.head, justify="left" if text else "right", no_wrap=True)
    for entry in report.entries:
        table.add_row(*(Text(column.cell(entry), style=_style(entry)) for column in columns))
    lines = [LEGEND, *footnotes(report)]
    return Group(table, Text(), *(Text(line, style="dim") for line in lines))


def _fitting(entries: Sequence[Entry], width: int) -> tuple[list[ReportColumn], int]:
    """Columns that fit into the width, and the gap between them."""
    choices = [
        ([column for column in COLUMNS if column.head not in DISPENSABLE[:dropped]], gap)
        for dropped in range(len(DISPENSABLE) + 1)
        for gap in ((2, 1) if dropped >= DISPENSABLE.index("time") else (2,))
    ]
    for columns, gap in choices:
        cells = [[column.head, *map(column.cell, entries)] for column in columns]
        needed = sum(max(map(len, one)) for one in cells) + gap * (len(columns) - 1)
        if needed <= width:
            return columns, gap
    return choices[-1]


def _style(entry: Entry) -> str:
    summary = entry.summary
    if summary.successes == summary.trials:
        return ""
    return "yellow" if summary.successes else "red"


def footnotes(report: Report) -> list[str]:
    """Return footnotes: unsolved trials, further figures, trials that were left out."""
    lines = [
        f"{entry.experiment.name}: {note}." for entry in report.entries for note in entry.notes
    ]
    for entry in report.entries:
        figures = []
        for name, ours in entry.summary.measures.items():
            printed = labels.published_values(name, entry.summary.published.others)
            if printed:
                theirs = ", ".join(f"{who} {words.small(value)}" for who, value in printed)
                figures.append(f"{labels.label(name)} {words.small(ours)} ({theirs})")
        if figures:
            lines.append(f"{entry.experiment.name}: {', '.join(figures)}.")
    kernels = {entry.experiment.name: entry.kernel for entry in report.entries}
    lines += [f"{line}." for line in kernel_notes(kernels)]
    return [*lines, *(f"Left out: {line}." for line in report.left_out)]


def markdown(report: Report) -> str:
    """Return the table, its footnotes, stop rules and readings in Markdown."""
    heads = [column.head for column in COLUMNS]
    align = "".join("l" if head in TEXT_COLUMNS else "r" for head in heads)
    rows = [[escaped(column.cell(entry)) for column in COLUMNS] for entry in report.entries]
    return "\n".join(
        [
            "# Experiments of 1997, run again",
            *("", f"Columns headed “paper” are printed in {SOURCE}. {LEGEND}"),
            *("", write_table(heads, rows, align)),
            *("", *(f"- {escaped(line)}" for line in footnotes(report))),
            *("", "## When a trial counts as solved", ""),
            *(
                f"- {escaped(entry.experiment.name)}: {escaped(entry.experiment.stop.describe)}"
                for entry in report.entries
            ),
            *("", "## Where the paper leaves a choice", ""),
            *(f"- {escaped(line)}" for line in readings(report.entries)),
            *("", f"{provenance(report.entries)}", ""),
        ]
    )


def readings(entries: Iterable[Entry]) -> list[str]:
    """Return each reading once, with the rows that share it."""
    rows: dict[str, list[str]] = {}
    for entry in entries:
        for each in entry.experiment.readings:
            line = f"{labels.choice(each)}. Why: {each.why}"
            rows.setdefault(line, []).append(entry.experiment.name)
    return [f"{line} ({', '.join(names)})" for line, names in rows.items()]


def provenance(entries: Sequence[Entry]) -> str:
    """Return a sentence on versions, instruction sets and seeds of the trials."""
    kernels = sorted({entry.kernel for entry in entries})
    seeds = sorted({seed for entry in entries for seed in entry.seeds})
    versions = sorted({one for entry in entries for one in entry.versions})
    sets = sorted({one for entry in entries for one in entry.instruction_sets})
    trials = sum(len(entry.trials) for entry in entries)
    return (
        f"{words.count(trials, 'trial')} run by carrousel {', '.join(versions) or words.ABSENT}, "
        f"kernels of version {', '.join(map(str, kernels)) or words.ABSENT}, "
        f"instruction set {', '.join(sets) or words.ABSENT}, "
        f"seed {', '.join(map(str, seeds)) or words.ABSENT}."
    )
