"""Training of forecasting models: the nets, what they hold out, and the correction."""

from __future__ import annotations

import numpy as np

from carrousel.errors import DataError
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.forecast.few import fit_few
from carrousel.estimators.forecast.inputs import Layout, prepare, truths
from carrousel.estimators.forecast.lessons import lessons, warmed_up
from carrousel.estimators.forecast.model import ForecastModel
from carrousel.estimators.forecast.training import Settings, Training
from carrousel.estimators.net.ensemble import Ensemble

MANY = 20
"""From so many series on, whole series are held out; of fewer, later steps of each."""


def fit_model(
    users: Examples, layout: Layout, settings: Settings, rng: np.random.Generator
) -> ForecastModel:
    """Train an ensemble and correct its quantiles on what it did not learn.

    At least :data:`MANY` series: each member holds out another part of them. Fewer: see
    :func:`fit_few`.

    Args:
        users: distinct series; their targets are not used.
        layout: roles of the channels.
        settings: quantiles, nets and training.
        rng: source of held-out parts and of the nets' seeds.

    Raises:
        DataError: no step of any series is followed by a value to forecast.
    """
    series = users.series
    prepared = prepare(series, layout)
    truth = warmed_up(truths(series, prepared, layout), series, layout.season)
    if not np.isfinite(truth).any():
        raise DataError(
            "no value to forecast follows any step: the targets are missing, or no series has 2 "
            f"steps (the longest has {int(series.lengths.max())})",
            argument="X",
            fix="pass longer series",
        )
    whole = lessons(prepared, truth, users)
    groups = np.arange(len(whole.weights)) if whole.groups is None else whole.groups
    if len(np.unique(groups)) < MANY:
        return fit_few(prepared, truth, users, layout, settings, rng)
    training = Training.of(whole, layout, settings)
    members = training.run(whole, settings.training, rng)
    factors = training.correction(whole, members)
    return ForecastModel(layout, Ensemble(training.features, training.goal, members), factors)
