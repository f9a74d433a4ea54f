"""Faults of nets of memory cells and simple units, with the remedies of the paper.

Thresholds are stated in the evidence of each fault. Names are those of the same faults of torch
models, where both have them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from carrousel.contracts import SQUASHES, Cell
from carrousel.inspection.networks.flow import depth_of
from carrousel.inspection.networks.passes import Pass
from carrousel.inspection.report import Report
from carrousel.inspection.results.units import SATURATED
from carrousel.inspection.verdicts.fault import Fault
from carrousel.kernels.reference.layers import slope, squash
from carrousel.words import count, share

FLAT = 0.01
"""``h`` is saturated where its slope is below this share of the largest."""
ALIKE = 1e-3
"""States of several sequences are alike if they spread by less than this share of their mean."""
FEWEST_SEQUENCES = 4
"""Sequences from which on states of the read step are compared."""
VANISHED = 1e-4
"""Share of the error below which nothing is learned from it."""
EXPLODED = 1e4
GROWING = 1.2
"""A state still grows if it is larger by this factor at the end than in the middle."""
UNUSED = 0.05
"""Share by which the loss must rise if the net uses its history."""

Rule = Callable[[Sequence[Pass], Report], list[Fault]]


def find_faults(passes: Sequence[Pass], report: Report) -> tuple[Fault, ...]:
    """Apply all rules.

    Args:
        passes: the passes of one net.
        report: what was measured of them.

    Source: Hochreiter & Schmidhuber 1997, sections 3 and 4.
    """
    return tuple(fault for rule in RULES for fault in rule(passes, report))


def _drift(passes: Sequence[Pass], report: Report) -> list[Fault]:
    """Internal state drift: states leave the range in which ``h`` has a slope (section 4)."""
    cell = passes[0].net.network.cell
    if not isinstance(cell, Cell) or SQUASHES[cell.h] is None:
        return []
    ends = np.array([one.s[-1] for one in passes])
    most = slope(cell.h, squash(cell.h, np.zeros(1)))[0]
    slopes = slope(cell.h, squash(cell.h, ends)).mean(axis=0) / most
    middle = np.abs([one.s[(len(one) - 1) // 2] for one in passes]).mean(axis=0)
    sizes = np.abs(ends).mean(axis=0)
    far = np.flatnonzero((slopes < FLAT) & (sizes > GROWING * middle))
    if not len(far):
        return []
    worst = int(far[np.argmin(slopes[far])])
    return [
        _fault(
            report,
            "state_drift",
            f"{_units('Cell', far)} {_do(far, 'drifts', 'drift')}: the state of cell {worst} grows "
            f"from {middle[worst]:.3g} in the middle of a sequence to {sizes[worst]:.3g} at the "
            f"read step, where h has {share(slopes[worst])} of its largest slope.",
            "Start with negative biases of input gates, such as -1, -3 and -5, or use forget "
            "gates.",
        )
    ]


def _abuse(passes: Sequence[Pass], report: Report) -> list[Fault]:
    """Abuse problem: a cell stores a constant, and serves as a bias (section 4)."""
    net, units = passes[0].net, report.units[0]
    if not net.has_cells:
        return []
    same = set(units.constant().tolist())
    if len(passes) >= FEWEST_SEQUENCES:
        ends = np.array([one.s[-1] for one in passes])
        small = ends.std(axis=0) <= ALIKE * np.maximum(np.abs(ends.mean(axis=0)), ALIKE)
        same |= set(np.flatnonzero(small).tolist())
    if not same:
        return []
    cells = np.array(sorted(same))
    ends = np.array([one.s[-1, cells[0]] for one in passes])
    return [
        _fault(
            report,
            "constant_cell",
            f"{_units('Cell', cells)} {_do(cells, 'holds', 'hold')} the same state at the read "
            f"step of {_sequences(passes)}, {ends.mean():.3g} in cell {cells[0]}, and "
            f"{_do(cells, 'serves', 'serve')} as a bias.",
            "Give cells gate biases that differ, or add them once the error has stopped "
            "decreasing (sequential network construction).",
        )
    ]


def _twins(passes: Sequence[Pass], report: Report) -> list[Fault]:
    """Two units store the same (section 4, abuse problem)."""
    pairs = report.units[0].twins
    if not pairs:
        return []
    what = "cells" if passes[0].net.has_cells else "units"
    listed = ", ".join(f"{a} and {b}" for a, b in pairs[:3])
    more = f" and {count(len(pairs) - 3, 'further pair')}" if len(pairs) > 3 else ""
    return [
        _fault(
            report,
            "double_units",
            f"The states of {what} {listed}{more} are correlated by more than 0.999.",
            f"Fewer {what} are enough, or start them with biases that differ.",
        )
    ]


def _closed(passes: Sequence[Pass], report: Report) -> list[Fault]:
    """Blocks whose gates were closed at all steps, in a net that does not use its history."""
    found = list[Fault]()
    used = report.used
    if used is not None and used.increase().max() > used.undisturbed:
        return found  # the other blocks are enough
    for name, effect, bias in (
        ("input", "store nothing", "input"),
        ("output", "have no effect on other units", "output"),
    ):
        gate = report.units[0].gates.get(name)
        shut = np.flatnonzero(gate.closed >= 1.0) if gate else np.zeros(0, int)
        if len(shut):
            found.append(
                _fault(
                    report,
                    f"closed_{name}_gate",
                    f"The {name} gate of {_units('block', shut)} is below {SATURATED} at every "
                    f"step, so that its cells {effect}.",
                    f"Start with a bias of {bias} gates nearer to 0.",
                )
            )
    return found


def _forgetting(passes: Sequence[Pass], report: Report) -> list[Fault]:
    """Forget gates are too small for the lag of the task."""
    inside, lag = report.reach[0].carrousel, report.lag
    cell = passes[0].net.network.cell
    if inside is None or not isinstance(cell, Cell) or not cell.forget_gate or not lag:
        return []
    if not 1 < lag < len(inside):
        return []
    with np.errstate(invalid="ignore", divide="ignore"):
        kept = float(np.nanmedian(inside[lag] / inside[1]))
    if not kept < VANISHED:
        return []
    return [
        _fault(
            report,
            "forget_bias",
            f"Forget gates leave {share(kept)} of the error inside the cells after {lag} steps, "
            "the lag of the task.",
            f"Start with a bias of forget gates of about {np.log(lag):.1f}, the logarithm of the "
            "lag.",
        )
    ]


def _cut(passes: Sequence[Pass], report: Report) -> list[Fault]:
    """The gradient goes back fewer steps than the task asks for."""
    net, lag = passes[0].net, report.lag
    depth = depth_of(net.gradient)
    if net.gradient.kind == "truncated" and not net.has_cells:
        depth = 1
    if lag is None or depth is None or depth > lag:
        return []
    return [
        _fault(
            report,
            "truncation",
            f"The gradient {net.gradient.name!r} goes back {count(depth, 'step')}, but the task "
            f"asks for a lag of {lag}.",
            f"Use 'bptt:{lag + 1}' or 'bptt', or memory cells with the gradient 'truncated'.",
        )
    ]


def _vanishing(passes: Sequence[Pass], report: Report) -> list[Fault]:
    """The error vanishes or explodes on its way back (section 3)."""
    if _cut(passes, report):
        return []
    reach = report.reach[0]
    curve = reach.curve()
    at = min(len(curve) - 1 if report.lag is None else report.lag, len(curve) - 1)
    if at < 3:
        return []
    net = passes[0].net
    if curve[at] < VANISHED and reach.rate() < 1:
        remedy = "Use memory cells, whose error is constant, or forget gates with a larger bias."
        if net.has_cells:
            remedy = "Let output gates open at the read step, or start forget gates more open."
        return [
            _fault(
                report,
                "vanishing",
                f"{_share(curve[at])} of the error at the read step arrives {at} steps back; it "
                f"changes by a factor of {reach.rate():.2g} per step.",
                remedy,
            )
        ]
    if curve[at] > EXPLODED and reach.rate() > 1:
        return [
            _fault(
                report,
                "exploding",
                f"The error grows by a factor of {reach.rate():.2g} per step, to {curve[at]:.2g} "
                f"times that at the read step, {at} steps back.",
                "Start with smaller recurrent weights, clip the gradient, or use the gradient "
                "'truncated', which does not explode.",
            )
        ]
    return []


def _unused(passes: Sequence[Pass], report: Report) -> list[Fault]:
    """The loss does not depend on the history that the task asks for."""
    used, lag = report.used, report.lag
    if used is None or not lag:
        return []
    within = used.lags < lag
    if not within.any() or used.lags.max() < lag - 1:
        return []
    rise = float(used.increase()[within].max())
    if rise > UNUSED * used.undisturbed:
        return []
    return [
        _fault(
            report,
            "unused_memory",
            f"The loss rises by at most {max(rise, 0.0):.2g} from {used.undisturbed:.2g} if the "
            f"history is that of another sequence: the net does not use inputs {lag} steps back.",
            "Train longer, or see the other faults: the net has not learned the lag.",
        )
    ]


RULES: tuple[Rule, ...] = (
    _cut,
    _vanishing,
    _drift,
    _forgetting,
    _closed,
    _abuse,
    _twins,
    _unused,
)
"""Each returns the faults that it finds."""


def _fault(report: Report, name: str, evidence: str, remedy: str) -> Fault:
    return Fault(name, report.reach[0].part, evidence, remedy)


def _share(value: float) -> str:
    return share(value).capitalize()


def _do(places: np.ndarray, one: str, several: str) -> str:
    return one if len(places) == 1 else several


def _sequences(passes: Sequence[Pass]) -> str:
    return "the sequence" if len(passes) == 1 else f"all {len(passes)} sequences"


def _units(kind: str, places: np.ndarray) -> str:
    """Name units by number, the first few of many."""
    listed = ", ".join(map(str, places[:4].tolist()))
    more = f" and {len(places) - 4} others" if len(places) > 4 else ""
    return f"{kind}{'' if len(places) == 1 else 's'} {listed}{more}"
