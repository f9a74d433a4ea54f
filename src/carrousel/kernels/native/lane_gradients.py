"""Gradients of compiled lanes: which kernel computes one, and its paths."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from carrousel.contracts import Gradient, Network
from carrousel.errors import SettingError
from carrousel.kernels.reference.paths import reachable, recurrent_paths


@lru_cache
def compiled(network: Network, gradient: Gradient) -> Gradient | None:
    """Return the gradient whose kernel computes this one, or None.

    The immediate derivative is ``bptt:1``. ``sparse:k`` with all connections is ``rtrl``.

    In two steps, a weight of a recurrent layer influences all units, and ``snap:2`` is ``rtrl``. In
    a layer that is not recurrent it influences no more than in one, and ``snap:2`` is ``snap:1``.
    """
    if gradient.kind == "immediate":
        return Gradient("bptt", 1)
    if gradient.kind == "sparse" and (gradient.depth or 1) >= len(network.fed_back):
        return Gradient("rtrl")
    if gradient.kind != "snap" or gradient.depth == 1:
        return gradient
    reached, once = reachable(network, gradient.depth or 1), reachable(network, 1)
    if reached.all():
        return Gradient("rtrl")
    return Gradient("snap", 1) if np.array_equal(reached, once) else None


def resolved(network: Network, gradient: Gradient) -> Gradient:
    """Return the gradient whose kernel computes this one.

    Raises:
        SettingError: none does.
    """
    found = compiled(network, gradient)
    if found is None:
        raise SettingError(
            f"gradient {gradient.name!r} has no native lanes for this wiring, in which a weight "
            f"influences some but not all units within {gradient.depth} steps",
            argument="gradient",
            got=gradient.name,
            fix="use the ReferenceKernel, 'snap:1' or 'rtrl'",
        )
    return found


def lane_paths(network: Network, gradient: Gradient) -> np.ndarray | None:
    """Return the paths of sparse RTRL, float32 ``[U, U]`` from and to a unit, or None."""
    if gradient.kind != "sparse":
        return None
    return np.ascontiguousarray(recurrent_paths(network, gradient.depth or 1).T, np.float32)
