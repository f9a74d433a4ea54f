"""Memory of states: how long they differ, and how far back the loss depends on history."""

from __future__ import annotations

import numpy as np

from carrousel.inspection.record.recording import Recording
from carrousel.inspection.record.swap import Window, swapped
from carrousel.inspection.results.memory import UnitMemory as UnitMemory
from carrousel.inspection.results.memory import UsedMemory as UsedMemory
from carrousel.inspection.results.memory import log_grid as log_grid


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
