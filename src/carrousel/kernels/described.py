"""Registry of cells from users' equations, with their torch functions and compiled code.

``carrousel.nn.Equations`` derives and compiles the functions, and registers them here.

There are two compiled functions per data type (``Real`` is float or double), called once per row of
the batch and step. Letters: ``C`` memory cells, ``D`` state vectors, ``P`` unit parameters; further
sizes: ``nets`` net inputs per cell, ``rows`` of the tape. Every pointer is to a contiguous array.
No two overlap. Pointers to empty arrays may be null::

    void forward(int64_t C, const Real* x, const Real* r, const Real* s_prev, const Real* h_prev,
                 const Real* unit, Real* s, Real* m, Real* tape);
    void backward(int64_t C, const Real* tape, const Real* s_prev, const Real* h_prev,
                  const Real* unit, const Real* dm, Real* ds, Real* dx, Real* dr, Real* dh_prev,
                  Real* dunit);

======================================  =============
``x``, ``r``, ``dx``, ``dr``            ``[nets, C]``
``s_prev``, ``s``, ``ds``               ``[D, C]``
``h_prev``, ``m``, ``dm``, ``dh_prev``  ``[C]``
``unit``, ``dunit``                     ``[P, C]``
``tape``                                ``[rows, C]``
======================================  =============

Cells with several recurrent products (``CellKind.products``) have two more functions for each
product ``k`` after the first. ``K`` is the number of these products, ``nets_k`` the number of net
inputs of one; ``backward`` has a last argument ``dv`` more::

    void source_k(int64_t C, const Real* x, const Real* r, const Real* s_prev, const Real* h_prev,
                  const Real* unit, Real* v);
    void back_k(int64_t C, const Real* tape, const Real* s_prev, const Real* h_prev,
                const Real* unit, const Real* dm, const Real* ds, const Real* dv, Real* dr);

``source_k`` writes the vector ``v [C]`` that product ``k`` multiplies; rows of ``r`` of this and
later products are not read. ``back_k`` writes the rows ``[nets_k, C]`` of ``dr`` of this product.
``dv [K, C]`` holds the gradients by the vectors; ``back_k`` reads those of later products only.

``forward`` writes ``s``, ``m`` and ``tape``. ``backward`` reads the gradients of the loss with
respect to ``m`` (in ``dm``) and ``s`` (in ``ds``). It overwrites ``ds`` with that of ``s_prev``,
writes ``dx``, ``dr`` and ``dh_prev`` (without the path through net inputs), and adds to ``dunit``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from carrousel.checks import suggestion
from carrousel.contracts import CellKind, describe_cell
from carrousel.errors import SettingError, UnknownNameError


class Source(NamedTuple):
    """A vector that a recurrent product multiplies.

    Args:
        torch: ``(x, r, states, h, unit) -> v``, with the arguments of ``torch_step``. Entries of
            ``r`` that no earlier product computes may be None.
        forward, backward: addresses of ``source_k`` and ``back_k``, as in :class:`DescribedCell`.
    """

    torch: Callable[..., Any]
    forward: Mapping[str, int]
    backward: Mapping[str, int]


class DescribedCell(NamedTuple):
    """A cell from a user's equations.

    Args:
        name: its name, which starts with ``user:``.
        kind: its parts.
        torch_step: ``(x, r, states, h, unit) -> (states, m, gates)``. Each is a tuple of tensors
            ``[..., C]``, one per net input, state or unit parameter; ``h`` and ``m`` are single
            tensors. ``gates`` has one tensor per net input, activated if the equations do so.
        tape: number of rows ``[C]`` that a step stores for the backward pass.
        forward, backward: addresses of compiled code by ``"float32"`` and ``"float64"``; empty if
            there is no compiler.
        keep: an object that owns the compiled code.
        sources: one for each recurrent product after the first.
    """

    name: str
    kind: CellKind
    torch_step: Callable[..., tuple]
    tape: int
    forward: Mapping[str, int]
    backward: Mapping[str, int]
    keep: object = None
    sources: tuple[Source, ...] = ()


_cells: dict[str, DescribedCell] = {}


def describe(cell: DescribedCell) -> None:
    """Register a cell by its name, here and in ``carrousel.contracts``.

    A second registration under the same name has no effect, since addresses in use must not change.
    Callers give different names to different equations.

    Raises:
        SettingError: the name lacks its prefix, a cell with other parts has the name, or only one
            of the two passes is compiled.
    """
    if bool(cell.forward) != bool(cell.backward):
        raise SettingError(
            f"cell {cell.name!r} has compiled code for one pass only, expected both",
            argument="cell",
        )
    describe_cell(cell.name, cell.kind)
    _cells.setdefault(cell.name, cell)


def described_cell(name: str) -> DescribedCell:
    """Return the cell registered under ``name``.

    Raises:
        UnknownNameError: there is none.

    >>> described_cell("user:none")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    carrousel.errors.UnknownNameError: cell 'user:none' is unknown...
    """
    if name in _cells:
        return _cells[name]
    known = suggestion(name, _cells) if _cells else "no cell has been described in this process"
    raise UnknownNameError(
        f"cell {name!r} is unknown",
        argument="cell",
        got=name,
        fix=f"{known} (carrousel.nn.Equations makes one)",
    )
