"""The page ``docs/estimators_results.md`` and its picture: classifiers of series side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from tools.pages.gradients import interval
from tools.pages.plot import Curve, curves_svg
from tools.pages.render import render

from carrousel import words
from carrousel.experiments.report.markdown import escaped, table

OURS = "LSTMClassifier"
PICTURE = "estimators_results-cuts.svg"
CUTS, GAPS = ("25", "50", "75", "100"), ("20", "50")
COSTS: Mapping[str, str] = {
    "fit_seconds": "Seconds of fit",
    "kilobytes": "Size of the model in kB",
    "step_us": "Microseconds a step, all test series together",
    "answer_us": "Microseconds for the next answer of a live series",
}
Read = Callable[[Mapping[str, Any]], float]
"""Reads a figure from those of a seed."""


class Condition(NamedTuple):
    """What a table of accuracies shows: its heading, and how to read it from a seed."""

    title: str
    read: Read


def estimators_page(
    measured: Mapping[str, Any], larger: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Write the page and its picture, by file name, from results of ``benchmarks/estimators``."""
    results = Results(measured["sets"])
    conditions = [
        *(Condition(f"{cut} % of the steps", _reader("cuts", cut)) for cut in CUTS),
        *(Condition(f"{gap} % of the values missing", _reader("gaps", gap)) for gap in GAPS),
    ]
    whole, machine = conditions[CUTS.index("100")], measured["machine"]
    picture = _picture(results)
    page = render(
        "estimators_results.md",
        sets=len(results.sets),
        data=_data(results),
        larger=_larger_table(larger) if larger else None,
        ours=OURS if OURS in results.names else None,
        whole=accuracy_table(results, whole),
        cuts={c.title: accuracy_table(results, c) for c in conditions[: len(CUTS) - 1]},
        gaps={c.title: accuracy_table(results, c) for c in conditions[len(CUTS) :]},
        verdicts=_verdicts(results, conditions),
        costs={title: _cost_table(results, name) for name, title in COSTS.items()},
        incomplete=_incomplete(results),
        picture=PICTURE if picture else None,
        versions=", ".join(f"{k} {v}" for k, v in measured["packages"].items()),
        processor=machine["processor"],
    )
    return {"estimators_results.md": page} | ({PICTURE: picture} if picture else {})


def _reader(part: str, percent: str) -> Read:
    return lambda seed: 100.0 * seed[part][percent]


class Results:
    """Figures by data set, contender and seed.

    Args:
        sets: of the saved results.
    """

    def __init__(self, sets: Mapping[str, Any]) -> None:
        self.sets = sets
        found = dict.fromkeys(name for facts in sets.values() for name in facts["rows"])
        self.names = sorted(found, key=lambda name: (not name.startswith(OURS), name))

    def values(self, problem: str, name: str, read: Read) -> list[float]:
        """Return the figure of every seed; empty if there is none."""
        seeds = self.sets[problem]["rows"].get(name, {})
        return [read(seeds[seed]) for seed in sorted(seeds, key=int)]

    def interval(self, problem: str, name: str, read: Read) -> tuple[float, float] | None:
        """Return mean and half of the 95 % interval over seeds; None without figures."""
        values = self.values(problem, name, read)
        return interval(values) if values else None


def accuracy_table(results: Results, condition: Condition) -> str:
    """Table of accuracies in percent: a contender a line, a data set a column, the best bold."""
    columns, best = {}, {}
    for problem in results.sets:
        found = {n: results.interval(problem, n, condition.read) for n in results.names}
        columns[problem] = found
        best[problem] = max((one[0] for one in found.values() if one), default=None)
    rows = []
    for name in results.names:
        cells = [columns[problem][name] for problem in results.sets]
        means = [cell[0] for cell in cells if cell]
        shown = [
            _cell(cell, best[problem]) for problem, cell in zip(results.sets, cells, strict=True)
        ]
        full = len(means) == len(cells)
        rows.append([escaped(name), *shown, f"{np.mean(means):.1f}" if full else words.ABSENT])
    return table(["contender", *map(escaped, results.sets), "mean"], rows)


