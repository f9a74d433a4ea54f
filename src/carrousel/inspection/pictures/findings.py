"""What pictures read from a report, and the numbers and names that several of them show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Protocol

import numpy as np

from carrousel.inspection.results.dynamics import Dynamics
from carrousel.inspection.results.gradients import Gradients
from carrousel.inspection.results.memory import UnitMemory, UsedMemory
from carrousel.inspection.results.reach import Reach
from carrousel.inspection.results.units import Units
from carrousel.inspection.trace import Trace
from carrousel.inspection.verdicts.fault import Fault
from carrousel.inspection.verdicts.sentence import ROUNDED
from carrousel.shapes import Floats, Ints
from carrousel.words import count, printable

LONGEST = 48
"""Characters of a name that are shown at most."""


class Findings(Protocol):
    """The fields of a report that pictures show; see :class:`carrousel.inspection.Report`."""

    @property
    def loss(self) -> float: ...
    @property
    def lag(self) -> int | None: ...
    @property
    def reach(self) -> Sequence[Reach]: ...
    @property
    def used(self) -> UsedMemory | None: ...
    @property
    def unit_memory(self) -> Sequence[UnitMemory]: ...
    @property
    def units(self) -> Sequence[Units]: ...
    @property
    def dynamics(self) -> Sequence[Dynamics]: ...
    @property
    def gradients(self) -> Gradients: ...
    @property
    def traces(self) -> Sequence[Trace]: ...
    @property
    def faults(self) -> Sequence[Fault]: ...
    def sentence(self) -> str: ...


def read_part(report: Findings) -> Reach | None:
    """Return the part that the loss reads, the first if there are several; None: none is known."""
    read = [one for one in report.reach if one.is_read]
    return (read or [*report.reach, None])[0]


def curve_of(reach: Reach) -> Annotated[Floats, "K"]:
    """Return the error by lag relative to lag 0, NaN where errors overflow."""
    with np.errstate(all="ignore"):
        curve = reach.curve()
    return np.where(np.isfinite(curve), curve, np.nan)


def rate_of(reach: Reach) -> float:
    """Return the factor by which the error changes in a step; NaN where errors overflow."""
    with np.errstate(all="ignore"):
        return math.nan if np.isnan(curve_of(reach)).any() else reach.rate()


def half_life_of(reach: Reach) -> float:
    """Return the number of steps in which the error halves; NaN where errors overflow."""
    with np.errstate(all="ignore"):
        return math.nan if np.isnan(curve_of(reach)).any() else reach.half_life()


def largest(values: Annotated[Floats, "..."]) -> float:
    """Return the largest finite absolute value, 0 if there is none.

    >>> largest(np.array([-2.0, np.nan, np.inf])), largest(np.zeros(0))
    (2.0, 0.0)
    """
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if len(finite) else 0.0


def memory_of(report: Findings, part: str) -> UnitMemory | None:
    """Return the memory of the units of a part; None: it was not measured."""
    return next((one for one in report.unit_memory if one.part == part), None)


def mean_memory(memory: UnitMemory) -> Annotated[Floats, "K"]:
    """Return the mean difference of twins over units, relative to lag 0; NaN without any."""
    mean = memory.difference.mean(axis=1)
    is_known = len(mean) > 0 and np.isfinite(mean[0]) and mean[0] > 0
    return mean / mean[0] if is_known else np.full(len(mean), np.nan)


def carrousel_curve(reach: Reach) -> Annotated[Floats, "K"] | None:
    """Return the error through the cells alone, relative to all error at lag 0, a geometric mean.

    The error of a state of an LSTM at the read step is zero by definition, and is left out.
    """
    if reach.carrousel is None or not len(reach.carrousel):
        return None
    first = reach.total()[0]
    known = reach.carrousel[:, first > 0]
    if not known.shape[1]:
        return None
    with np.errstate(all="ignore"):
        logs = np.log(known) - np.log(first[first > 0])
        is_known = ~np.isnan(logs)
        mean = np.where(is_known, logs, 0.0).sum(1) / np.maximum(1, is_known.sum(1))
        found = np.where(is_known.any(1), np.exp(mean), np.nan)
    if found[0] == 0.0:
        found[0] = np.nan
    return found


def median_half_life(memory: UnitMemory) -> float:
    """Return the median half-life of the units whose states differed; NaN without any."""
    lives = memory.half_lives()
    lives = lives[~np.isnan(lives)]
    return float(np.median(lives)) if len(lives) else math.nan


def change_of(used: UsedMemory) -> Annotated[Floats, "N"]:
    """Return by how much foreign history changes the loss, 0 where that may be rounding.

    NaN where it is not a number.
    """
    with np.errstate(invalid="ignore"):
        change = np.abs(used.increase())
    change = np.where(np.isfinite(change), change, np.nan)
    return np.where(change > ROUNDED * abs(used.undisturbed), change, 0.0 * change)


def used_until(used: UsedMemory) -> float:
    """Return the greatest lag at which foreign history changes the loss by half of the most.

    NaN: it does not change the loss at any lag.
    """
    change = change_of(used)
    most = max([0.0, *change[~np.isnan(change)]])
    if most == 0.0:
        return math.nan
    return float(used.lags[np.flatnonzero(change >= 0.5 * most)[-1]])


def order_of(report: Findings, trace: Trace) -> Ints:
    """Return the units of a part, those with the longest memory first.

    Units whose half-lives were not measured are sorted by the error that reaches them.
    """
    error = unit_errors(trace)
    total = error.sum(axis=0)
    memory = memory_of(report, trace.part)
    lives = np.zeros(len(total))
    if memory is not None and memory.difference.shape[1] == len(total):
        lives = np.nan_to_num(memory.half_lives(), nan=-1.0)
    return np.lexsort((-total, -lives))


def unit_errors(trace: Trace) -> Annotated[Floats, "T units"]:
    """Return the norm of the error of each unit's states at each step."""
    h, s = trace.error_h, trace.error_s
    if not s.shape[1]:
        return np.abs(h)
    return np.hypot(h, s) if h.shape == s.shape else np.abs(s)


