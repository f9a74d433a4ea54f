"""The training call of a fitted estimator, for `carrousel.inspection`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from carrousel.errors import DataError
from carrousel.estimators.data.checks import check_weights
from carrousel.estimators.data.series import Series
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.forecast.inputs import prepare, truths
from carrousel.estimators.forecast.lessons import lessons, warmed_up
from carrousel.estimators.net.batches import make_batch
from carrousel.estimators.net.net import AnytimeNet


@dataclass(frozen=True, eq=False)
class TrainingCall:
    """What :func:`carrousel.inspection.inspect` takes.

    Args:
        net: the first net of the ensemble.
        inputs: arguments of a call.
        loss: the loss of training without random changes, mean over series by their weights.
    """

    net: AnytimeNet
    inputs: tuple[Tensor, Tensor]
    loss: Callable[[Tensor], Tensor]


def training_call(model: Any, series: Series, y: Any = None) -> TrainingCall:
    """Return the call of a net of a fitted estimator on series with targets, and its loss.

    Args:
        model: a fitted classifier, regressor, tagger or forecaster.
        series: with the channels of training.
        y: targets as in ``fit``; a forecaster has none, as the next steps of a series are its
            targets.

    Raises:
        DataError: a label is not among the classes, no target counts, or no step of any series is
            followed by a value to forecast.
        ShapeError: channels or targets differ from those of training.

    >>> from carrousel import LSTMRegressor
    >>> waves = np.sin(np.arange(20) / 3.0 + np.arange(4)[:, None])
    >>> model = LSTMRegressor(members=1, max_steps=2, random_state=0).fit(waves, waves[:, -1])
    >>> call = training_call(model, model._read_new(waves), waves[:, -1])
    >>> bool(call.loss(call.net(*call.inputs)) >= 0)
    True
    """
    ensemble = model.ensemble_
    examples = _forecasts(model, series) if hasattr(model, "layout_") else _given(model, series, y)
    goal = ensemble.goal
    every = np.arange(len(examples.series))
    batch = make_batch(
        *(examples.series, examples.targets, examples.weights, ensemble.features, every),
        goal.per_step,
    )
    share = batch.weights / batch.weights.sum()

    def loss(outputs: Tensor) -> Tensor:
        return (goal.loss(outputs, batch.targets, batch.lengths) * share).sum()

    return TrainingCall(ensemble.members[0].net, (batch.inputs, batch.lengths), loss)


def _given(model: Any, series: Series, y: Any) -> Examples:
    """Return examples with targets in the units of training."""
    series = model._read_new(series)
    weights = check_weights(None, series)
    given = model._read_targets(y, series, weights, again=True)
    examples = Examples(
        series, given.values, given.weights, given.strata, None, given.goal.per_step
    )
    return model._prepared(examples, again=True)


def _forecasts(model: Any, series: Series) -> Examples:
    """Return segments of series with the values that follow each step."""
    layout = model.layout_
    series = model._read(series, reset=False)
    prepared = prepare(series, layout)
    truth = warmed_up(truths(series, prepared, layout), series, layout.season)
    if not np.isfinite(truth).any():
        raise DataError(
            "no value to forecast follows any step", argument="X", fix="pass longer series"
        )
    none = np.zeros(len(series), np.int64)
    return lessons(prepared, truth, Examples(series, none, np.ones(len(series)), none))
