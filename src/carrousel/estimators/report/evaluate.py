"""Predictions of an estimator next to the truth."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DataError
from carrousel.estimators.catalogue import task_of
from carrousel.estimators.data.series import Series
from carrousel.estimators.forecast.reading import split
from carrousel.estimators.report.predictions import (
    ClassPredictions,
    Evaluated,
    Forecasts,
    ValuePredictions,
    owners,
)
from carrousel.shapes import Array, Bools, Floats, Ints


def evaluate(model: Any, series: Series, y: Any, targets: Sequence[str] = ()) -> Evaluated:
    """Return the predictions for series, next to their truth.

    Args:
        model: a fitted estimator.
        series: series that it has not learned. A forecaster reads all but their last steps.
        y: a label or values for each series, or a list of arrays for each step; ignored by a
            forecaster.
        targets: names of the targets.

    Raises:
        DataError: no label is a class of the model, or a series is too short to forecast.
    """
    if task_of(model) == "forecast":
        return _forecasts(model, series)
    return _with_truth(model, series, y, _outputs(model, series), targets)


def evaluate_held_out(
    model: Any, series: Series, y: Any, held: Annotated[Bools, "N members"], targets: Sequence[str]
) -> Evaluated:
    """Return predictions for training series, each by the members that have not learned it.

    Args:
        model: as ``fit`` left it, not a forecaster, whose members learn the ends of all series.
        series: the series of training.
        y: as in training.
        held: which member held out which series. Series that all members learned are left out.
        targets: names of the targets.

    Raises:
        DataError: no member held out any series.
    """
    chosen = np.flatnonzero(held.any(axis=1))
    if not len(chosen):
        raise DataError(
            "no member held out any series, so that a report has nothing to show",
            fix="hold some out by {validation_fraction}, or score the model with other data",
        )
    some, held = series.take(chosen), held[chosen]
    outputs: Any = 0.0
    of = owners(some)
    for alone, mine in _members(model, held):
        part = _outputs(alone, some.take(np.flatnonzero(mine)))
        each = np.zeros((some.n_steps, part.shape[1]))
        each[mine[of]] = part
        outputs = outputs + each
    outputs = outputs / held.sum(axis=1)[of, None]
    return _with_truth(model, some, _chosen(y, chosen), outputs, targets)


def _members(model: Any, held: Annotated[Bools, "N members"]) -> list[tuple[Any, Bools]]:
    """Return a model of each member that held something out, and what it held out."""
    found = []
    for m, member in enumerate(model.ensemble_.members):
        if held[:, m].any():
            alone = copy.copy(model)
            alone.ensemble_ = replace(model.ensemble_, members=[member])
            found.append((alone, held[:, m]))
    return found


def _outputs(model: Any, series: Series) -> Annotated[Floats, "steps O"]:
    """Return probabilities or values at every step."""
    labels = hasattr(model, "classes_")
    predict: Callable[..., Any] = model.predict_proba if labels else model.predict
    found = predict(series) if task_of(model) == "tags" else predict(series, at="every step")
    rows = [np.asarray(each, np.float64) for each in found]
    return np.concatenate([row.reshape(len(row), -1) for row in rows])


def _with_truth(
    model: Any, series: Series, y: Any, outputs: Annotated[Floats, "steps O"], names: Sequence[str]
) -> Evaluated:
    per_step = task_of(model) == "tags"
    given = np.concatenate([np.asarray(each) for each in y]) if per_step else np.asarray(y)
    if hasattr(model, "classes_"):
        truth, unknown = _codes(given, model.classes_)
        classes = tuple(model.classes_.tolist())
        return ClassPredictions(series, outputs, truth, classes, per_step, unknown)
    truth = given.astype(np.float64).reshape(len(given), -1)
    shown = tuple(names) or tuple(f"target {k}" for k in range(truth.shape[1]))
    return ValuePredictions(series, outputs, truth, shown, per_step)


def _codes(labels: Array, classes: Array) -> tuple[Ints, int]:
    """Return the numbers of labels, -1 for those missing or unknown, and how many are unknown.

    >>> _codes(np.array(["b", "z", None], object), np.array(["a", "b"]))
    (array([ 1, -1, -1]), 1)
    """
    number = {name: k for k, name in enumerate(classes.tolist())}
    found = [-1 if _missing(label) else number.get(label, -2) for label in labels.tolist()]
    codes = np.asarray(found, np.int64)
    unknown = int((codes == -2).sum())
    if unknown and not (codes >= 0).any():
        known, label = ", ".join(map(repr, list(number)[:5])), labels[codes == -2][0]
        raise DataError(
            f"no label is a class of the model: the first is {label!r}, classes are {known}",
            argument="target",
            fix="name the column that the model was trained with",
        )
    return np.where(codes == -2, -1, codes), unknown


def _missing(label: object) -> bool:
    return label is None or label != label or (isinstance(label, int) and label == -1)


def _chosen(y: Any, chosen: Ints) -> Any:
    return [y[n] for n in chosen] if isinstance(y, list) else np.asarray(y)[chosen]


# --- forecasts ---------------------------------------------------------------------------------


def _forecasts(model: Any, series: Series) -> Forecasts:
    """Forecast the last steps of all series from the steps before."""
    layout = model.layout_
    before, ends = split(series, layout)
    truth = np.stack(ends).astype(np.float64)
    future = list(truth[:, :, list(layout.known)]) if layout.known else None
    found = np.asarray(model.predict_quantiles(before, future=future), np.float64)
    targets = list(layout.targets)
    return Forecasts(
        before,
        truth[:, :, targets],
        found.reshape(*found.shape[:3], len(targets)),
        tuple(map(float, model.quantiles)),
        tuple(series.channels[k] for k in targets),
    )
