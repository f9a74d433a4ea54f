"""The paper in ``docs/paper``: its text and its pictures, from the store of trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tools.pages.figures import Entries, entries_of
from tools.pages.paper import tables
from tools.pages.paper.cell import cell_svg
from tools.pages.paper.mechanisms import PICTURES, dead_outputs, drift
from tools.pages.paper.outcomes import (
    RowOutcome,
    Total,
    by_kind,
    outcomes,
    total,
)
from tools.pages.paper.ratios import ratios_svg
from tools.pages.paper.references import Citations
from tools.pages.render import render
from tools.pages.reproduction.cost import cost
from tools.pages.rivals import rivals_summary

from carrousel import words
from carrousel.experiments.judge.bootstrap import RESAMPLES
from carrousel.experiments.judge.compare import LEVEL
from carrousel.experiments.judge.verdict import MOST_SLOWER
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.candidates import CANDIDATES
from carrousel.experiments.recipes.catalogue import EVERYTHING, by_recipe
from carrousel.experiments.recipes.principle import FLOOR, PRINCIPLE
from carrousel.experiments.report.collect import Report, collect, kernel_notes
from carrousel.experiments.store.store import Store
from carrousel.kernels import KERNEL_VERSION

TABLES = ("departures", "candidates", "results", "rivals", "principle", "far")
FIGURES = ("cell", "ratios")
"""Names of tables and figures in the order of the text."""


@dataclass(frozen=True)
class _Numbers:
    """Numbers of tables or figures by name."""

    noun: str
    names: Sequence[str]

    def __call__(self, name: str) -> str:
        return f"{self.noun} {self.names.index(name) + 1}"


def paper_pages(
    store: Store,
    report: Report,
    machine: Mapping[str, Any] | None,
    memory: Mapping[str, Any] | None = None,
    mechanisms: Mapping[str, Any] | None = None,
    pictures: Sequence[str] = (),
) -> dict[str, str]:
    """Write every generated file of ``docs/paper``, by its name.

    Args:
        store: holds trials of the rows and of their recipes.
        report: of the experiments in the store.
        machine: description of the machine that ran them.
        memory: results of ``benchmarks/learn/far.py``, by row.
        mechanisms: results of ``tools/mechanisms``, by page.
        pictures: names of the pictures in ``docs/reproduction``.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    entries = entries_of(report)
    recipes = entries_of(collect(store, EVERYTHING))
    found = outcomes(LSTM_ROWS, entries)
    strict = outcomes(_under("principle", PRINCIPLE), recipes)
    cite = Citations()
    shown = [name for name in PICTURES if name in pictures]
    text = render(
        "paper.md",
        cite=cite,
        tab=_Numbers("Table", TABLES),
        fig=_Numbers("Figure", (*FIGURES, *shown)),
        kernel=str(KERNEL_VERSION),
        kernels=kernel_notes({name: entry.kernel for name, entry in entries.items()}),
        resamples=f"{RESAMPLES:,}",
        slowest=words.percent(100 * (MOST_SLOWER - 1)),
        floor=f"{FLOOR:g}",
        level=words.percent(100 * LEVEL),
        sums=_sums(found, entries, recipes),
        verdicts=_verdicts(found),
        one=_total(total(found)),
        grammar=_grammar(found),
        lags=_total(total(one for one in found if one.group == "2c")),
        printed=_total(_printed(found, recipes)),
        strict=_total(total(strict)),
        missed=_missed(found),
        power=_power(found),
        departures=tables.departures(),
        changed=_changed(),
        candidates=tables.candidates(recipes),
        results=tables.results(found),
        rivals=rivals_summary(report),
        principle=tables.principle(strict, found),
        far=tables.far(entries, memory),
        drift=drift(mechanisms or {}),
        dead=dead_outputs(mechanisms or {}),
        shown=shown,
        cost=cost(entries, machine),
    )
    return {"paper.md": text, "cell.svg": cell_svg(), "ratios.svg": ratios_svg(found)}


def _under(recipe: str, names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: by_recipe(row, recipe) for name, row in LSTM_ROWS.items() if name in names}


