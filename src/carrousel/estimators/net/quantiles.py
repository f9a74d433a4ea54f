"""Objective of forecasts: quantiles of the next steps, as corrections of simple forecasts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional

from carrousel.checks import check_int, check_number
from carrousel.errors import SettingError


@dataclass(frozen=True)
class QuantileGoal:
    """Quantiles of ``n_targets`` values at each of the next ``horizon`` steps.

    For every step ahead and every target, the net mixes ``n_simple`` simple forecasts: its outputs
    are the logits of their weights, a correction of the mixture, and the distances between
    neighbouring quantiles. A distance is the softplus of an output, so quantiles never cross.

    Targets are float32 ``[T, B, horizon, n_targets, 1 + n_simple]``: the true value and the simple
    forecasts, relative to the last value and in units of the running scale of the series. The true
    value is NaN where it is missing or lies after the end.

    Args:
        horizon: steps ahead.
        n_targets: channels to forecast.
        quantiles: probabilities, increasing; 0.5 is one of them.
        n_simple: number of simple forecasts, at least 1.
        units: a usual error of the simple forecasts for each step ahead and target,
            ``horizon * n_targets`` numbers; corrections and distances are in these units.

    The loss is the pinball loss (Koenker and Bassett, "Regression quantiles", Econometrica 1978).

    >>> goal = QuantileGoal(2, 1, (0.1, 0.5, 0.9), 3, (1.0, 2.0))
    >>> goal.n_outputs
    12
    >>> goal.forecast(torch.zeros(5, 12), torch.ones(5, 2, 1, 3)).shape
    torch.Size([5, 2, 1, 3])
    """

    horizon: int
    n_targets: int
    quantiles: tuple[float, ...]
    n_simple: int
    units: tuple[float, ...]
    per_step: bool = True

    def __post_init__(self) -> None:
        check_int("horizon", self.horizon, minimum=1)
        check_int("n_targets", self.n_targets, minimum=1)
        check_int("n_simple", self.n_simple, minimum=1)
        check_quantiles(self.quantiles)
        if 0.5 not in self.quantiles:
            raise SettingError(
                argument="quantiles", got=self.quantiles, expected="probabilities with 0.5"
            )
        if len(self.units) != self.horizon * self.n_targets:
            raise SettingError(
                argument="units",
                got=self.units,
                expected=f"horizon * n_targets = {self.horizon * self.n_targets} numbers",
            )

    @property
    def n_outputs(self) -> int:
        return self.horizon * self.n_targets * (self.n_simple + len(self.quantiles))

    @property
    def median(self) -> int:
        """Position of 0.5 among the quantiles."""
        return self.quantiles.index(0.5)

    def forecast(
        self, outputs: Annotated[Tensor, "... O"], simple: Annotated[Tensor, "... horizon J K"]
    ) -> Annotated[Tensor, "... horizon J quantiles"]:
        """Return the quantiles that outputs mean, in the units of ``simple``.

        Args:
            outputs: outputs of the net.
            simple: the ``K`` simple forecasts of each of ``J`` targets.
        """
        shape = (self.horizon, self.n_targets, self.n_simple + len(self.quantiles))
        parts = outputs.unflatten(-1, shape)
        logits, centre, gaps = parts.split([self.n_simple, 1, len(self.quantiles) - 1], -1)
        unit = outputs.new_tensor(self.units).view(self.horizon, self.n_targets, 1)
        middle = (logits.softmax(-1) * simple).sum(-1, keepdim=True) + centre * unit
        below, above = (functional.softplus(gaps) * unit).split(
            [self.median, len(self.quantiles) - 1 - self.median], -1
        )
        lower = middle - below.flip(-1).cumsum(-1).flip(-1)
        return torch.cat([lower, middle, middle + above.cumsum(-1)], -1)

    def loss(self, outputs: Tensor, targets: Tensor, lengths: Tensor) -> Annotated[Tensor, "B"]:
        """Return the mean pinball loss of each series; 0 for a series without a true value."""
        truth, simple = targets[..., :1], targets[..., 1:]
        known = torch.isfinite(truth)
        steps = torch.arange(len(truth))[:, None] < lengths
        known = known & steps[..., None, None, None]
        error = torch.nan_to_num(truth) - self.forecast(outputs, torch.nan_to_num(simple))
        level = outputs.new_tensor(self.quantiles)
        losses = torch.where(known, torch.maximum(level * error, (level - 1.0) * error), 0.0)
        size = sum(self.units) / len(self.units) * len(self.quantiles)
        return losses.sum((0, 2, 3, 4)) / known.sum((0, 2, 3, 4)).clamp(min=1) / size


def check_quantiles(quantiles: object) -> tuple[float, ...]:
    """Return probabilities as a tuple.

    Raises:
        SettingError: they are not increasing numbers between 0 and 1.

    >>> check_quantiles([0.1, 0.5])
    (0.1, 0.5)
    """
    wanted = "increasing probabilities between 0 and 1, such as (0.1, 0.5, 0.9)"
    if not isinstance(quantiles, list | tuple) or not quantiles:
        raise SettingError(argument="quantiles", got=quantiles, expected=wanted)
    found = tuple(check_number("quantiles", each, above=0.0) for each in quantiles)
    if found[-1] >= 1.0 or any(b <= a for a, b in itertools.pairwise(found)):
        raise SettingError(argument="quantiles", got=quantiles, expected=wanted)
    return found
