"""Error flow inside memory cells, next to layers of simple units."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from carrousel import nn as cn
from carrousel.inspection import inspect

STEPS, SEQUENCES, UNITS, SEED = 101, 8, 64, 1
GAINS = (0.5, 1.0, 2.5)
"""Recurrent weights of a layer of tanh units are normal, with this deviation times 1 / sqrt(64)."""
BIASES = (0.0, 1.0, 3.0, 5.0)
"""Initial sums of the biases of forget gates; 0 is the centre of torch's random ones."""


def cells() -> dict[str, Any]:
    """Measure errors by lag of simple units and of memory cells."""
    x = torch.randn(STEPS, SEQUENCES, 1, generator=torch.Generator().manual_seed(0)).double()
    return {
        "simple": [tanh_units(x, gain) for gain in GAINS],
        "memory": [memory_cells(x, bias) for bias in (None, *BIASES)],
    }


def last(output: Any) -> Tensor:
    """Loss that reads the last step of a layer."""
    return output[0][-1].square().mean()


def tanh_units(x: Tensor, gain: float) -> dict[str, Any]:
    """Return the error of ``h`` by lag, relative to lag 0, and its bound ``||W||_2 ** lag``."""
    torch.manual_seed(SEED)
    layer = nn.RNN(1, UNITS).double()
    weights = layer.get_parameter("weight_hh_l0")
    with torch.no_grad():
        weights.copy_(gain * torch.randn(UNITS, UNITS) / UNITS**0.5)
    reach = inspect(layer, x, last).read_reach()
    norm = float(torch.linalg.matrix_norm(weights.detach(), 2))
    bound = np.minimum(norm ** np.arange(reach.n_lags), 1e30)
    return {"gain": gain, "norm": norm, "flow": reach.curve().tolist(), "bound": bound.tolist()}


def memory_cells(x: Tensor, bias: float | None) -> dict[str, Any]:
    """Return the error that stays in the cells by lag, relative to lag 1; None: the cell of 1997.

    The error of a state at the step that the loss reads enters through its output, so lag 1 is the
    first.
    """
    torch.manual_seed(SEED)
    if bias is None:
        layer = cn.LSTM(1, UNITS, cell="lstm97").double()
    else:
        layer = cn.LSTM(1, UNITS, forget_bias=bias).double()
    path = inspect(layer, x, last).read_reach().carrousel
    assert path is not None
    return {"bias": bias, "flow": (path[1:] / path[1]).mean(axis=1).tolist()}
