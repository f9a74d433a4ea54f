"""Sections on values: predictions against the truth, errors over time, hardest series."""

from __future__ import annotations

import numpy as np

from carrousel.estimators.report.measures import SHARES, over_shares, units
from carrousel.estimators.report.parts import (
    MOST_POINTS,
    Figure,
    Section,
    Table,
    figure_of,
    name_of,
    plain,
    share_of,
    spread,
)
from carrousel.estimators.report.predictions import ValuePredictions, owners
from carrousel.words import number

HARDEST = 12
MOST_TARGETS = 6
"""Number of targets that are plotted, at most."""
BINS = 30


def residual_sections(found: ValuePredictions) -> list[Section]:
    """Return predictions against the truth and the distribution of errors, for each target."""
    return [
        section
        for k in range(min(len(found.targets), MOST_TARGETS))
        if (section := _residuals(found, k)) is not None
    ]


def _residuals(found: ValuePredictions, k: int) -> Section | None:
    known = np.flatnonzero(np.isfinite(found.truth[:, k]))
    if not len(known):
        return None
    name = name_of(found.targets[k])
    truth, answer = found.truth[known, k], found.answers[known, k]
    some = spread(len(known), MOST_POINTS)
    low, high = float(min(truth.min(), answer.min())), float(max(truth.max(), answer.max()))
    of = known if not found.per_step else owners(found.series)[known]
    scatter = {
        "lines": [
            {
                "name": "equal",
                "x": [low, high],
                "y": [low, high],
                "dash": "dash",
                "colour": "--paper",
            },
            {
                "name": "this model",
                "x": plain(truth[some]),
                "y": plain(answer[some]),
                "mode": "markers",
                "colour": "--ours",
                "text": [name_of(id_of(found, int(of[n]))) for n in some],
            },
        ],
        "x": {"title": f"true {name}"},
        "y": {"title": f"predicted {name}"},
    }
    errors = answer - truth
    counts, edges = np.histogram(errors, BINS)
    middles = (edges[1:] + edges[:-1]) / 2
    bars = {
        "values": counts.tolist(),
        "positions": plain(middles),
        "x": {"title": "predicted minus true"},
        "y": {"title": "answers"},
    }
    absolute = np.abs(errors)
    text = (
        f"Half of the errors are at most {figure_of(float(np.median(absolute)))}, "
        f"nine of ten at most {figure_of(float(np.quantile(absolute, 0.9)))}; "
        f"mean error {figure_of(float(errors.mean()))}."
    )
    return Section(
        f"values-{k}",
        f"Predictions of {name}",
        text,
        (
            Figure("lines", scatter, f"Predicted against true {name}. {text}"),
            Figure("bars", bars, f"Distribution of errors of {name}. {text}"),
        ),
    )


def anytime_section(found: ValuePredictions) -> Section:
    """Return the mean absolute error after a share of each series."""
    curve = over_shares(found)
    title = "mean absolute error"
    if found.truth.shape[1] > 1:
        title += ", standard deviations"
    data = {
        "lines": [{"name": title, "x": list(SHARES), "y": plain(curve), "colour": "--ours"}],
        "x": {"title": "share of the series read", "percent": True, "range": [0, 1.02]},
        "y": {"title": title, "zero": True},
    }
    text = "Mean absolute error of the answer after a share of each series."
    shown = [n for n, share in enumerate(SHARES) if share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    heads = ("", *(share_of(SHARES[n]) for n in shown))
    table = Table(heads, ((title, *(figure_of(curve[n]) for n in shown)),))
    return Section("anytime", "Answers over time", text, (Figure("lines", data, text),), (table,))


def hardest_section(found: ValuePredictions) -> Section | None:
    """Return the series with the largest errors."""
    errors = np.abs(found.answers - found.truth) / units(found.truth)
    known = np.isfinite(errors)
    of = owners(found.series) if found.per_step else np.arange(len(found.series))
    count = np.bincount(of, known.sum(axis=1), len(found.series))
    total = np.bincount(of, np.where(known, errors, 0.0).sum(axis=1), len(found.series))
    there = np.flatnonzero(count)
    mean = total[there] / count[there]
    worst = np.argsort(-mean, kind="stable")[:HARDEST]
    if not len(worst):
        return None
    single = not found.per_step and len(found.targets) == 1
    rows = []
    for k in worst:
        n = int(there[k])
        values = (figure_of(found.truth[n, 0]), figure_of(found.answers[n, 0])) if single else ()
        error = figure_of(mean[k])
        steps = number(int(found.series.lengths[n]))
        rows.append((name_of(id_of(found, n)), *values, error, steps))
    heads = ("series", *(("true", "predicted") if single else ()), "mean absolute error", "steps")
    text = "Series with the largest errors, the worst first."
    if len(found.targets) > 1:
        text += " Errors are in standard deviations of each target."
    return Section("hardest", "Hardest series", text, (), (Table(heads, tuple(rows)),))


def id_of(found: ValuePredictions, n: int) -> object:
    """Return the name of series ``n``, or its position."""
    return n if found.series.ids is None else found.series.ids[n]
