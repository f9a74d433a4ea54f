"""The pages below ``docs/reproduction``: every LSTM row of the tables, from the committed runs.

This module writes the page that sums up; ``reproduction_rows.py`` the pages of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tools.pages.reproduction.cost import cost, far
from tools.pages.reproduction.rows import PAGES, link, page, picture, pictured
from tools.pages.rivals import table

from carrousel import words
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.judge.bootstrap import RESAMPLES
from carrousel.experiments.judge.verdict import KINDS, verdict
from carrousel.experiments.paper.lstm import LSTM_ROWS
from carrousel.experiments.recipes.catalogue import EVERYTHING, by_recipe
from carrousel.experiments.report import labels
from carrousel.experiments.report.collect import Entry, Report
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import Store
from carrousel.experiments.study.study import Study, Variation, find, median_in_words
from carrousel.shapes import Interval

LONG_ROWS = (*(f"2c-{n}" for n in range(3, 10)), "3a-3", "3b-3", "4-2", "4-3")
"""Rows with sequences of two hundred steps and more, for which fewer trials are affordable."""
AIM, AIM_OF_LONG_ROWS = (49, 50), (19, 20)
"""How many trials of how many the robust recipe is to solve."""

HEAD = """# Tables 1 to 9, run again

Every LSTM row of the tables of Hochreiter & Schmidhuber, “Long Short-Term Memory”, Neural
Computation 9(8), 1997, learned with plain gradient descent on its truncated gradient.
`tools/pages/__main__.py` writes this page and those of the rows from the committed runs; no figure is
typed in but the paper's. What the columns mean, and how far to trust them, stands
[below](#how-figures-are-had).
"""

PAPER = """
## As the paper has it

Verdicts are computed by one rule ([below](#how-figures-are-had)). “Departs in” names the settings
in which a row contradicts what the paper prints, instead of answering where it is silent; why, is
told on the page of the row.
"""

RECIPES = """
## Off the paper

The same rows by two recipes. `robust` keeps the network and the truncated gradient, and moves a few
settings off the paper so that every trial succeeds (in the rows with the longest lags, Adam's steps
along that gradient instead of plain descent); its aim is 49 of 50
trials, or 19 of 20 where sequences have two hundred steps and more. `modern` takes what came later:
back-propagation through time, Adam, forget gates. What each changes is told on the page of the row.
"""

LEARNED = """
## What the study says

- **Ranges of g and h.** Text and caption of Table 10 contradict each other. With `h` in [-2, 2],
  as the caption has it, Experiments 1 and 4 come closer to the printed figures than with the
  text's.
- **Experiment 1.** Cells drift to large states and serve as biases, which the outputs lack; a net
  that has settled so does not leave. Neither the test, nor the targets, nor how strings are drawn
  changes that. The full gradient (`learner=bptt`, `rtrl`) succeeds about as early as printed and
  in more trials than the truncated one, but not in all either.
- **2a.** A hundred steps through a half-open gate add up to a state that saturates the outputs;
  with the gate's weights started lower the printed counts nearly come out, at a rate above the
  printed one.
- **2b.** If every next symbol is asked for, nothing tells a net that the end has come, and no
  setting solves the task; asked for the last symbol alone, it is nearly as quick as printed.
- **2c.** Without biases, gates that stand at one half act on the cells as biases do, at every
  step: what they add to a state grows with the lag, and so does the gain of the loop that learns
  to undo it. A small initial range helps up to a lag of 200; beyond, plain descent at the printed
  rate solved no trial. Started with closed input gates, and with steps that do not shrink with
  the gate's opening, the same cells and the same truncated gradient carry far beyond the paper's
  lags.
- **Experiments 4 and 5.** The exception for a marked first pair must hold in the input; and
  without the output's derivative in the error, learning ends where targets touch 0 and 1.
"""

RIVALS = """
## Its rivals

What the paper sets beside LSTM, judged by the same rule; more stands in
[rivals.md](../rivals.md). A rival that is solved more often than printed is *not reproduced*
either.
"""

FURTHER = """
## Further figures that the paper prints

Means over solved trials, of the row as it stands.
"""

HOW = f"""
## How figures are had

A trial draws its weights and all its sequences from random numbers that follow from the seed, the
name of the experiment and the number of the trial, and from nothing else. It is *solved* when the
row's stop rule holds; or it is given up when its budget of sequences is spent, or because weights
left the finite numbers.

- **Solved** is followed by Wilson's 95 % interval of the rate.
- **Mean** is over solved trials alone, as in the paper's tables; its 95 % interval is bootstrapped
  (BCa, {RESAMPLES:,} resamples). Where many trials fail, this mean is too low: the slow ones are
  missing from it.
- **Median** keeps them in. A trial that was given up is *censored*: all that is known of it is that
  success would have taken longer. The estimator of Kaplan and Meier counts it as unsolved up to
  there, and the median is where its curve falls below one half; “> n” says that it had not by n.
- **Ratio** is our mean over the paper's.
- **Verdict**: *not reproduced* if Wilson's interval of our rate ends more than five points below
  the printed percentage (where none is printed, all were solved). Otherwise *reproduced* if the
  interval of our mean holds the printed mean, *faster* if it lies below, *slower* if above;
  where trials are unsolved, the interval is widened to hold the mean with these counted up to the
  budget. *Pending* until as many trials have ended as the paper ran. The printed means have errors
  of their own, which are not printed; so some rows must come out as faster or slower by chance.

Where the paper leaves a choice, values were searched on grids, whose points are the variations on
the pages of the rows. The best of many points was partly chosen by luck, and its own trials flatter
it. A row's figures do not come from such trials: names of variations differ from the row's, and
with the name all random numbers do, so a row's trials are fresh. What cannot be undone is that
choices were made by people who knew the printed figures: *reproduced* says that the paper's text
has a reading under which its figures come out, not that its authors' program was this one.
"""


def reproduction_pages(
    store: Store,
    report: Report,
    machine: Mapping[str, Any] | None,
    memory: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Every file of ``docs/reproduction`` by its name.

    Args:
        store: with trials of the rows, their recipes and variations.
        report: what it holds of :data:`EXPERIMENTS`.
        machine: what is known of the machine that ran them.
        memory: what ``benchmarks/learn/far.py`` measured, by row.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    studies = {name: find(store, row) for name, row in LSTM_ROWS.items()}
    found = {"README.md": _summary(studies, report, machine, memory)}
    for file in PAGES:
        found[file] = page(file, studies)
    drawn = {f"{name}.svg": picture(study) for name, study in studies.items() if pictured(study)}
    return {**found, **drawn}


def verdict_of(entry: Entry | None) -> str:
    """The verdict on a row's trials in a word or two, for the table of the front page."""
    if entry is None:
        return words.ABSENT
    return verdict(entry.experiment, entry.trials, asked=entry.asked).label


def _summary(
    studies: Mapping[str, Study],
    report: Report,
    machine: Mapping[str, Any] | None,
    memory: Mapping[str, Any] | None,
) -> str:
    entries = {entry.experiment.name: entry for entry in report.entries if entry.trials}
    parts = [
        HEAD + "\n" + _counted(studies),
        PAPER + "\n" + _paper(studies),
        RECIPES + "\n" + _recipes(studies),
        LEARNED,
        RIVALS + "\n" + _rivals(entries),
        FURTHER + "\n" + _further(entries),
        HOW,
        "\n## What a full run costs\n\n" + cost(entries, machine),
        far(entries, memory),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _counted(studies: Mapping[str, Study]) -> str:
    """How many rows got which verdict, and how many trials stand behind all of it."""
    labels = [study.base.verdict.label if study.base else "pending" for study in studies.values()]
    known = sorted(set(labels), key=lambda label: (KINDS.index(_kind(label)), label))
    told = "; ".join(f"{labels.count(label)} {label}" for label in known)
    trials = sum(len(one.trials) for study in studies.values() for one in study.variations)
    points = sum(len(study.variations) for study in studies.values())
    return (
        f"Of {len(labels)} rows: {told}. "
        f"{words.count(trials, 'trial')} of {words.count(points, 'set')} of settings."
    )


def _kind(label: str) -> Any:
    return label.partition(",")[0]


def _paper(studies: Mapping[str, Study]) -> str:
    heads = ["row", "task", "verdict", "departs in", "paper: solved", "sequences", "ours: solved"]
    heads += ["95 %", "mean", "interval", "median", "ratio"]
    rows = []
    for name, study in studies.items():
        row, published, base = study.experiment, study.experiment.published, study.base
        departs = ", ".join(each.field for each in row.readings if each.departs)
        judged = base.verdict.label if base else "pending"
        theirs = [words.percent(published.success_percent), words.number(published.sequences)]
        rows.append(
            [link(name), row.title, judged, departs or words.ABSENT, *theirs, *_ours(base, True)]
        )
        mean = base.outcome.mean if base else None
        ratio = mean / published.sequences if mean and published.sequences else None
        rows[-1].append(words.ABSENT if ratio is None else f"{ratio:.2f}")
    return table(heads, rows, text_columns=4)


def _ours(one: Variation | None, intervals: bool = False) -> list[str]:
    """Solved (with interval), mean (with interval), median."""
    if one is None:
        return [words.ABSENT] * (5 if intervals else 3)
    found = one.outcome
    solved = f"{found.solved} of {found.trials}"
    if len(one.trials) < one.asked:
        solved += " so far"
    cells = [solved, words.rate_interval(found.rate_ci95), _whole(found.mean)]
    cells += [_range(found.mean_ci95), median_in_words(found)]
    return cells if intervals else [cells[0], cells[2], cells[4]]


def _recipes(studies: Mapping[str, Study]) -> str:
    heads = ["row", "robust: solved", "mean", "median", "aim reached"]
    heads += ["modern: solved", "mean", "median"]
    rows = []
    for name, study in studies.items():
        robust, modern = (recipe_in(study, recipe) for recipe in ("robust", "modern"))
        aim = reached(robust, AIM_OF_LONG_ROWS if name in LONG_ROWS else AIM)
        rows.append([link(name), *_ours(robust), aim, *_ours(modern)])
    return table(heads, rows, text_columns=1)


def recipe_in(study: Study, recipe: str) -> Variation | None:
    """The trials of a row by a recipe as it is now, if there are any."""
    name = f"{study.experiment.name} {recipe}"
    if name not in EVERYTHING:
        return None
    mark = fingerprint(by_recipe(study.experiment, recipe))
    return next((one for one in study.variations if one.fingerprint == mark), None)


def reached(one: Variation | None, aim: tuple[int, int]) -> str:
    """Whether as large a share of trials was solved as was aimed at, of as many at least."""
    if one is None:
        return words.ABSENT
    solved, trials = one.outcome.solved, one.outcome.trials
    if trials < aim[1] or len(one.trials) < one.asked:
        return "pending"
    return "yes" if solved * aim[1] >= aim[0] * trials else "no"


def _rivals(entries: Mapping[str, Entry]) -> str:
    rows = []
    for name, row in EXPERIMENTS.items():
        if name.startswith(("1/", "2a/", "2b/")):
            percent = row.published.success_percent
            theirs = "some" if percent is None else words.percent(percent)
            ours = labels.solved(entries[name].summary) if name in entries else words.ABSENT
            rows.append([name, row.title, verdict_of(entries.get(name)), theirs, ours])
    return table(["row", "task and method", "verdict", "paper", "solved"], rows, text_columns=3)


def _further(entries: Mapping[str, Entry]) -> str:
    rows = []
    for name, row in LSTM_ROWS.items():
        measures = entries[name].summary.measures if name in entries else {}
        rows += [
            [name, labels.label(key), _figure(measures.get(key)), _figure(value)]
            for key, value in row.published.others.items()
        ]
    return table(["row", "figure", "ours", "paper"], rows, text_columns=2)


def _figure(value: float | None) -> str:
    """A figure that may be small, without an exponent."""
    if value is None or not 0 < abs(value) < 1:
        return words.number(value)
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")


def _range(interval: Interval | None) -> str:
    return words.ABSENT if interval is None else " to ".join(map(_whole, interval))


def _whole(value: float | None) -> str:
    return words.number(value if value is None or value < 100 else round(value))
