"""Memory of gradient algorithms, by formula."""

from __future__ import annotations

from carrousel.contracts import Cell, Gradient, Network
from carrousel.kernels.reference.paths import reachable


def gradient_numbers(network: Network, gradient: Gradient, longest: int) -> int:
    """Return how many numbers a network keeps between time steps, apart from its weights.

    With ``U`` hidden units, ``C`` memory cells (0 for simple units), ``S`` sources of a hidden unit
    and ``T`` steps of the longest sequence:

    ==========  =============================================================================
    truncated   ``2 C S``, ``3 C S`` with forget gates: O(W)
    immediate   0
    bptt        ``T (I + 2 U + 6 C)``, with T at most the depth: O(T)
    rtrl        ``(U + C) U S``: O(U W)
    sparse:k    as rtrl
    snap:n      ``S`` per pair of a unit and an activation or state that its weights can influence
                within n steps: O(W) for n = 1
    uoro        ``U + C + U S``: O(W)
    ==========  =============================================================================

    Args:
        network: the network.
        gradient: the gradient algorithm.
        longest: ``T``.

    >>> from carrousel.contracts import Simple
    >>> gradient_numbers(Network(2, 1, Simple(10)), Gradient("rtrl"), longest=100)
    1300
    """
    cell, sources = network.cell, network.n_sources
    units, states = cell.n_units, cell.n_states
    if gradient.kind == "truncated":
        return _traces_of_a_cell(network) * cell.n_cells * sources
    if gradient.kind == "immediate":
        return 0
    if gradient.kind == "bptt":
        steps = longest if gradient.depth is None else min(longest, gradient.depth)
        return steps * (network.n_inputs + 2 * units + 6 * cell.n_cells)
    if gradient.kind == "uoro":
        return units + states + units * sources
    if gradient.kind == "snap":
        return int(reachable(network, gradient.depth or 1).sum()) * sources
    return (units + states) * units * sources


def _traces_of_a_cell(network: Network) -> int:
    return 2 + network.cell.forget_gate if isinstance(network.cell, Cell) else 0
