"""Error flow in nets of simple units: one unit, and fully recurrent layers with their bound."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from carrousel import Network, Sequences, Simple
from carrousel.inspection import errors_by_lag
from carrousel.shapes import Floats

UNITS, NETS, LAGS, BEFORE = 10, 11, 60, 60
"""Units of a layer, nets of each kind, lags, and steps before those that errors flow through."""
LARGEST = (0.39, 2.0, 3.9, 8.0, 20.0)
"""Largest absolute recurrent weight of each kind; the first is below ``4 / UNITS``."""
ACTIVATIONS = (1.0, 0.5, 0.2)
"""Constant activations that one unit receives through its weight."""


def simple() -> dict[str, Any]:
    """Measure both panels of the figure."""
    return {"one": one_unit(), "nets": NETS, "layers": [layers(largest) for largest in LARGEST]}


def one_unit() -> dict[str, Any]:
    """Return ``f'(net) w`` of a logistic unit with ``net = w y``, by ``w``, for constant ``y``."""
    weights = np.linspace(0.0, 16.0, 65)
    factors = {}
    for activation in ACTIVATIONS:
        y = 1.0 / (1.0 + np.exp(-weights * activation))
        factors[f"{activation:g}"] = (y * (1.0 - y) * weights).tolist()
    return {"weights": weights.tolist(), "factors": factors}


def layers(largest: float) -> dict[str, Any]:
    """Return the flow in nets with uniform weights, and its bound: medians over nets, by lag."""
    found = [layer(largest, seed) for seed in range(NETS)]
    flows = np.array([flow for flow, _ in found])
    bases = np.array([base for _, base in found])
    with np.errstate(over="ignore"):
        bounds = UNITS * bases[:, None] ** np.arange(LAGS)
    return {
        "largest": largest,
        "flow": np.median(flows, axis=0).tolist(),
        "bound": np.median(bounds, axis=0).tolist(),
        "within": bool((flows[:, 1:] <= bounds[:, 1:]).all()),
        "growing": int((flows[:, -1] > 1.0).sum()),
    }


def layer(largest: float, seed: int) -> tuple[Annotated[Floats, "lags"], float]:
    """Return the largest factor ``|de_v(t-q) / de_u(t)|`` over pairs of units, by lag ``q``.

    Biases centre the units on their steepest point, where errors flow best. Inputs are noise.

    Returns:
        the factors, and ``f'_max ||W||``, the base of the bound: a quarter of the largest sum of
        absolute weights that leave a unit.
    """
    rng = np.random.default_rng(seed)
    net = Network(1, 1, Simple(UNITS), bias="hidden")
    recurrent = rng.uniform(-largest, largest, (UNITS, UNITS))
    inputs, noise = rng.uniform(-0.1, 0.1, (UNITS, 1)), rng.normal(size=BEFORE + LAGS)
    data = Sequences.from_lists([noise.tolist()], [[1.0]])
    most = np.zeros(LAGS)
    for unit in range(UNITS):  # the output reads one unit, so the error enters there
        flat = np.zeros(net.n_weights)
        parts = net.views(flat)
        parts["hidden_inputs"][:], parts["hidden_recurrent"][:] = inputs, recurrent
        parts["hidden_bias"][:] = -0.5 * recurrent.sum(axis=1)
        parts["output_cells"][0, unit] = 1.0
        errors = errors_by_lag(net, flat, data, "bptt", range(LAGS), initial_activation=0.5)
        if errors[0, unit]:  # zero: the unit is saturated to the last bit
            most = np.maximum(most, np.abs(errors / errors[0, unit]).max(axis=1))
    return most, 0.25 * float(np.abs(recurrent).sum(axis=0).max())
