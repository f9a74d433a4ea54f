"""Training of forecasting models: the nets, what they hold out, and the correction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from carrousel.errors import DataError
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.fitting.members import train_members
from carrousel.estimators.forecast.conformal import stretches
from carrousel.estimators.forecast.inputs import Layout, prepare, truths
from carrousel.estimators.forecast.lessons import last_steps, lessons, warmed_up
from carrousel.estimators.forecast.model import ForecastModel, scaled_forecasts
from carrousel.estimators.forecast.simple import names
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.net import NetConfig
from carrousel.estimators.net.quantiles import QuantileGoal
from carrousel.estimators.net.train import Member, TrainConfig
from carrousel.shapes import Floats

MANY = 20
"""From so many series on, whole series are held out; of fewer, the last steps of each."""


@dataclass(frozen=True)
class Settings:
    """Settings of a fit that do not depend on the data.

    Args:
        quantiles: probabilities, with 0.5.
        members: number of nets.
        fraction: share of the series, or of the last steps, that is held out; 0: none.
        net: sizes of a net; inputs and outputs are set by the data.
        training: settings of the training loop.
        n_jobs: nets that are trained at once.
        verbose: 1 shows progress.
    """

    quantiles: tuple[float, ...]
    members: int
    fraction: float
    net: NetConfig
    training: TrainConfig
    n_jobs: int | None = None
    verbose: int = 0


def fit_model(
    users: Examples, layout: Layout, settings: Settings, rng: np.random.Generator
) -> ForecastModel:
    """Train an ensemble and correct its quantiles on what it did not learn.

    At least :data:`MANY` series: each member holds out another part of them. Fewer: the last steps
    of each series are held out to find the number of updates. New nets, trained for that number,
    correct the quantiles on the last steps, and further ones learn everything.

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
    if len(np.unique(whole.groups)) >= MANY:
        training = _Training.of(whole, layout, settings)
        members = training.run(whole, settings.training, rng)
        factors = training.correction(whole, members)
    else:
        examples, judging = last_steps(prepared, truth, users, settings.fraction)
        training = _Training.of(examples.take(np.flatnonzero(~judging)), layout, settings)
        members = training.run(examples, settings.training, rng, judging)
        factors = np.ones(len(settings.quantiles))
        if judging.any():
            steps = int(np.median([_best(member) for member in members]))
            config = replace(settings.training, steps=steps)
            factors = training.correction(examples, training.run(examples, config, rng, judging))
            training = _Training.of(whole, layout, settings)
            members = training.run(whole, config, rng, np.zeros(len(whole.series), bool))
    return ForecastModel(layout, Ensemble(training.features, training.goal, members), factors)


@dataclass(frozen=True, eq=False)
class _Training:
    """What the members of one ensemble share."""

    features: Features
    goal: QuantileGoal
    net: NetConfig
    settings: Settings

    @staticmethod
    def of(learned: Examples, layout: Layout, settings: Settings) -> _Training:
        features = Features.fit(learned.series)
        error = np.abs(learned.targets[..., 0] - learned.targets[..., 1:].mean(-1))
        known = np.isfinite(error)
        total = np.where(known, error, 0.0).sum(axis=0, dtype=np.float64)
        units = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), 1.0)
        goal = QuantileGoal(
            layout.horizon,
            len(layout.targets),
            settings.quantiles,
            len(names(layout.season)),
            tuple(np.maximum(units, 1e-3).ravel().tolist()),
        )
        net = replace(settings.net, n_inputs=features.n_inputs, n_outputs=goal.n_outputs)
        return _Training(features, goal, net, settings)

    def run(
        self,
        examples: Examples,
        config: TrainConfig,
        rng: np.random.Generator,
        held: np.ndarray | None = None,
    ) -> list[Member]:
        """Train the members; all hold out ``held``, or each a part of its own."""
        s = self.settings
        return train_members(
            *(examples, self.goal, self.features, self.net, config),
            members=s.members,
            fraction=s.fraction,
            rng=rng,
            n_jobs=s.n_jobs,
            verbose=s.verbose,
            parts=None if held is None else [held] * s.members,
        )

    def correction(
        self, examples: Examples, members: list[Member]
    ) -> Annotated[Floats, "quantiles"]:
        """Compute the stretches; a series is forecast by the members that hold it out."""
        held = np.array([member.held for member in members])
        judging = np.flatnonzero(held.any(axis=0))
        if not len(judging):
            return np.ones(len(self.goal.quantiles))
        some = examples.take(judging)
        ensemble = Ensemble(self.features, self.goal, members)
        outputs = ensemble.outputs(some.series, "every step")
        scaled = scaled_forecasts(self.goal, outputs, some.targets[..., 1:])
        share = held[:, judging].T / held[:, judging].sum(axis=0)[:, None]  # [segments, members]
        share = np.repeat(share, some.series.lengths, axis=0)[:, :, None, None, None]
        return stretches((scaled * share).sum(axis=1), some.targets[..., 0], self.goal.quantiles)


def _best(member: Member) -> int:
    """Return the number of updates after which the held-out loss was least."""
    judged = [epoch for epoch in member.history if epoch.held is not None]
    return min(judged, key=lambda epoch: epoch.held or 0.0).step if judged else 1
