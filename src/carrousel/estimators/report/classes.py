"""Sections on classes: confusion, calibration, answers over time, hardest series."""

from __future__ import annotations

from typing import Any

import numpy as np

from carrousel.estimators.anytime.calibrate import calibration_error, reliability_table
from carrousel.estimators.anytime.early import StopRule, early_curve
from carrousel.estimators.report.measures import SHARES, by_class, confusion, judged, over_shares
from carrousel.estimators.report.parts import (
    MOST_CHANNELS,
    Figure,
    Section,
    Spark,
    Table,
    figure_of,
    name_of,
    plain,
    share_of,
    spread,
)
from carrousel.estimators.report.predictions import ClassPredictions, owners
from carrousel.words import number

MOST_IN_MATRIX = 30
"""Classes of a confusion matrix with names and counts; a larger one shows colours alone."""
HARDEST = 12
SPARK_POINTS = 60
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Confidence at which early decisions are shown."""


def confusion_section(found: ClassPredictions) -> Section:
    """Return the confusion matrix, figures of each class, and the most frequent confusions."""
    table, names = confusion(found), [name_of(each) for each in found.classes]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = table / table.sum(axis=1, keepdims=True)
    matrix = {
        "names": names,
        "counts": table.tolist(),
        "shares": plain(shares),
        "text": len(names) <= MOST_IN_MATRIX,
    }
    alt = "Confusion matrix; the table below has the figures of each class."
    tables = [_class_table(table, names)]
    wrong = table - np.diag(np.diag(table))
    pairs = [divmod(int(k), len(names)) for k in np.argsort(-wrong, axis=None)[:10]]
    rows = tuple(
        (names[i], names[j], number(int(wrong[i, j])), share_of(shares[i, j]))
        for i, j in pairs
        if wrong[i, j]
    )
    if rows:
        heads = ("true class", "predicted as", "times", "share of the class")
        tables.append(Table(heads, rows, 2))
    return Section(
        "confusion",
        "Confusion",
        "A row is a true class, a column a predicted one. Colours are shares of the row.",
        (Figure("matrix", matrix, alt),),
        tuple(tables),
    )


def _class_table(table: np.ndarray, names: list[str]) -> Table:
    precision, recall, f1 = by_class(table)
    order = np.argsort(-table.sum(axis=1), kind="stable")[:MOST_CHANNELS]
    return Table(
        ("class", "true", "predicted", "precision", "recall", "F1"),
        tuple(
            (
                names[k],
                number(int(table[k].sum())),
                number(int(table[:, k].sum())),
                share_of(precision[k]),
                share_of(recall[k]),
                share_of(f1[k]),
            )
            for k in order
        ),
    )


def calibration_section(found: ClassPredictions) -> Section | None:
    """Return the reliability diagram; None without a known class."""
    answers, truth = judged(found)
    if not len(truth):
        return None
    rows = [row for row in reliability_table(answers, truth) if row.number]
    points = {
        "name": "this model",
        "x": plain([row.confidence for row in rows]),
        "y": plain([row.accuracy for row in rows]),
        "mode": "lines+markers",
        "sizes": [row.number for row in rows],
        "colour": "--ours",
    }
    ideal = {"name": "perfect calibration", "x": [0, 1], "y": [0, 1], "dash": "dash"}
    data = {
        "lines": [{**ideal, "colour": "--paper"}, points],
        "x": {"title": "confidence in the predicted class", "percent": True, "range": [0, 1.02]},
        "y": {"title": "share that is right", "percent": True, "range": [0, 1.05]},
    }
    error = calibration_error(answers, truth)
    text = (
        f"Expected calibration error: {share_of(error)}. Below the diagonal the model is too sure, "
        "above it too careful. A point is an interval of confidence; its size grows with the "
        "number of answers in it."
    )
    table = Table(
        ("confidence", "answers", "mean confidence", "right"),
        tuple(
            (
                f"{100 * row.low:.0f} to {100 * row.high:.0f} %",
                number(row.number),
                share_of(row.confidence),
                share_of(row.accuracy),
            )
            for row in rows
        ),
    )
    return Section("calibration", "Calibration", text, (Figure("lines", data, text),), (table,))


def anytime_section(found: ClassPredictions) -> Section:
    """Return the accuracy after a share of each series, and that of decisions by confidence."""
    curve = over_shares(found)
    data: dict[str, Any] = {
        "lines": [
            {
                **{"name": "all stop after the same share", "colour": "--ours"},
                **{"x": list(SHARES), "y": plain(curve)},
            }
        ],
        "x": {"title": "mean share of a series read", "percent": True, "range": [0, 1.02]},
        "y": {"title": "accuracy", "percent": True, "range": [0, 1.05]},
    }
    shown = [n for n, share in enumerate(SHARES) if share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    heads = ("", *(share_of(SHARES[n]) for n in shown))
    tables = [Table(heads, (("accuracy", *(share_of(curve[n]) for n in shown)),))]
    text = "Accuracy of the answer after a share of each series, from its first steps to its end."
    known = found.take(found.truth >= 0)
    if len(known.series):
        points = early_curve([StopRule(level) for level in LEVELS], known.by_series, known.truth)
        data["lines"].append(
            {
                **{"name": "each stops when confident", "colour": "--good"},
                **{"mode": "lines+markers", "x": plain([p.share for p in points])},
                **{"y": plain([p.accuracy for p in points])},
                "text": [f"confidence {share_of(p.rule.level)}" for p in points],
            }
        )
        rows = tuple(
            (
                share_of(point.rule.level),
                share_of(point.share),
                figure_of(point.steps),
                share_of(point.accuracy),
            )
            for point in points
        )
        heads = ("stop at confidence", "share read", "steps read", "accuracy")
        tables.append(Table(heads, rows, 0))
        text += (
            " The points are decisions at the first step whose most probable class reaches a fixed "
            "probability, or at the end."
        )
    return Section(
        "anytime", "Answers over time", text, (Figure("lines", data, text),), tuple(tables)
    )


def hardest_section(found: ClassPredictions) -> Section | None:
    """Return the series, or steps, on which the true class has the least probability."""
    answers, truth = judged(found)
    if not len(truth):
        return None
    where = np.flatnonzero(found.truth >= 0)
    given = answers[np.arange(len(truth)), truth]
    if found.per_step:  # the series with the smallest mean probability
        of = owners(found.series)[where]
        total = np.bincount(of, given, len(found.series))
        count = np.bincount(of, minlength=len(found.series))
        right = answers.argmax(axis=1) == truth
        wrong = np.bincount(of, ~right, len(found.series))
        known = np.flatnonzero(count)
        mean = total[known] / count[known]
        worst = known[np.argsort(mean, kind="stable")[:HARDEST]]
        rows = tuple(
            (
                name_of(_id(found, int(n))),
                number(int(found.series.lengths[n])),
                number(int(count[n])),
                share_of(wrong[n] / count[n]),
                share_of(total[n] / count[n]),
                _spark_of_steps(found, int(n)),
            )
            for n in worst
        )
        heads = ("series", "steps", "labels", "wrong", "mean probability of the truth", "by step")
        return Section("hardest", "Hardest series", SPARK_TEXT, (), (Table(heads, rows),))
    worst = np.argsort(given, kind="stable")[:HARDEST]
    rows = tuple(
        (
            name_of(_id(found, int(where[k]))),
            name_of(found.classes[truth[k]]),
            name_of(found.classes[int(answers[k].argmax())]),
            share_of(answers[k].max()),
            share_of(given[k]),
            number(int(found.series.lengths[where[k]])),
            _spark(found, int(where[k]), int(truth[k])),
        )
        for k in worst
    )
    heads = (
        *("series", "true class", "predicted", "its probability", "of the truth", "steps"),
        "by step",
    )
    return Section("hardest", "Hardest series", SPARK_TEXT, (), (Table(heads, rows, 3),))


SPARK_TEXT = (
    "Series on which the true class has the least probability, the worst first. The small curves "
    "show that probability from the first step to the last, between 0 and 1."
)


def _id(found: ClassPredictions, n: int) -> object:
    return n if found.series.ids is None else found.series.ids[n]


def _spark(found: ClassPredictions, n: int, truth: int) -> Spark:
    low, high = found.series.offsets[n : n + 2]
    steps = low + spread(int(high - low), SPARK_POINTS)
    return Spark(tuple(plain(found.outputs[steps, truth])))


def _spark_of_steps(found: ClassPredictions, n: int) -> Spark:
    low, high = found.series.offsets[n : n + 2]
    steps = low + spread(int(high - low), SPARK_POINTS)
    truth = found.truth[steps]
    values = found.outputs[steps, np.maximum(truth, 0)]
    return Spark(tuple(plain(np.where(truth >= 0, values, np.nan))))


def class_counts(found: ClassPredictions) -> Figure:
    """Return how many series, or steps, each class has."""
    _, truth = judged(found)
    counts = np.bincount(truth, minlength=len(found.classes))[:MOST_CHANNELS]
    what = "steps" if found.per_step else "series"
    names = [name_of(each) for each in found.classes[:MOST_CHANNELS]]
    data = {
        "names": names,
        "values": counts.tolist(),
        "x": {"title": "class"},
        "y": {"title": what},
    }
    listed = ", ".join(f"{n} {figure_of(c)}" for n, c in zip(names, counts, strict=True))
    return Figure("bars", data, f"Number of {what} by class: {listed}.")
