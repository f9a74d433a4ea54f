"""What a store holds beside what the paper printed: collected, as a terminal table, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from carrousel.contracts import Experiment, Trial
from carrousel.experiments import report_words as words
from carrousel.experiments.report_summary import Summary, summarise
from carrousel.experiments.settings import differences, fingerprint, settings_of
from carrousel.experiments.store import Holding, Store

ENDINGS = {
    "budget": "given up when the budget of {budget} sequences was spent",
    "diverged": "broken off because weights were no longer finite",
}
SOURCE = "Hochreiter & Schmidhuber, “Long Short-Term Memory”, Neural Computation 9(8), 1997"
LEGEND = (
    "Sequences: mean of the solved trials alone, ± half its 95 % interval (Student's t). "
    "Ratio: our mean over the paper's."
)


@dataclass(frozen=True)
class Entry:
    """One experiment in a report.

    Args:
        experiment: the row.
        trials: its trials that ended.
        summary: what they came to.
        asked: number of trials that were asked for.
        seeds: seeds of the runs.
        versions: versions of the package that ran them.
        instruction_sets: instruction sets that they ran with.
    """

    experiment: Experiment
    trials: tuple[Trial, ...]
    summary: Summary
    asked: int
    seeds: tuple[int, ...]
    versions: tuple[str, ...] = ()
    instruction_sets: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every trial that was asked for has ended."""
        return len(self.trials) >= self.asked

    @property
    def notes(self) -> list[str]:
        """Sentences without which its figures would mislead."""
        found = []
        if not self.trials:
            found.append(f"none of {words.count(self.asked, 'trial')} has ended yet")
        elif not self.complete:
            found.append(
                f"{len(self.trials)} of {words.count(self.asked, 'trial')} have ended; the quick "
                "ones end first, so the mean is too low until all have"
            )
        for ending, how in ENDINGS.items():
            if number := self.summary.endings.get(ending, 0):
                budget = words.number(self.experiment.budget)
                was = "was" if number == 1 else "were"
                found.append(f"{words.count(number, 'trial')} {was} {how.format(budget=budget)}")
        return found


@dataclass(frozen=True)
class Report:
    """Entries in the order of the paper, and sentences about trials that were left out."""

    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]


def collect(store: Store, experiments: Mapping[str, Experiment]) -> Report:
    """Read a store.

    Trials of all seeds are taken together. Trials that ran with other settings than ``experiments``
    has now, and those of unknown experiments, are counted among what is left out.
    """
    held: dict[str, list[Holding]] = {}
    left_out = []
    marks = {name: fingerprint(experiment) for name, experiment in experiments.items()}
    for holding in store.holdings():
        if marks.get(holding.experiment) == holding.fingerprint:
            held.setdefault(holding.experiment, []).append(holding)
        elif holding.trials:
            left_out.append(_left_out(store, holding, experiments.get(holding.experiment)))
    entries = [
        _entry(store, experiment, held[name])
        for name, experiment in experiments.items()
        if name in held
    ]
    return Report(tuple(entries), tuple(left_out))


def _entry(store: Store, experiment: Experiment, held: Sequence[Holding]) -> Entry:
    trials = store.trials(experiment.name, fingerprint=held[0].fingerprint)
    return Entry(
        experiment=experiment,
        trials=tuple(trials),
        summary=summarise(experiment, trials, sum(each.seconds for each in held)),
        asked=sum(each.asked for each in held),
        seeds=tuple(each.seed for each in held),
        versions=tuple(sorted({one for each in held for one in each.versions})),
        instruction_sets=tuple(sorted({one for each in held for one in each.instruction_sets})),
    )


def _left_out(store: Store, holding: Holding, now: Experiment | None) -> str:
    what = f"{words.count(holding.trials, 'trial')} of {holding.experiment} (seed {holding.seed})"
    if now is None:
        return f"{what}: this version knows no such experiment"
    changes = differences(store.settings(holding.fingerprint), settings_of(now))
    return f"{what}: they ran with other settings ({'; '.join(changes)})"


def stored(store: Store, experiment: Experiment, seed: int, asked: int) -> Entry:
    """The entry of one run, as far as the store holds it: trials 0 to ``asked - 1`` of a seed.

    Where the store holds more trials of this seed, these are given their share of its wall time.
    """
    mark = fingerprint(experiment)
    held = store.trials(experiment.name, seed, mark)
    trials = [trial for trial in held if trial.index < asked]
    wall = sum(
        each.seconds for each in store.holdings() if (each.fingerprint, each.seed) == (mark, seed)
    )
    work = sum(trial.seconds for trial in held)
    part = sum(trial.seconds for trial in trials) / work if work > 0 else 1.0
    return Entry(
        experiment=experiment,
        trials=tuple(trials),
        summary=summarise(experiment, trials, wall * part),
        asked=asked,
        seeds=(seed,),
    )


