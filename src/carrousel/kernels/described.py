"""Cells that users describe by their equations: where compiled code and torch code are found.

Nothing here derives or compiles; ``carrousel.nn.Equations`` does and hands the results over.

Compiled code comes as two functions per data type ``T`` (float or double), called once for every
row of the batch and every step. Letters: ``M`` units, ``N`` net inputs, ``S`` states, ``P`` unit
parameters, ``R`` rows of the tape. Every pointer is to a contiguous row, vectors of ``M`` one after
another; no two overlap; those to nothing (``S = 0``, ``P = 0``, ``R = 0``) may be null::

    void forward(int64_t M, const T* x, const T* r, const T* s_prev, const T* h_prev,
                 const T* unit, T* s, T* m, T* tape);
    void backward(int64_t M, const T* tape, const T* s_prev, const T* h_prev, const T* unit,
                  const T* dm, T* ds, T* dx, T* dr, T* dh_prev, T* dunit);

``x``, ``r`` ``[N M]``; ``s_prev``, ``s``, ``ds`` ``[S M]``; ``h_prev``, ``m``, ``dm``, ``dh_prev``
``[M]``; ``unit``, ``dunit`` ``[P M]``; ``tape`` ``[R M]``. ``forward`` writes ``s``, ``m`` and
``tape``. ``backward`` takes the loss's gradient by ``m`` in ``dm`` and by ``s`` in ``ds``; it
overwrites ``ds`` with that by ``s_prev``, writes ``dx``, ``dr`` and ``dh_prev`` (the direct way
alone, not the one through net inputs), and adds to ``dunit``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from carrousel.checks import suggestion
from carrousel.contracts import CellKind, describe_cell
from carrousel.errors import SettingError, UnknownNameError


class DescribedCell(NamedTuple):
    """One cell from a user's equations.

    ``name``: starts with ``user:``. ``kind``: its parts. ``torch_step``: ``(x, r, states, h,
    unit) -> (states, m, gates)``, tuples of tensors ``[..., M]`` with one entry for each net input,
    state or unit parameter (``h`` and ``m``: one tensor); ``gates``: one tensor for each net input,
    activated where the equations do so. ``tape``: rows of ``M`` values that a step keeps for the
    way back. ``forward``, ``backward``: addresses of compiled code by data type, ``"float32"`` and
    ``"float64"``; empty where nothing can compile. ``keep``: what must stay alive meanwhile.
    """

    name: str
    kind: CellKind
    torch_step: Callable[..., tuple]
    tape: int
    forward: Mapping[str, int]
    backward: Mapping[str, int]
    keep: object = None


_cells: dict[str, DescribedCell] = {}


def describe(cell: DescribedCell) -> None:
    """Make a cell known by its name, here and to ``carrousel.contracts``.

    The first description of a name stays: addresses in use must not change. Whoever makes names
    sees to it that different equations have different names.

    Raises:
        SettingError: the name lacks its prefix or stands for a cell with other parts.
    """
    if bool(cell.forward) != bool(cell.backward):
        raise SettingError(f"cell {cell.name!r} has compiled code for one way only, expected both")
    describe_cell(cell.name, cell.kind)
    _cells.setdefault(cell.name, cell)


def described_cell(name: str) -> DescribedCell:
    """Return the cell that was described under ``name``.

    >>> described_cell("user:nobody")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    carrousel.errors.UnknownNameError: cell 'user:nobody' is unknown...
    """
    if name in _cells:
        return _cells[name]
    known = suggestion(name, _cells) if _cells else "no cell has been described in this process"
    raise UnknownNameError(f"cell {name!r} is unknown; {known} (carrousel.nn.Equations makes one)")