def states_of(trace: Trace) -> tuple[str, Annotated[Floats, "T units"]]:
    """Return the states that hold the memory of a part, ``"c"`` or ``"h"``, and their values."""
    return ("c", trace.s) if trace.s.shape[1] else ("h", trace.h)


def short(name: str) -> str:
    """Return a name without characters that cannot be seen, shortened."""
    text = printable(name) or "the net"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def steps(amount: float) -> str:
    """Return a number of steps as text.

    >>> steps(1.0), steps(12.4), steps(1.17), steps(float("inf")), steps(float("nan"))
    ('1 step', '12 steps', '1.2 steps', 'endless', '–')
    """
    if math.isnan(amount):
        return "–"  # noqa: RUF001
    if math.isinf(amount):
        return "endless"
    if amount < 9.95 and abs(amount - round(amount)) > 0.05:
        return f"{amount:.1f} steps"
    return count(round(amount), "step")


def lived(half_life: float) -> str:
    """Return the half-life of a unit's state, which was measured for a limited time, as text.

    >>> lived(3.0), lived(float("inf"))
    ('3 steps', 'longer than measured')
    """
    return "longer than measured" if math.isinf(half_life) else steps(half_life)


def factor(value: float) -> str:
    """Return a positive number of any size with two digits.

    >>> factor(0.0312), factor(4.2e-13), factor(1.0), factor(0.0), factor(float("nan"))
    ('0.031', '4.2e-13', '1', '0', '–')
    """
    return "–" if math.isnan(value) else f"{value:.2g}"  # noqa: RUF001


def at_lag(curve: Annotated[Floats, "K"], lag: int | None) -> float:
    """Return the value of a curve at a lag; NaN where it is unknown."""
    return float(curve[lag]) if lag is not None and lag < len(curve) else math.nan


def verdict(report: Findings) -> str:
    """Return the verdict as a sentence."""
    if not any(one.is_read for one in report.reach):
        return "No part that the loss reads was recorded."
    with np.errstate(all="ignore"):
        return printable(report.sentence())