def _cell(found: tuple[float, float] | None, best: float | None) -> str:
    if not found:
        return words.ABSENT
    mean = f"**{found[0]:.1f}**" if found[0] == best else f"{found[0]:.1f}"
    return f"{mean} ± {found[1]:.1f}" if found[1] else mean


def verdict(
    mine: tuple[float, float], other: tuple[float, float]
) -> Literal["higher", "equal", "lower"]:
    """Compare two means; equal: the difference is inside its 95 % interval."""
    difference, half = mine[0] - other[0], float(np.hypot(mine[1], other[1]))
    if abs(difference) <= half:
        return "equal"
    return "higher" if difference > 0 else "lower"


def _verdicts(results: Results, conditions: list[Condition]) -> str | None:
    """Table of how often ours is above, equal to and below the best other; None without ours."""
    rows = []
    for condition in conditions:
        kinds = []
        for problem in results.sets:
            others = [n for n in results.names if not n.startswith(OURS)]
            found = [results.interval(problem, n, condition.read) for n in others]
            best = max((one for one in found if one), default=None)
            mine = results.interval(problem, OURS, condition.read)
            if mine and best:
                kinds.append(verdict(mine, best))
        counts = [str(kinds.count(kind)) for kind in ("higher", "equal", "lower")]
        rows.append([condition.title, *counts])
    heads = ["", "higher", "no difference", "lower"]
    return table(heads, rows) if OURS in results.names else None


def _cost_table(results: Results, cost: str) -> str:
    rows = []
    for name in results.names:
        found = [results.values(problem, name, lambda seed: seed[cost]) for problem in results.sets]
        shown = [_amount(float(np.median(one))) if one else words.ABSENT for one in found]
        rows.append([escaped(name), *shown])
    return table(["contender", *map(escaped, results.sets)], rows)


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _data(results: Results) -> str:
    heads = ["name", "what", "train", "test", "channels", "steps", "classes", "package", "split"]
    rows = []
    for name, facts in results.sets.items():
        low, high = facts["lengths"]
        steps = str(low) if low == high else f"{low} to {high}"
        sizes = [str(facts[key]) for key in ("learned", "tested", "channels")]
        end = [str(facts["classes"]), facts["source"], facts["splitting"]]
        rows.append([escaped(name), facts["title"], *sizes, steps, *end])
    return table(heads, rows, "llrrrrrll")


def _incomplete(results: Results) -> list[str]:
    """Name the contenders with fewer seeds than others, by data set."""
    counts = {
        (problem, name): len(facts["rows"].get(name, {}))
        for problem, facts in results.sets.items()
        for name in results.names
    }
    most = max(counts.values())
    return [
        f"{escaped(name)} on {escaped(problem)}: {n} of {most} seeds"
        for (problem, name), n in counts.items()
        if n < most
    ]


def _picture(results: Results) -> str | None:
    """Draw mean accuracy by the share of steps seen, for contenders with figures on all data sets.

    None if there is none.
    """
    curves = []
    for name in results.names:
        means = [
            [results.interval(problem, name, _reader("cuts", cut)) for cut in CUTS]
            for problem in results.sets
        ]
        if all(one for row in means for one in row):
            y = np.mean([[one[0] for one in row if one] for row in means], axis=0)
            curves.append(Curve(name, np.array(CUTS, float), y[None]))
    if not curves:
        return None
    return curves_svg(
        "Accuracy by the share of the series that was seen",
        curves,
        across="steps seen, percent",
        up=f"mean accuracy on {len(results.sets)} data sets, percent",
    )


def _larger_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of peak memory, one row for each number of series."""
    head = ["series", "file, MB", "before", "opened", "fitted", "predicted", "seconds of fit"]
    keys = ("file_mb", "before_mb", "opened_mb", "fitted_mb", "predicted_mb")
    body = [
        [f"{row['series']:,}", *(f"{row[key]:.0f}" for key in keys), f"{row['fit_s']:.1f}"]
        for row in rows
    ]
    return table(head, body)
