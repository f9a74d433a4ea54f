"""How long states differ, and how far back the loss depends on history."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.shapes import Floats, Ints


@dataclass(frozen=True, eq=False)
class UsedMemory:
    """Loss when the history beyond a lag is replaced by that of another sequence.

    Args:
        lags: ``[N]``, on a logarithmic grid.
        loss: ``[N]``.
        undisturbed: loss of the call as it was.
    """

    lags: Annotated[Ints, "N"]
    loss: Annotated[Floats, "N"]
    undisturbed: float

    def increase(self) -> Annotated[Floats, "N"]:
        """Return by how much the loss rises, ``[N]``."""
        return self.loss - self.undisturbed


@dataclass(frozen=True, eq=False)
class UnitMemory:
    """How long each unit of a part remembers its past, measured by twins.

    Twins get the same inputs from some step on, but had different pasts.

    Args:
        part: name of the part.
        state: ``"c"`` or ``"h"``: the state that was compared.
        difference: ``[K, units]``, mean absolute difference of twins after 0 to K - 1 equal inputs.
    """

    part: str
    state: str
    difference: Annotated[Floats, "K units"]

    def half_lives(self) -> Annotated[Floats, "units"]:
        """Return after how many steps each difference has halved for good, ``[units]``.

        Infinite: it has not halved in the time that was measured. NaN: there was none.
        """
        first = self.difference[0]
        above = self.difference > 0.5 * first
        last = len(above) - 1 - above[::-1].argmax(axis=0)
        found = np.where(last == len(above) - 1, math.inf, last + 1.0)
        return np.where(first > 0, found, math.nan)


def log_grid(longest: int, lag: int | None = None, points: int = 8) -> list[int]:
    """Return whole numbers from 0 to ``longest``, about evenly spaced in their logarithm.

    With ``lag - 1`` and ``lag`` among them, the grid shows whether the loss depends on exactly the
    step that the task asks for.

    >>> log_grid(100)
    [0, 1, 3, 6, 13, 26, 51, 100]
    >>> log_grid(100, lag=80)
    [0, 1, 3, 6, 13, 26, 51, 79, 80, 100]
    """
    raw = np.geomspace(1, longest + 1, points) - 1
    asked = () if lag is None else (one for one in (lag - 1, lag) if 0 <= one <= longest)
    return sorted({*asked, *(round(float(value)) for value in raw)})
