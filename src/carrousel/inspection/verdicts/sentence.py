"""The verdict in one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from carrousel.inspection.results.memory import UsedMemory
from carrousel.inspection.results.reach import Reach
from carrousel.inspection.verdicts.fault import Fault
from carrousel.words import count, listed, share, small

FELT = 0.01
"""History is used if its exchange changes the loss by 1 % of the largest change or more."""
ROUNDED = 1e-5
"""Changes below this share of the loss are rounding errors of 32-bit numbers."""


def sentence(
    faults: Sequence[Fault], reach: Reach, used: UsedMemory | None, lag: int | None
) -> str:
    """Return the verdict in one sentence.

    Args:
        faults: verdicts; none for a sound net.
        reach: error by lag in the part that the loss reads.
        used: loss with foreign history by lag; None: unknown.
        lag: time lag of the task; None: unknown.
    """
    if faults:
        names = listed(list(dict.fromkeys(one.name for one in faults)))
        return f"{count(len(faults), 'fault')}, {names}: {faults[0].evidence}"
    return f"Sound: {_reach(reach, lag)}{_memory(used, lag)}."


def _reach(reach: Reach, lag: int | None) -> str:
    curve = reach.curve()
    if len(curve) < 2:
        return "the loss reads the first step alone"
    half = reach.half_life()
    pace = (
        "does not decay on average"
        if math.isinf(half) or math.isnan(half)
        else f"halves every {small(round(half, 2))} steps"
    )
    at = len(curve) - 1 if lag is None else min(lag, len(curve) - 1)
    return (
        f"{arriving(float(curve[at]))} at the read step arrives {count(at, 'step')} back and it "
        f"{pace}"
    )


def arriving(relative: float) -> str:
    """Return how much error arrives, relative to that at the read step, as text.

    >>> arriving(0.21), arriving(0.0), arriving(12.0)
    ('21 % of the error', 'none of the error', '12 times the error')
    """
    amount = share(relative)
    return f"{amount} the error" if amount.endswith("times") else f"{amount} of the error"


def _memory(used: UsedMemory | None, lag: int | None) -> str:
    if used is None:
        return ""
    found = used_steps(used)
    if found is None:
        return ", but the loss does not depend on history yet"
    steps, is_all = found
    least = "more than" if is_all else "about"
    known = f", and the loss uses {least} the last {count(steps, 'step')} of history"
    if lag is not None and steps < lag <= int(used.lags.max()):
        known += f", not yet {lag} as the task asks"
    return known


def used_steps(used: UsedMemory) -> tuple[int, bool] | None:
    """Return the smallest lag of the grid beyond which history hardly changes the loss.

    The second value is True if history beyond the last lag still changes it: then the loss uses
    more than was measured. None: the loss does not depend on history at all.

    >>> used = UsedMemory(np.array([0, 1, 3]), np.array([2.0, 1.5, 1.0]), 1.0)
    >>> used_steps(used)
    (3, False)
    >>> used_steps(UsedMemory(np.array([0, 1]), np.array([2.0, 1.5]), 1.0))
    (1, True)
    """
    change = np.abs(used.increase())
    least = max(FELT * float(change.max()), ROUNDED * abs(used.undisturbed))
    felt = np.flatnonzero(change > least)
    if not len(felt):
        return None
    last, end = int(felt[-1]), len(change) - 1
    return int(used.lags[min(last + 1, end)]), last == end
