"""Report as a single HTML page that contains all scripts and styles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from carrousel import words
from carrousel.contracts import Trial
from carrousel.experiments.report import labels
from carrousel.experiments.report.collect import LEGEND, SOURCE, Entry, Report
from carrousel.experiments.report.show import facts
from carrousel.experiments.report.table import COLUMNS, TEXT_COLUMNS, footnotes, provenance
from carrousel.page.render import json_for_script, render

TEMPLATES = Path(__file__).parent / "templates"
MEDIAN_POINTS = 200


def html(report: Report) -> str:
    """Return the page: tables, an overview of all rows, learning curves of each row.

    Raises:
        MissingExtraError: jinja2 or plotly is not installed.
    """
    return render(
        TEMPLATES,
        columns=COLUMNS,
        text_columns=TEXT_COLUMNS,
        endings={"solved": "solved", "budget": "unsolved", "diverged": "diverged"},
        entries=report.entries,
        facts=facts,
        footnotes=footnotes(report),
        legend=LEGEND,
        overview=json_for_script(overview(report.entries)),
        curves={entry.experiment.name: json_for_script(curves(entry)) for entry in report.entries},
        provenance=provenance(report.entries),
        source=SOURCE,
        labels=labels,
        words=words,
    )


def overview(entries: Sequence[Entry]) -> dict[str, Any]:
    """Ratio of our mean number of sequences to the paper's, with interval, if both are known."""
    rows = []
    for entry in entries:
        mean, theirs = entry.summary.sequences_mean, entry.summary.published.sequences
        if mean is not None and theirs:
            low, high = entry.summary.sequences_ci95 or (mean, mean)
            rows.append(
                {
                    "name": entry.experiment.name,
                    "title": entry.experiment.title,
                    "ratio": mean / theirs,
                    "low": max(low, mean / 10) / theirs,  # a log axis cannot show 0
                    "high": high / theirs,
                    "over": labels.solved(entry.summary),
                }
            )
    return {"rows": rows}


def curves(entry: Entry) -> dict[str, Any]:
    """Learning curves of an entry's trials, their median, our mean and the paper's."""
    return {
        "name": entry.experiment.name,
        "trials": [
            {
                "index": trial.index,
                "seed": trial.seed,
                "ending": trial.ending,
                "sequences": trial.sequences,
                "seen": [seen for seen, _ in trial.curve],
                "error": [_positive(error) for _, error in trial.curve],
            }
            for trial in entry.trials
        ],
        "median": median_curve(entry.trials),
        "paper": entry.summary.published.sequences,
        "ours": entry.summary.sequences_mean,
    }


def median_curve(trials: Sequence[Trial]) -> dict[str, list[Any]]:
    """Median error over all trials, up to the point where half of them have ended.

    Ended trials count with their last error, so that the median is not that of slow trials alone.

    >>> two = [Trial("x", n, 0, "solved", 20, 200, 0.1, {}, ((10, 4.0), (20, n))) for n in (1, 3)]
    >>> found = median_curve(two)
    >>> found["error"][0], found["error"][-1], found["seen"][-1]
    (4.0, 2.0, 20)
    """
    drawn = [trial for trial in trials if trial.curve]
    if len(drawn) < 2:
        return {"seen": [], "error": []}
    stop = sorted(trial.curve[-1][0] for trial in drawn)[(len(drawn) - 1) // 2]
    start = min(trial.curve[0][0] for trial in drawn)
    grid = np.unique(np.linspace(start, stop, MEDIAN_POINTS).astype(np.int64))
    table = np.empty((len(drawn), grid.size))
    with np.errstate(divide="ignore", invalid="ignore"):  # the logarithm of zero, inf - inf
        for row, trial in zip(table, drawn, strict=True):
            seen, error = (np.array(each, dtype=float) for each in zip(*trial.curve, strict=True))
            error[~np.isfinite(error)] = np.inf  # diverged trials have the largest error
            row[:] = np.exp(np.interp(grid, seen, np.log(error)))  # linear on a log axis
        table[np.isnan(table)] = np.inf
        middle = np.median(table, axis=0).tolist()
    return {"seen": grid.tolist(), "error": [_positive(value) for value in middle]}


def _positive(value: float) -> float | None:
    """Four digits of a number; None if a logarithmic axis cannot show it."""
    return float(f"{value:.4g}") if math.isfinite(value) and value > 0 else None
