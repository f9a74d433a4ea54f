"""Settings of a forecasting fit, and the training of the nets of one ensemble."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.fitting.members import train_members
from carrousel.estimators.forecast.conformal import stretches
from carrousel.estimators.forecast.inputs import Layout
from carrousel.estimators.forecast.model import scaled_forecasts
from carrousel.estimators.forecast.simple import names
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.net import NetConfig
from carrousel.estimators.net.quantiles import QuantileGoal
from carrousel.estimators.net.train import Member, TrainConfig
from carrousel.shapes import Bools, Floats


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


@dataclass(frozen=True, eq=False)
class Training:
    """What the members of one ensemble share.

    Args:
        features: inputs of the nets.
        goal: objective, with the usual errors of the simple forecasts.
        net: sizes of a net.
        settings: settings of the fit.
    """

    features: Features
    goal: QuantileGoal
    net: NetConfig
    settings: Settings

    @staticmethod
    def of(learned: Examples, layout: Layout, settings: Settings) -> Training:
        """Measure features and units on the lessons ``learned``."""
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
        return Training(features, goal, net, settings)

    def run(
        self,
        examples: Examples,
        config: TrainConfig,
        rng: np.random.Generator,
        held: Annotated[Bools, "segments"] | None = None,
        members: int | None = None,
    ) -> list[Member]:
        """Train ``members`` nets (None: all). All hold out ``held``; None: each another part."""
        s = self.settings
        count = s.members if members is None else members
        return train_members(
            *(examples, self.goal, self.features, self.net, config),
            members=count,
            fraction=s.fraction,
            rng=rng,
            n_jobs=s.n_jobs,
            verbose=s.verbose,
            parts=None if held is None else [held] * count,
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
