"""The pages below ``docs/reproduction``: every LSTM row of the tables, from the committed runs.

This module writes the summary; ``rows.py`` writes the pages of the experiments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.pages.figures import Entries, entries_of, published_success, verdict_label
from tools.pages.render import render
from tools.pages.reproduction.cost import cost, far
from tools.pages.reproduction.mechanisms import pictures
from tools.pages.reproduction.principle import principle
from tools.pages.reproduction.readings import recipe_in
from tools.pages.reproduction.rows import PAGES, link, page, picture, pictured, small_range

from carrousel import words
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.judge.bootstrap import RESAMPLES
from carrousel.experiments.judge.verdict import KINDS
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.robust import ROBUST
from carrousel.experiments.report import labels
from carrousel.experiments.report.collect import Report, kernel_notes
from carrousel.experiments.report.markdown import table
from carrousel.experiments.store.store import Store
from carrousel.experiments.study.study import Study, Variation, find, median_in_words
from carrousel.shapes import Interval

LONG_ROWS = (*(f"2c-{n}" for n in range(3, 10)), "3a-3", "3b-3", "4-2", "4-3")
"""Rows with sequences of two hundred steps or more, for which fewer trials are affordable."""
AIM, AIM_OF_LONG_ROWS = (49, 50), (19, 20)
"""Aim of the robust recipe: solved trials, of so many trials."""


def reproduction_pages(
    store: Store,
    report: Report,
    machine: Mapping[str, Any] | None,
    memory: Mapping[str, Any] | None = None,
    mechanisms: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Write every file of ``docs/reproduction``, by its name.

    Args:
        store: holds trials of the rows, their recipes and variations.
        report: of the experiments in the store.
        machine: description of the machine that ran them.
        memory: results of ``benchmarks/learn/far.py``, by row.
        mechanisms: results of ``tools/mechanisms``, by the page that shows them.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    studies = {name: find(store, row) for name, row in LSTM_ROWS.items()}
    found = {"README.md": _summary(studies, entries_of(report), machine, memory)}
    for file in PAGES:
        found[file] = page(file, studies, mechanisms or {})
    drawn = {f"{name}.svg": picture(study) for name, study in studies.items() if pictured(study)}
    return {**found, **drawn, **pictures(mechanisms or {})}


def _summary(
    studies: Mapping[str, Study],
    entries: Entries,
    machine: Mapping[str, Any] | None,
    memory: Mapping[str, Any] | None,
) -> str:
    return render(
        "reproduction/README.md",
        counts=_counts(studies),
        kernels=kernel_notes({name: entry.kernel for name, entry in entries.items()}),
        paper=_paper(studies),
        recipes=_recipes(studies),
        principle=principle(studies),
        rivals=_rivals(entries),
        further=_further(studies),
        resamples=f"{RESAMPLES:,}",
        cost=cost(entries, machine),
        far=far(entries, memory),
    )


def _counts(studies: Mapping[str, Study]) -> dict[str, Any]:
    """Count the rows by verdict, and the trials of all settings together."""
    bases = [study.base for study in studies.values()]
    found = [base.verdict.group if base else "pending" for base in bases]
    known = sorted(set(found), key=lambda label: (KINDS.index(_kind(label)), label))
    trials = sum(len(one.trials) for study in studies.values() for one in study.variations)
    settings = sum(len(study.variations) for study in studies.values())
    return {
        "rows": len(found),
        "met": sum(base is not None and base.verdict.met for base in bases),
        "verdicts": "; ".join(f"{found.count(label)} {label}" for label in known),
        "trials": words.count(trials, "trial"),
        "settings": words.count(settings, "set"),
    }


def _kind(label: str) -> Any:
    return label.partition(",")[0]


def _paper(studies: Mapping[str, Study]) -> str:
    heads = ["row", "task", "verdict", "departs in", "paper: solved", "sequences", "ours: solved"]
    heads += ["95 %", "mean", "interval", "median", "ratio", "interval"]
    rows = []
    for name, study in studies.items():
        row, published, base = study.experiment, study.experiment.published, study.base
        departs = ", ".join(each.field for each in row.readings if each.departs)
        judged = base.verdict.label if base else "pending"
        theirs = [words.percent(published.success_percent), words.number(published.sequences)]
        rows.append(
            [link(name), row.title, judged, departs or words.ABSENT, *theirs, *_ours(base, True)]
        )
        rows[-1] += _ratio(base)
    return table(heads, rows, "llllr")


def _ours(one: Variation | None, intervals: bool = False) -> list[str]:
    """Cells of solved trials and mean, with their intervals if wanted, and of the median."""
    if one is None:
        return [words.ABSENT] * (5 if intervals else 3)
    found = one.outcome
    solved = f"{found.solved} of {found.trials}"
    if len(one.trials) < one.asked:
        solved += " so far"
    cells = [solved, words.rate_interval(found.rate_ci95), _whole(found.mean)]
    cells += [_range(found.mean_ci95), median_in_words(found)]
    return cells if intervals else [cells[0], cells[2], cells[4]]


def _ratio(base: Variation | None) -> list[str]:
    """Cells of the ratio of the means and of its interval."""
    figures = base.verdict.figures if base else None
    if figures is None or figures.ratio is None:
        return [words.ABSENT] * 2
    known = figures.ratio_ci95
    return [
        f"{figures.ratio:.2f}",
        words.ABSENT if known is None else f"{known[0]:.2f} to {known[1]:.2f}",
    ]


def _recipes(studies: Mapping[str, Study]) -> str:
    heads = ["row", "robust: settings", "solved", "mean", "median", "aim reached"]
    heads += ["modern: solved", "mean", "median"]
    rows = []
    for name, study in studies.items():
        changed, modern = name in ROBUST, recipe_in(study, "modern")
        robust = recipe_in(study, "robust") if changed else study.base
        settings = "changed" if changed else "the row's"
        aim = reached(robust, AIM_OF_LONG_ROWS if name in LONG_ROWS else AIM)
        rows.append([link(name), settings, *_ours(robust), aim, *_ours(modern)])
    return table(heads, rows, "ll")


def reached(one: Variation | None, aim: tuple[int, int]) -> str:
    """Whether the share of solved trials reaches the aim, over at least as many trials."""
    if one is None:
        return words.ABSENT
    solved, trials = one.outcome.solved, one.outcome.trials
    if trials < aim[1] or len(one.trials) < one.asked:
        return "pending"
    return "yes" if solved * aim[1] >= aim[0] * trials else "no"


def _rivals(entries: Entries) -> str:
    rows = []
    for name, row in EXPERIMENTS.items():
        if name.startswith(("1/", "2a/", "2b/")):
            printed = published_success(row.published.success_percent)
            ours = labels.solved(entries[name].summary) if name in entries else words.ABSENT
            rows.append([name, row.title, verdict_label(entries, name), printed, ours])
    return table(["row", "task and method", "verdict", "paper", "solved"], rows, "lllr")


def _further(studies: Mapping[str, Study]) -> str:
    rows = []
    for name, study in studies.items():
        known = study.base.verdict.figures.measures if study.base else ()
        ours = {each.name: each for each in known}
        for key, printed in study.experiment.published.others.items():
            each = ours.get(key)
            cells = [words.ABSENT] * 2
            if each is not None:
                cells = [words.small(each.ours), small_range(each.ours_ci95)]
            rows.append([link(name), labels.label(key), *cells, words.small(printed)])
    return table(["row", "figure", "ours", "95 %", "paper"], rows, "llr")


def _range(interval: Interval | None) -> str:
    return words.ABSENT if interval is None else " to ".join(map(_whole, interval))


def _whole(value: float | None) -> str:
    return words.number(value if value is None or value < 100 else round(value))
