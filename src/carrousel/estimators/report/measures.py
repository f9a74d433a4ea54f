"""Measures of predictions: what ``carrousel score`` prints and reports show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np

from carrousel.estimators.anytime.calibrate import calibration_error
from carrousel.estimators.anytime.early import accuracy_by_share
from carrousel.estimators.report.predictions import (
    ClassPredictions,
    Evaluated,
    Forecasts,
    ValuePredictions,
    steps_at,
)
from carrousel.shapes import Floats, Ints

LABELS: Mapping[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss, nats",
    "calibration_error": "expected calibration error",
    "r2": "R²",
    "mae": "mean absolute error",
    "rmse": "root mean square error",
    "naive_ratio": "error / error of the last value",
    "coverage": "share within the outer quantiles",
    "pinball": "mean quantile loss",
}
"""Texts for the names of measures."""
CLASS_MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "calibration_error")
SHARES = tuple(round(0.05 * n, 2) for n in range(1, 21))
"""Shares of a series at which any-time curves are drawn."""
_LEAST = 1e-12  # probability that stands for 0 in a logarithm


def measures(found: Evaluated) -> dict[str, float | None]:
    """Return the measures of predictions by name, None where undefined.

    The keys are those of :data:`LABELS` that apply to the kind of predictions; the first is the
    score that scikit-learn uses. Answers without a truth do not count. A label that the model
    does not have counts as an error of the accuracy.
    """
    if isinstance(found, ClassPredictions):
        return _class_measures(found)
    if isinstance(found, ValuePredictions):
        return _value_measures(found.answers, found.truth)
    return _forecast_measures(found)


def judged(found: ClassPredictions) -> tuple[Annotated[Floats, "M K"], Annotated[Ints, "M"]]:
    """Return probabilities and true classes of the answers that have a known class."""
    known = found.truth >= 0
    return found.answers[known], found.truth[known]


def confusion(found: ClassPredictions) -> Annotated[Ints, "K K"]:
    """Return how often class ``i`` was predicted as class ``j``, ``[K, K]``."""
    answers, truth = judged(found)
    table = np.zeros((len(found.classes), len(found.classes)), np.int64)
    np.add.at(table, (truth, answers.argmax(axis=1)), 1)
    return table


def by_class(table: Annotated[Ints, "K K"]) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each class, NaN where undefined."""
    right = np.diag(table).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = right / table.sum(axis=0), right / table.sum(axis=1)
        f1 = 2 * right / (table.sum(axis=0) + table.sum(axis=1))
    return precision, recall, f1


def over_shares(found: ClassPredictions | ValuePredictions) -> Annotated[Floats, "shares"]:
    """Return accuracy, or mean absolute error, of the answers after each of :data:`SHARES`.

    Values of several targets are averaged in units of each target's standard deviation.
    """
    if isinstance(found, ClassPredictions):
        known = found.take(found.truth >= 0)
        n = len(known.series)
        if not n:
            return np.full(len(SHARES), np.nan)
        return accuracy_by_share(known.by_series, known.truth, SHARES) * n / (n + found.unknown)
    scale = units(found.truth)
    answers = (found.outputs[steps_at(found.series, share)] for share in SHARES)
    return np.asarray([_mean(np.abs(each - found.truth) / scale) for each in answers])


def units(truth: Annotated[Floats, "M O"]) -> Annotated[Floats, "O"]:
    """Return 1 for one target, else the standard deviation of each, 1 where it is 0."""
    if truth.shape[1] == 1:
        return np.ones(1)
    known = np.isfinite(truth)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, truth, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.square(np.where(known, truth - mean, 0.0)).sum(axis=0) / count)
    return np.where(scale > 0, scale, 1.0)


def _class_measures(found: ClassPredictions) -> dict[str, float | None]:
    answers, truth = judged(found)
    n = len(truth) + found.unknown
    if not n:
        return dict.fromkeys(CLASS_MEASURES)
    table = confusion(found)
    _, recall, f1 = by_class(table)
    there = table.sum(axis=1) > 0
    losses = -np.log(np.maximum(answers[np.arange(len(truth)), truth], _LEAST))
    return {
        "accuracy": float(np.trace(table)) / n,
        "balanced_accuracy": _number(recall[there]),
        "macro_f1": _number(f1[there]),
        "log_loss": _number(losses),
        "calibration_error": calibration_error(answers, truth) if len(truth) else None,
    }


def _value_measures(
    answers: Annotated[Floats, "M O"], truth: Annotated[Floats, "M O"]
) -> dict[str, float | None]:
    known = np.isfinite(truth).all(axis=1)
    y, errors = truth[known], answers[known] - truth[known]
    spread = ((y - y.mean(axis=0)) ** 2).sum(axis=0) if len(y) else np.zeros(truth.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        r2 = 1 - (errors**2).sum(axis=0) / spread
    return {
        "r2": _number(r2) if np.isfinite(r2).all() else None,
        "mae": _number(np.abs(errors)),
        "rmse": None if not len(y) else float(np.sqrt((errors**2).mean())),
    }


def _forecast_measures(found: Forecasts) -> dict[str, float | None]:
    errors = np.abs(found.medians - found.truth)
    naive = np.abs(last_values(found) - found.truth)
    naive = np.where(np.isfinite(errors), naive, np.nan)
    level = np.asarray(found.levels)[:, None]
    above = found.truth[:, :, None] - found.quantiles
    pinball = np.maximum(level * above, (level - 1) * above)
    base, error = _mean(naive), _mean(errors)
    return {
        "mae": _number(errors),
        "naive_ratio": error / base if np.isfinite(error) and base > 0 else None,
        "pinball": _number(pinball),
        "coverage": _number(within(found)) if len(found.levels) > 1 else None,
    }


def last_values(found: Forecasts) -> Annotated[Floats, "N 1 O"]:
    """Return the last value seen of each target in each series, NaN where there is none."""
    columns = [found.series.channels.index(name) for name in found.targets]
    rows = []
    for one in found.series:
        values = one.values[:, columns]
        seen = [column[np.isfinite(column)] for column in values.T]
        rows.append([column[-1] if len(column) else np.nan for column in seen])
    return np.asarray(rows, np.float64)[:, None, :]


def within(found: Forecasts) -> Annotated[Floats, "N horizon O"]:
    """Return 1 where the truth lies between the outer quantiles, 0 elsewhere, NaN: unknown."""
    inside = (found.quantiles[:, :, 0] <= found.truth) & (found.truth <= found.quantiles[:, :, -1])
    return np.where(np.isfinite(found.truth), inside, np.nan)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _number(values: np.ndarray) -> float | None:
    mean = _mean(np.asarray(values, np.float64))
    return None if np.isnan(mean) else mean
