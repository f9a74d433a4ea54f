"""Fits to few series: nets are shrunk towards one mixture of simple forecasts for all steps ahead.

The share of the nets, and the widths of the intervals, are chosen by rolling origins (Tashman,
"Out-of-sample tests of forecasting accuracy", International Journal of Forecasting 2000).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import torch

from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.forecast.conformal import stretches
from carrousel.estimators.forecast.inputs import Layout, Prepared
from carrousel.estimators.forecast.lessons import lessons, rolled
from carrousel.estimators.forecast.mixture import mixture_outputs
from carrousel.estimators.forecast.model import ForecastModel, scaled_forecasts
from carrousel.estimators.forecast.training import Settings, Training
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.estimators.net.net import AnytimeNet
from carrousel.estimators.net.train import TrainConfig, round_to_half
from carrousel.shapes import Floats

FOLDS = 4
"""Stretches of origins in the second half of each series."""
UPDATES = 200
"""Updates of a net unless the user sets a number: few series are soon learned by heart."""
SHARES = (0.0, 0.5, 1.0)
"""Shares of the nets' outputs, the rest being those of the mixture."""


def fit_few(
    prepared: Prepared,
    truth: Annotated[Floats, "steps horizon J"],
    users: Examples,
    layout: Layout,
    settings: Settings,
    rng: np.random.Generator,
) -> ForecastModel:
    """Fit the mixture and, if they forecast better from later origins, nets.

    A net is trained before each of :data:`FOLDS` stretches of origins and compared there with
    the mixture. The nets get a share if their gain exceeds its standard error over the stretches.
    Forecasts from these origins then correct the quantiles. Without held-out steps, the nets get
    the whole share and nothing is corrected.

    Args:
        prepared: the series as nets see them.
        truth: values of the next steps, NaN where not to learn.
        users: the user's series, with weights and groups.
        layout: roles of the channels.
        settings: quantiles, nets and training.
        rng: source of the nets' seeds.
    """
    config = replace(settings.training, steps=settings.training.steps or UPDATES)
    share, factors = 1.0, np.ones(len(settings.quantiles))
    if settings.fraction:
        trials = []
        for fold in range(FOLDS):
            found = rolled(prepared, truth, users, fold, FOLDS)
            if found is not None:
                trials.append(_Trial.of(*found, layout, settings, config, rng))
        share = chosen_share(np.array([trial.losses for trial in trials]))
        if trials:
            k = SHARES.index(share)
            made = np.concatenate([trial.forecasts[k] for trial in trials])
            true = np.concatenate([trial.truths for trial in trials])
            factors = stretches(made, true, settings.quantiles, balanced=True)
    whole = lessons(prepared, truth, users)
    training = Training.of(whole, layout, settings)
    config = config if share else replace(config, steps=1)  # the weights will be replaced
    members = training.run(whole, config, rng, np.zeros(len(whole.series), bool))
    mixture = mixture_outputs(training.goal, whole.targets)
    for member in members:
        shrink(member.net, mixture, share)
    return ForecastModel(layout, Ensemble(training.features, training.goal, members), factors)


@dataclass(frozen=True, eq=False)
class _Trial:
    """Forecasts from the origins of one fold.

    Args:
        forecasts: ``[shares, rows, horizon, J, quantiles]``.
        truths: ``[rows, horizon, J]``.
        losses: ``[shares]``, mean absolute errors of the medians, in units of the usual errors. The
            other quantiles do not count: their distances are corrected afterwards.
    """

    forecasts: Annotated[Floats, "shares rows horizon J quantiles"]
    truths: Annotated[Floats, "rows horizon J"]
    losses: Annotated[Floats, "shares"]

    @staticmethod
    def of(
        both: Examples,
        judging: np.ndarray,
        layout: Layout,
        settings: Settings,
        config: TrainConfig,
        rng: np.random.Generator,
    ) -> _Trial:
        learned = both.take(np.flatnonzero(~judging))
        judged = both.take(np.flatnonzero(judging))
        training = Training.of(learned, layout, settings)
        goal, members = training.goal, training.run(both, config, rng, judging, members=1)
        ensemble = Ensemble(training.features, goal, members)
        nets = ensemble.outputs(judged.series, "every step")
        mixture = mixture_outputs(goal, learned.targets)
        true, simple = judged.targets[..., 0], judged.targets[..., 1:]
        made = np.stack(
            [
                scaled_forecasts(goal, (mixture + s * (nets - mixture)).astype(np.float32), simple)
                for s in SHARES
            ]
        )[:, :, 0]
        units = np.reshape(goal.units, true.shape[1:])
        losses = np.abs(true - made[..., goal.median]) / units
        return _Trial(made, true, np.nanmean(losses, axis=(1, 2, 3)))


def chosen_share(losses: Annotated[Floats, "folds shares"]) -> float:
    """Return the share with the least loss, or 0 if its gain may be chance.

    The gain over the mixture must exceed its standard error over the folds. Fewer than 2 folds are
    no evidence.

    >>> chosen_share(np.array([[1.0, 0.9, 0.8], [1.0, 0.9, 0.9], [1.0, 0.9, 0.8]]))
    1.0
    >>> chosen_share(np.array([[1.0, 1.1, 1.5], [1.0, 0.8, 0.9]]))
    0.0
    """
    if len(losses) < 2:
        return 0.0
    best = int(losses.mean(axis=0).argmin())
    gain = losses[:, 0] - losses[:, best]
    certain = gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))
    return SHARES[best] if certain else 0.0


@torch.no_grad()
def shrink(net: AnytimeNet, outputs: Annotated[Floats, "O"], share: float) -> None:
    """Replace the outputs of ``net`` by ``share`` of them and the rest of constant ``outputs``."""
    constant = torch.from_numpy(outputs).to(net.readout.bias.dtype)
    net.readout.weight.mul_(share)
    net.readout.bias.mul_(share).add_(constant, alpha=1.0 - share)
    round_to_half(net)
