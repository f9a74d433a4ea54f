"""Predictions for the series that a member did not learn, and the temperature they ask for."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.net.ensemble import Ensemble
from carrousel.shapes import Floats, Ints


def held_out_outputs(
    ensemble: Ensemble, examples: Examples
) -> tuple[Annotated[Floats, "held O"], Annotated[Ints, "held"]]:
    """Return each member's outputs at the end of the series it holds out, and their indices."""
    outputs, indices = [np.zeros((0, ensemble.goal.n_outputs))], [np.zeros(0, np.int64)]
    for member in ensemble.members:
        which = np.flatnonzero(member.held)
        if len(which):
            alone = Ensemble(ensemble.features, ensemble.goal, [member])
            outputs.append(alone.outputs(examples.series.take(which))[:, 0].astype(np.float64))
            indices.append(which)
    return np.concatenate(outputs), np.concatenate(indices)


def fitted_temperature(
    logits: Annotated[Floats, "held K"],
    targets: Annotated[Ints, "held"],
    weights: Annotated[Floats, "held"],
) -> float:
    """Return the divisor of the logits that minimises the weighted log loss, from 1/8 to 8.

    The result is 1 if there are no predictions.
    """
    if not len(logits):
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        right = scaled[np.arange(len(targets)), targets]
        return float(((logsumexp(scaled, axis=1) - right) * weights).sum())

    best = minimize_scalar(loss, bounds=(-np.log(8.0), np.log(8.0)), method="bounded")
    return float(np.exp(best.x))