def _sums(found: Sequence[RowOutcome], entries: Entries, recipes: Entries) -> dict[str, str]:
    """Counts of rows, trials and sequences."""
    everything = {**entries, **recipes}.values()
    tried = [entry for entry in everything if entry.experiment.name.partition(" ")[0] in LSTM_ROWS]
    steps = sum(entry.summary.steps for entry in everything)
    departing = [one for one in found if one.departures]
    return {
        "rows": str(len(found)),
        "row_trials": f"{sum(one.trials for one in found):,}",
        "trials": f"{sum(len(entry.trials) for entry in tried):,}",
        "steps": words.big(steps),
        "departing": str(len(departing)),
        "spreads": str(sum(one.experiment.published.spread is not None for one in found)),
        "met_departing": _total(total(departing))["met"],
        "experiments": str(len(CANDIDATES)),
        "readings": str(sum(len(known) for known in CANDIDATES.values())),
        "ruled": _ruled(recipes),
    }


def _verdicts(found: Sequence[RowOutcome]) -> str:
    """All kinds of verdicts with the number of rows and their names."""
    parts = [
        f"{len(names)} {kind} ({tables.groups(names)})" for kind, names in by_kind(found).items()
    ]
    return "; ".join(parts)


def _total(sums: Total) -> dict[str, str]:
    """Sums as text; they are marked as missing until all rows have a verdict."""
    complete = sums.judged == sums.rows

    def shown(value: float | None) -> str:
        return tables.ratio(value) if complete and value is not None else tables.PENDING

    return {
        "rows": str(sums.rows),
        "judged": str(sums.judged),
        "met": str(sums.met) if complete else tables.PENDING,
        "solved": f"{sums.solved:,}" if sums.trials else tables.PENDING,
        "trials": f"{sums.trials:,}" if sums.trials else tables.PENDING,
        "median": shown(sums.middle),
        "least": shown(min(sums.ratios, default=None)),
        "most": shown(max(sums.ratios, default=None)),
    }


def _grammar(found: Sequence[RowOutcome]) -> dict[str, str]:
    """Solved trials of Experiment 1, ours and the paper's."""
    rows = [one for one in found if one.group == "1"]
    published = [one.experiment.published for one in rows]
    theirs = sum(round((each.success_percent or 0) / 100 * each.trials) for each in published)
    return {
        **_total(total(rows)),
        "printed": str(theirs),
        "printed_trials": str(sum(each.trials for each in published)),
    }


def _printed(found: Sequence[RowOutcome], recipes: Entries) -> Total:
    """Sums of the rows under the print, as far as it can be stated.

    Rows without a candidate reading have the printed settings themselves.
    """
    has: Callable[[str], bool] = lambda name: f"{name} printed" in EVERYTHING  # noqa: E731
    varied = outcomes(_under("printed", {name: None for name in LSTM_ROWS if has(name)}), recipes)
    return total([*varied, *(one for one in found if not has(one.name))])


def _missed(found: Sequence[RowOutcome]) -> list[dict[str, str]]:
    """Rows that were not reproduced, with the reason."""
    return [
        {"name": one.name, "words": one.verdict.words}
        for one in found
        if one.kind == "not reproduced"
    ]


def _power(found: Sequence[RowOutcome]) -> str:
    """Median over rows of half the interval of the ratio, as a share of the ratio."""
    known = [(one.ratio, one.ratio_ci95) for one in found]
    halves = [(ends[1] - ends[0]) / 2 / ratio for ratio, ends in known if ratio and ends]
    return f"{median(halves):.0%}".replace("%", " %") if halves else tables.PENDING


def _ruled(recipes: Entries) -> str:
    """Number of experiments whose rows have the reading that the rule chooses."""
    choices = [tables.choice(recipes, known) for known in CANDIDATES.values()]
    if any(each.pending for each in choices):
        return tables.PENDING
    same = [
        tables.in_rows(each.chosen or "", known[each.chosen or ""].rows)
        for each, known in zip(choices, CANDIDATES.values(), strict=True)
    ]
    return str(sum(same))


def _changed() -> dict[str, str]:
    """Experiments whose rows depart from the print, by what they change."""
    settings = {
        "biases": ("network.bias",),
        "feedback": ("network.feedback", "network.feedback_into"),
        "plain": ("training.output_derivative",),
        "kept": ("training.derivative_floor", "training.derivative_offset"),
    }
    found = {}
    for name, paths in settings.items():
        rows = [
            row
            for row, experiment in LSTM_ROWS.items()
            if any(each.departs and each.field in paths for each in experiment.readings)
        ]
        found[name] = words.listed(tables.groups(rows).split(", ")) if rows else words.ABSENT
    return found
