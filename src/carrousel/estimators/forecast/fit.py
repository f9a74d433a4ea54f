"""Training of forecasting models: the nets, what they hold out, and the correction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from carrousel.errors import DataError
from carrousel.estimators.data.series import Series
from carrousel.estimators.forecast.conformal import stretches
from carrousel.estimators.forecast.inputs import Layout, prepare, truths
from carrousel.estimators.forecast.lessons import Lessons, last_steps, lessons, warmed_up
from carrousel.estimators.forecast.model import ForecastModel, scaled_forecasts
from carrousel.estimators.forecast.simple import names
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.net import NetConfig
from carrousel.estimators.net.quantiles import QuantileGoal
from carrousel.estimators.net.train import Epoch, Member, TrainConfig, train_net
from carrousel.shapes import Bools, Floats

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
    """

    quantiles: tuple[float, ...]
    members: int
    fraction: float
    net: NetConfig
    training: TrainConfig


def fit_model(
    series: Series,
    layout: Layout,
    settings: Settings,
    weights: Annotated[Floats, "N"],
    rng: np.random.Generator,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> ForecastModel:
    """Train an ensemble and correct its quantiles on what it did not learn.

    At least :data:`MANY` series: each member holds out another part of them. Fewer: the last steps
    of each series are held out to find the number of updates and to correct the quantiles, and
    then the members learn everything for that number of updates.

    Raises:
        DataError: no step of any series is followed by a value to forecast.
    """
    prepared = prepare(series, layout)
    truth = warmed_up(truths(series, prepared, layout), series, layout.season)
    if not np.isfinite(truth).any():
        raise DataError(
            "no value to forecast follows any step: the targets are missing, or no series has 2 "
            f"steps (the longest has {int(series.lengths.max())})",
            argument="X",
            fix="pass longer series",
        )
    whole = lessons(prepared, truth, weights)
    seeds, n = rng.integers(2**31, size=(2, settings.members)), len(series)
    by_series = n >= MANY and n * settings.fraction >= 1
    if by_series:
        part = rng.permutation(n) % max(2, round(1 / settings.fraction))
        parts = part.max() + 1
        held = [part[whole.owner] == m % parts for m in range(settings.members)]
        examples = whole
    else:
        examples, judging = last_steps(prepared, truth, weights, settings.fraction)
        held = [judging] * settings.members
    training = _Training.of(examples.take(np.flatnonzero(~held[0])), layout, settings, on_epoch)
    members = [training.member(examples, m, int(seeds[0, m]), h) for m, h in enumerate(held)]
    factors = _correction(examples, training, members, settings.quantiles)
    if not by_series and held[0].any():
        training = _Training.of(whole, layout, settings, on_epoch)
        members = [
            training.member(whole, m, int(seeds[1, m]), None, steps=_best(member))
            for m, member in enumerate(members)
        ]
    return ForecastModel(layout, Ensemble(training.features, training.goal, members), factors)


@dataclass(frozen=True, eq=False)
class _Training:
    """What the members of one ensemble share."""

    features: Features
    goal: QuantileGoal
    net: NetConfig
    config: TrainConfig
    on_epoch: Callable[[Epoch], None] | None

    @staticmethod
    def of(
        learned: Lessons,
        layout: Layout,
        settings: Settings,
        on_epoch: Callable[[Epoch], None] | None,
    ) -> _Training:
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
        return _Training(features, goal, net, settings.training, on_epoch)

    def member(
        self,
        examples: Lessons,
        m: int,
        seed: int,
        held: Annotated[Bools, "segments"] | None,
        steps: int | None = None,
    ) -> Member:
        """Train member ``m``."""
        config = self.config if steps is None else replace(self.config, steps=steps)
        return train_net(
            *(examples.series, examples.targets, examples.weights),
            *(self.goal, self.features, self.net, config),
            seed=seed,
            held=held,
            member=m,
            on_epoch=self.on_epoch,
        )


def _best(member: Member) -> int:
    """Return the number of updates after which the held-out loss was least."""
    judged = [epoch for epoch in member.history if epoch.held is not None]
    return min(judged, key=lambda epoch: epoch.held or 0.0).step if judged else 1


def _correction(
    examples: Lessons,
    training: _Training,
    members: list[Member],
    quantiles: tuple[float, ...],
) -> Annotated[Floats, "quantiles"]:
    """Compute the stretches of quantiles, each series forecast by the members that hold it out."""
    judging = np.flatnonzero(np.any([member.held for member in members], axis=0))
    if not len(judging):
        return np.ones(len(quantiles))
    some = examples.take(judging)
    outputs = Ensemble(training.features, training.goal, members).outputs(
        some.series, "every step"
    )
    scaled = scaled_forecasts(training.goal, outputs, some.targets[..., 1:])
    weight = np.array([member.held[judging] for member in members], float).T  # [segments, members]
    weight = np.repeat(weight / weight.sum(1, keepdims=True), some.series.lengths, axis=0)
    mean = (scaled * weight[:, :, None, None, None]).sum(axis=1)
    return stretches(mean, some.targets[..., 0], quantiles)
