"""Memory of states: how long they differ, and how far back the loss depends on history."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.swap import Window, swapped
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


def memories(recording: Recording, lags: list[int]) -> tuple[UsedMemory, list[UnitMemory]]:
    """Measure the memory of a model by runs with exchanged histories, one for each lag."""
    losses, longest = [], list[Window]()
    for lag in sorted(lags):
        loss, longest = swapped(recording, lag)
        losses.append(loss)
    used = UsedMemory(np.array(sorted(lags)), np.array(losses), float(recording.loss.detach()))
    return used, [found for window in longest if (found := _units(window)) is not None]


def _units(window: Window) -> UnitMemory | None:
    if window.h is None or window.s is None or not len(window.rows):
        return None
    h, s = window.recorded()
    name, pair = ("c", (window.s, s)) if s.shape[-1] else ("h", (window.h, h))
    found = (pair[0] - pair[1]).detach().abs().mean(1).double().cpu().numpy()
    return UnitMemory(window.track.part.name, name, found)


def log_grid(longest: int, points: int = 8) -> list[int]:
    """Return whole numbers from 0 to ``longest``, about evenly spaced in their logarithm.

    >>> log_grid(100)
    [0, 1, 3, 6, 13, 26, 51, 100]
    """
    raw = np.geomspace(1, longest + 1, points) - 1
    return sorted({round(float(value)) for value in raw})
