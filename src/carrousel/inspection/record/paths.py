"""Derivatives of single steps by the cell's own state before, from recorded gates.

All of them belong to one cell each: its state ``c(t)`` and its output ``m(t)`` depend on ``c(t-1)``
of the same cell only, at constant ``h(t-1)``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from carrousel.contracts import Recurrence


def keeps_of(recurrence: Recurrence, gates: Mapping[str, Tensor]) -> Tensor | None:
    """Return the factor of the old state in the new one, ``[..., C]``; None: there is no such path.

    It is the forget gate of an LSTM, ``1 - i`` of a coupled one, 1 for ``lstm97``, and the update
    gate of a GRU, whose path is ``h`` itself.

    >>> from carrousel.contracts import Recurrence
    >>> keeps_of(Recurrence("coupled", 1), {"input": torch.tensor([0.25])})
    tensor([0.7500])
    """
    cell = recurrence.cell
    if cell == "gru":
        return gates["update"]
    if not recurrence.n_states:
        return None
    if cell == "coupled":
        return 1 - gates["input"]
    return torch.ones_like(gates["cell"]) if cell == "lstm97" else gates["forget"]


def by_own_state(
    recurrence: Recurrence,
    gates: Mapping[str, Tensor],
    before: Tensor,
    after: Tensor,
    unit: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return ``dc(t) / dc(t-1)`` and ``dm(t) / dc(t)`` of a built-in cell without layer norm.

    Args:
        recurrence: a cell with a state ``c``.
        gates: activated gates by name.
        before, after: ``c(t-1)`` and ``c(t)``.
        unit: peepholes ``[3, C]``.

    Source: ``contracts/recurrence.py``, the table of cells.
    """
    cell, of_cells = recurrence.cell, recurrence.block_size
    if cell == "lstm97":
        o = gates["output"]
        o = o.repeat_interleave(of_cells, -1) if of_cells > 1 else o
        squashed = torch.tanh(after / 2)
        return torch.ones_like(after), o * (1 - squashed**2) * (recurrence.h_range / 2)
    kept = keeps_of(recurrence, gates)
    assert kept is not None
    squashed = torch.tanh(after)
    slope = 1 - squashed**2
    if cell == "no_output_gate":
        return kept, slope
    o = gates["output"]
    shown = o * slope
    if cell == "peephole" and unit is not None:
        p_i, p_f, p_o = unit
        i, f, g = gates["input"], gates["forget"], gates["cell"]
        kept = kept + before * f * (1 - f) * p_f + g * i * (1 - i) * p_i
        shown = shown + squashed * o * (1 - o) * p_o
    return kept, shown
