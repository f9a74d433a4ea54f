"""Table of a study, for a terminal of any width and as Markdown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from carrousel import words
from carrousel.experiments.judge import centre
from carrousel.experiments.report.collect import OTHER_CODE, kernel_notes
from carrousel.experiments.report.markdown import escaped
from carrousel.experiments.report.markdown import table as write_table
from carrousel.experiments.study.effects import effects
from carrousel.experiments.study.study import (
    Study,
    Variation,
    is_base,
    median_in_words,
    value_in_words,
)
from carrousel.shapes import Interval

LEGEND = (
    f"95 %: Wilson interval of the success rate. Mean: {centre.MEAN}, with its interval "
    f"({centre.INTERVAL}). Median: {centre.MEDIAN}. Per success: sequences of all trials over the "
    "number of solved trials."
)
NARROWEST_LABEL = 16
WIDEST_LABEL = 60


class VariationColumn(NamedTuple):
    """A column of the table of variations."""

    head: str
    cell: Callable[[Variation], str]


COLUMNS = (
    VariationColumn("variation", lambda one: one.label),
    VariationColumn("solved", lambda one: f"{one.outcome.solved} of {one.outcome.trials}"),
    VariationColumn("95 %", lambda one: words.rate_interval(one.outcome.rate_ci95)),
    VariationColumn("mean", lambda one: _number(one.outcome.mean)),
    VariationColumn("interval", lambda one: _range(one.outcome.mean_ci95)),
    VariationColumn("median", lambda one: median_in_words(one.outcome)),
    VariationColumn("per success", lambda one: _number(one.outcome.expected)),
    VariationColumn("verdict", lambda one: one.verdict.kind),
)
TEXT_COLUMNS = ("variation", "verdict")
DISPENSABLE = ("interval", "mean", "95 %", "per success", "verdict")
"""Heads of columns that are omitted in narrow terminals, in this order."""


def terminal(study: Study, *, width: int = 80) -> RenderableType:
    """The table for a terminal, with the paper's figures above and the effects below."""
    experiment = study.experiment
    title = Text.assemble((experiment.name, "bold"), f"  {experiment.title}")
    if not study.variations:
        return Group(title, Text("no trial has ended yet", style="dim"))
    columns, room = _fitting(study.variations, width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        label = column.head == "variation"
        table.add_column(
            column.head,
            justify="left" if column.head in TEXT_COLUMNS else "right",
            no_wrap=not label,
            max_width=room if label else None,
            overflow="fold",
        )
    for one in study.variations:
        style = "bold" if is_base(one) else ""
        table.add_row(*(Text(column.cell(one), style=style) for column in columns))
    lines = [Text(line) for line in effects_in_words(study)]
    below = [Text(), Text("One field changed at a time", style="bold"), *lines] if lines else []
    return Group(
        *(title, Text(printed(study), style="dim"), Text(), table, *below, Text()),
        *(Text(line, style="dim") for line in (LEGEND, *notes(study))),
    )


def _fitting(variations: Sequence[Variation], width: int) -> tuple[list[VariationColumn], int]:
    """Columns that fit into the width, and the width of labels; longer labels are folded."""
    longest = max(len("variation"), *(len(one.label) for one in variations))
    wanted = min(longest, WIDEST_LABEL, max(NARROWEST_LABEL, width // 3))
    columns, room = list(COLUMNS), wanted
    for dropped in range(len(DISPENSABLE) + 1):
        columns = [column for column in COLUMNS if column.head not in DISPENSABLE[:dropped]]
        rest = columns[1:]
        cells = [[column.head, *map(column.cell, variations)] for column in rest]
        room = width - sum(max(map(len, each)) + 2 for each in cells)
        if room >= wanted:
            break
    return columns, min(longest, max(room, 1))


def markdown(study: Study, *, heading: str = "##") -> str:
    """The study in Markdown: the paper's figures, the table, the effects, notes."""
    experiment = study.experiment
    table = markdown_table(study.variations)
    lines = [f"- {escaped(line)}" for line in effects_in_words(study)]
    return "\n".join(
        [
            f"{heading} {escaped(experiment.name)}: {escaped(experiment.title)}",
            *("", escaped(printed(study))),
            *("", *([table] if study.variations else ["No trial has ended yet."])),
            *(["", "One field changed at a time:", "", *lines] if lines else []),
            *("", *(f"- {escaped(line)}" for line in notes(study))),
            "",
        ]
    )


def markdown_table(variations: Sequence[Variation]) -> str:
    """The table alone."""
    align = "".join("l" if column.head in TEXT_COLUMNS else "r" for column in COLUMNS)
    rows = [[escaped(column.cell(one)) for column in COLUMNS] for one in variations]
    return write_table([column.head for column in COLUMNS], rows, align)


def effects_in_words(study: Study) -> list[str]:
    """One line for each level of each field that was varied with all other settings equal."""
    return [line for effect in effects(study) for line in effect.sentences()]


def notes(study: Study) -> list[str]:
    """Notes below the table: the verdict, unfinished runs, changes of recipes."""
    base = study.base
    lines = [f"Verdict on the row as it stands: {_verdict(base)}."] if base else []
    for one in study.variations:
        ended = len(one.trials)
        if ended < one.asked:
            lines.append(
                f"{one.label}: {ended} of {words.count(one.asked, 'trial')} have ended. Quick "
                "trials end first, so these figures are too good until all have ended."
            )
        if diverged := sum(trial.ending == "diverged" for trial in one.trials):
            lines.append(
                f"{one.label}: {words.count(diverged, 'trial')} diverged and "
                f"{'counts' if diverged == 1 else 'count'} as unsolved after the budget of "
                f"{words.number(one.budget)} sequences."
            )
        if one.changes and one.label != " ".join(map(str, one.changes)):
            changed = ", ".join(
                f"{each.path} {value_in_words(each.value)} ({value_in_words(each.default)})"
                for each in one.changes
            )
            lines.append(f"{one.label} (the row's values in brackets): {changed}.")
    lines += [
        f"{line}." for line in kernel_notes({one.label: one.kernel for one in study.variations})
    ]
    others = Counter[int]()
    for one in study.variations:
        others.update(one.others)
    for kernel, number in sorted(others.items()):
        lines.append(
            f"Not counted: {words.count(number, 'trial')} that kernels of version {kernel} ran."
        )
    if study.other_code:
        lines.append(f"Not counted: {words.count(study.other_code, 'trial')} {OTHER_CODE}.")
    if any(level.p is not None for effect in effects(study) for level in effect.levels):
        lines.append(
            "p: p-value of the log-rank test against the row's value, adjusted for the number of "
            "levels compared (Benjamini and Hochberg)."
        )
    return lines


def _verdict(base: Variation | None) -> str:
    return "" if base is None else f"{base.verdict.label} ({base.verdict.words})"


def printed(study: Study) -> str:
    """The paper's figures for the row, as one sentence."""
    published = study.experiment.published
    rate = words.percent(published.success_percent)
    count = words.number(published.sequences)
    return f"{published.table} prints: solved {rate}, {count} sequences on average."


def _number(value: float | None) -> str:
    if value is not None and math.isinf(value):
        return "never"
    return words.number(value if value is None or value < 100 else round(value))


def _range(interval: Interval | None) -> str:
    if interval is None:
        return words.ABSENT
    return " to ".join(_number(end) for end in interval)
