"""Errors of the full state at every step, along the paths that a gradient algorithm follows.

The full state ``q`` consists of the activations and cell states of a hidden layer; see
:class:`carrousel.kernels.reference.layers.HiddenStep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from carrousel.contracts import Gradient, Network
from carrousel.kernels.reference.layers import HiddenStep
from carrousel.kernels.reference.paths import recurrent_paths
from carrousel.shapes import Floats


def followed(
    network: Network, recurrent: Annotated[Floats, "U U"], gradient: Gradient
) -> Annotated[Floats, "U U"]:
    """Return the recurrent weights through which an algorithm sends errors back.

    The truncated gradient has no recurrent paths; for simple units this is one step. Sparse RTRL
    has some, all others follow every path.
    """
    if gradient.kind == "truncated":
        return np.zeros_like(recurrent)
    if gradient.kind == "sparse":
        return recurrent * recurrent_paths(network, gradient.depth or 1)
    return recurrent


def depth_of(gradient: Gradient) -> int | None:
    """Return for how many steps an algorithm goes back; None: to the first step."""
    return {"immediate": 1, "bptt": gradient.depth}.get(gradient.kind)


def state_errors(
    steps: Sequence[HiddenStep],
    recurrent: Annotated[Floats, "U U"],
    error: Annotated[Floats, "state"],
    depth: int | None = None,
) -> Annotated[Floats, "T+1 state"]:
    """Return the error of the last step at every state, in the order of time.

    Row ``t`` is the error at the state before step ``t``; the last row is ``error`` itself. An
    error at a cell state is its derivative at constant activations of the same step.

    Args:
        steps: the ``T`` steps of one sequence.
        recurrent: weights from :func:`followed`.
        error: at the full state after the last step.
        depth: errors are zero from this number of steps before the last one; None: never.
    """
    found = np.zeros((len(steps) + 1, len(error)))
    found[-1] = error
    for t in range(len(steps) - 1, -1, -1):
        if depth is not None and len(steps) - t >= depth:
            break
        found[t] = steps[t].jacobian(recurrent).T @ found[t + 1]
    return found
