"""Exact shares of a cell's state: what each step wrote, times the forget gates since then.

The state of a memory cell is ``c(t) = keep(t) c(t-1) + write(t)``. ``keep`` is the forget gate, or
1 in the cell of 1997, and ``write`` is the gated input. So the state is a sum over earlier steps,
without any approximation::

    c(T) = sum over t of  write(t) keep(t+1) keep(t+2) ... keep(T)

Any linear function of states at several steps is a sum over steps in the same way.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.errors import ShapeError
from carrousel.shapes import Floats


def writes_of(
    states: Annotated[Floats, "T ... C"], keeps: Annotated[Floats, "T ... C"]
) -> Annotated[Floats, "T ... C"]:
    """Return what each step added to the state, which is zero before the first step.

    Args:
        states: ``c``, after each step.
        keeps: forget gates at each step; 1 for cells without one.

    Returns:
        ``states[t] - keeps[t] * states[t - 1]``.

    Raises:
        ShapeError: shapes differ.

    Source: Hochreiter & Schmidhuber 1997, equation 9, for ``keeps = 1``; Gers, Schmidhuber &
    Cummins 2000 for forget gates.

    >>> writes_of(np.array([[1.0], [2.0]]), np.array([[1.0], [0.5]])).tolist()
    [[1.0], [1.5]]
    """
    states, keeps = _alike(states, keeps)
    writes = states.copy()
    writes[1:] -= keeps[1:] * states[:-1]
    return writes


def credit_of_writes(
    keeps: Annotated[Floats, "T ... C"],
    writes: Annotated[Floats, "T ... C"],
    readers: Annotated[Floats, "T ... C"],
) -> Annotated[Floats, "T ... C"]:
    """Return the share of each step's write in ``sum over t of readers[t] * states[t]``.

    The shares of all steps add up to that sum, in each cell. The call takes ``O(T)`` operations for
    a cell, by the recursion ``a(t) = readers(t) + keep(t+1) a(t+1)``.

    Args:
        keeps: forget gates at each step.
        writes: what each step added, from :func:`writes_of`.
        readers: weights of the states; all zero but the last for the state after the last step.

    Raises:
        ShapeError: shapes differ.

    >>> keeps, writes = np.array([1.0, 0.5, 0.5]), np.array([8.0, 0.0, 1.0])  # states 8, 4, 3
    >>> credit_of_writes(keeps, writes, np.array([0.0, 0.0, 1.0])).tolist()
    [2.0, 0.0, 1.0]
    >>> credit_of_writes(keeps, writes, np.array([1.0, 1.0, 1.0])).tolist()  # 8 + 4 + 3
    [14.0, 0.0, 1.0]
    """
    keeps, writes, readers = _alike(keeps, writes, readers)
    shares = np.empty_like(writes)
    carried = np.zeros(writes.shape[1:])
    for t in range(len(writes) - 1, -1, -1):
        carried = readers[t] + carried
        shares[t] = writes[t] * carried
        carried = keeps[t] * carried
    return shares


def _alike(*arrays: Floats) -> list[np.ndarray]:
    """Return arrays in float64, after a check that they have one shape with an axis of steps."""
    wide = [np.asarray(array, np.float64) for array in arrays]
    shapes = [array.shape for array in wide]
    if len(set(shapes)) > 1 or not shapes[0]:
        raise ShapeError(f"arrays have shapes {shapes}, expected one shape [T, ..., C]")
    return wide
