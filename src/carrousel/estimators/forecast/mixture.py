"""One mixture of simple forecasts for all steps ahead, as constant outputs of a net."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Annotated

import numpy as np
import torch

from carrousel.estimators.net.quantiles import QuantileGoal
from carrousel.shapes import Array, Floats

_PRIOR = 0.02  # pull of the logits towards equal weights, in forecasts that do not overlap


def mixture_outputs(
    goal: QuantileGoal, targets: Annotated[Array, "steps horizon J 1+K"]
) -> Annotated[Floats, "O"]:
    """Fit one mixture for each target and return it as outputs of a net.

    The weights minimise the absolute error of the mixture, in the units of ``goal`` for each step
    ahead, with a prior for equal weights: few forecasts do not tell good ones from lucky ones.
    Quantiles are those of a normal distribution whose mean absolute error is the unit.

    Args:
        goal: the objective, with the units.
        targets: true values, NaN where missing, and simple forecasts.
    """
    horizon, J, K = goal.horizon, goal.n_targets, goal.n_simple
    useful = np.isfinite(targets[..., 0]).any(axis=(1, 2))
    both = torch.from_numpy(np.asarray(targets[useful], np.float32))
    truth, simple = both[..., 0], both[..., 1:]
    known = torch.isfinite(truth)
    truth = torch.nan_to_num(truth)
    units = torch.tensor(goal.units).view(horizon, J)
    pull = _PRIOR * horizon / max(1, int(known.sum()))
    logits = torch.zeros(J, K, requires_grad=True)
    solver = torch.optim.LBFGS([logits], max_iter=80, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        error = (truth - (simple * logits.softmax(-1)).sum(-1)).abs() / units
        found = torch.where(known, error, 0.0).sum() / known.sum().clamp(min=1)
        found = found / 2 + pull * logits.square().sum()
        found.backward()
        return found

    with torch.enable_grad():
        solver.step(loss)
    normal = NormalDist(0.0, math.sqrt(math.pi / 2.0))  # of mean absolute error 1
    gaps = np.diff([normal.inv_cdf(level) for level in goal.quantiles])
    rest = np.concatenate([[0.0], np.log(np.expm1(gaps))])  # inverse of the softplus
    weights = logits.detach().double().numpy()
    each = np.concatenate([weights, np.tile(rest, (J, 1))], axis=1)
    return np.tile(each.ravel(), horizon)
