"""Runs contenders of ``benchmarks/sequence`` in alternation and notes who was disturbed."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.common.timing import summarise

TASKS = Path("/proc/self/task")
WAITED = 0.02
"""A stretch whose threads waited longer than this share of it for a core was disturbed."""
WARM_SECONDS = 0.05
"""Calls shorter than this are made once before each stretch, uncounted: threads of another
contender may still be turning, and caches hold its data."""


class Plan(NamedTuple):
    """How much is measured.

    ``repeats`` undisturbed stretches of each contender, each of ``seconds`` at least. To get them
    up to ``patience`` times as many rounds are made, and no more are begun after ``limit`` seconds
    for each contender once there were three. Before a round, others are waited for up to ``wait``
    seconds.
    """

    repeats: int = 9
    seconds: float = 0.02
    patience: int = 3
    limit: float = 4.0
    wait: float = 1.0


class Stretch(NamedTuple):
    """Seconds of one call, and whether other programs kept away meanwhile."""

    seconds: float
    calm: bool


def alternate(entries: Mapping[str, Callable[[], Any]], plan: Plan) -> dict[str, list[Stretch]]:
    """Time all entries in turn, round by round, until each had its undisturbed stretches."""
    await_quiet(plan.wait)
    calls = {name: _calls(run, plan.seconds) for name, run in entries.items()}
    begun = time.perf_counter()
    found: dict[str, list[Stretch]] = {name: [] for name in entries}
    gc.collect()
    gc.disable()
    try:
        for number in range(plan.repeats * plan.patience):
            enough = all(sum(s.calm for s in made) >= plan.repeats for made in found.values())
            late = number >= 3 and time.perf_counter() - begun > plan.limit * len(entries)
            if late or (number >= plan.repeats and enough):
                break
            await_quiet(plan.wait)
            for name, run in entries.items():
                found[name].append(_stretch(run, *calls[name]))
    finally:
        gc.enable()
    return found


def _calls(run: Callable[[], Any], seconds: float) -> tuple[int, bool]:
    """Calls of a stretch, and whether one goes before; the least of three tells how long one is."""
    run()
    took = min(_stretch(run, 1, False).seconds for _ in range(3))
    return max(1, math.ceil(seconds / took)), took < WARM_SECONDS


def _stretch(run: Callable[[], Any], calls: int, warm: bool) -> Stretch:
    if warm:
        run()
    waited, processor, begun = waiting(), time.process_time(), time.perf_counter()
    for _ in range(calls):
        run()
    wall = time.perf_counter() - begun
    processor, waited = time.process_time() - processor, waiting() - waited
    # A process that was halted neither computed nor waited for a core.
    return Stretch(wall / calls, waited <= WAITED * wall and processor >= 0.9 * wall)


def await_quiet(seconds: float) -> None:
    """Return when the cores have had nothing to do for a moment, or after some seconds."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        before = _clock_ticks()
        time.sleep(0.1)
        passed = [now - then for now, then in zip(_clock_ticks(), before, strict=True)]
        if not passed or passed[3] >= 0.95 * sum(passed):
            return


def _clock_ticks() -> list[int]:
    """What all cores did since the start of the system: user, nice, system, idle, ...; or []."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as file:
            return [int(ticks) for ticks in file.readline().split()[1:]]
    except (OSError, ValueError):
        return []


def waiting() -> float:
    """Seconds that threads of this process were ready to run and had no core; 0 if not known."""
    total = 0
    try:
        for task in TASKS.iterdir():
            total += int((task / "schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return total / 1e9


def summary(stretches: list[Stretch]) -> dict[str, float]:
    """Milliseconds of a call: median, quartiles, least; and the share of undisturbed stretches.

    Undisturbed stretches alone count, if there are at least three.
    """
    calm = [s.seconds for s in stretches if s.calm]
    counted = calm if len(calm) >= 3 else [s.seconds for s in stretches]
    found = summarise(1e3 * np.array(counted))
    return {**found._asdict(), "calm": len(calm) / len(stretches), "stretches": len(stretches)}


def ratios(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """How many times as long as ``other`` takes ``one``: by medians, and by least times."""
    return {
        "ratio": one["median"] / other["median"],
        "ratio_least": one["least"] / other["least"],
    }