def unstored(experiment: Experiment, trials: Sequence[Trial], seed: int, seconds: float) -> Entry:
    """The entry of a run that nothing was kept of."""
    summary = summarise(experiment, trials, seconds)
    return Entry(experiment, tuple(trials), summary, asked=len(trials), seeds=(seed,))


# --- tables --------------------------------------------------------------------------------------


class Column(NamedTuple):
    """One column of the main table."""

    head: str
    cell: Callable[[Entry], str]


COLUMNS = (
    Column("row", lambda entry: entry.experiment.name),
    Column("task", lambda entry: entry.experiment.title),
    Column("solved", lambda entry: words.solved(entry.summary)),
    Column("95 %", lambda entry: words.rate_interval(entry.summary.success_ci95)),
    Column("paper", lambda entry: words.percent(entry.summary.published.success_percent)),
    Column("sequences", lambda entry: words.mean_sequences(entry.summary)),
    Column("median", lambda entry: words.number(entry.summary.sequences_median)),
    Column("paper", lambda entry: words.number(entry.summary.published.sequences)),
    Column("ratio", lambda entry: words.ratio(entry.summary)),
    Column("time", lambda entry: words.duration(entry.summary.seconds)),
)
TEXT_COLUMNS = ("row", "task")
"""Heads of columns that hold text and stand to the left; figures stand to the right."""
DISPENSABLE = ("task", "median", "95 %", "time", "ratio")
"""Heads of columns that a narrow terminal does without, the first to go first."""


def terminal(report: Report, *, width: int = 80) -> RenderableType:
    """The table for a terminal, with as many columns as fit; with all figures from 80 on."""
    columns, gap = _fitting(report.entries, width)
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for column in columns:
        text = column.head in TEXT_COLUMNS
        table.add_column(column.head, justify="left" if text else "right", no_wrap=True)
    for entry in report.entries:
        table.add_row(*(Text(column.cell(entry), style=_style(entry)) for column in columns))
    lines = [LEGEND, *footnotes(report)]
    return Group(table, Text(), *(Text(line, style="dim") for line in lines))


def _fitting(entries: Sequence[Entry], width: int) -> tuple[list[Column], int]:
    """Columns that fit side by side, and the gap between them."""
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
    """What must be said under the table: failures, further figures, what was left out."""
    lines = [
        f"{entry.experiment.name}: {note}." for entry in report.entries for note in entry.notes
    ]
    for entry in report.entries:
        figures = []
        for name, ours in entry.summary.measures.items():
            beside = words.beside(name, entry.summary.published.others)
            if beside:
                theirs = ", ".join(f"{who} {words.number(value)}" for who, value in beside)
                figures.append(f"{words.label(name)} {words.number(ours)} ({theirs})")
        if figures:
            lines.append(f"{entry.experiment.name}: {', '.join(figures)}.")
    return [*lines, *(f"Left out: {line}." for line in report.left_out)]


def markdown(report: Report) -> str:
    """The table, its footnotes, stop rules and readings in Markdown."""
    heads = [column.head for column in COLUMNS]
    rule = [":--" if head in TEXT_COLUMNS else "--:" for head in heads]
    rows = [[escaped(column.cell(entry)) for column in COLUMNS] for entry in report.entries]
    table = ["| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows)]
    return "\n".join(
        [
            "# Experiments of 1997, run again",
            *("", f"Columns headed “paper” are printed in {SOURCE}. {LEGEND}"),
            *("", *table),
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
    """Every choice once, with the rows that made it."""
    rows: dict[str, list[str]] = {}
    for entry in entries:
        for each in entry.experiment.readings:
            line = f"{words.choice(each)}. Why: {each.why}"
            rows.setdefault(line, []).append(entry.experiment.name)
    return [f"{line} ({', '.join(names)})" for line, names in rows.items()]


def provenance(entries: Sequence[Entry]) -> str:
    """Which package, seeds and instruction sets the trials come from."""
    seeds = sorted({seed for entry in entries for seed in entry.seeds})
    versions = sorted({one for entry in entries for one in entry.versions})
    sets = sorted({one for entry in entries for one in entry.instruction_sets})
    trials = sum(len(entry.trials) for entry in entries)
    return (
        f"{words.count(trials, 'trial')} run by carrousel {', '.join(versions) or words.ABSENT}, "
        f"instruction set {', '.join(sets) or words.ABSENT}, "
        f"seed {', '.join(map(str, seeds)) or words.ABSENT}."
    )


def escaped(text: str) -> str:
    """Text that Markdown shows as it stands."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)
