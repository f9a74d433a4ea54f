"""Timing of contenders in alternation, with detection of disturbances by other programs."""

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
"""A stretch is disturbed if its threads waited for a core for more than this share of it."""
WARM_SECONDS = 0.05
"""Calls shorter than this run once before each stretch, without timing.

Threads of the previous contender may still be running, and the caches hold its data.
"""


class Plan(NamedTuple):
    """How much to measure.

    Each contender gets ``repeats`` undisturbed stretches of at least ``seconds``. At most
    ``patience`` times as many rounds are run. After three rounds, no new one starts when ``limit``
    seconds for each contender have passed. Before a round, up to ``wait`` seconds are spent waiting
    for idle cores.
    """

    repeats: int = 9
    seconds: float = 0.02
    patience: int = 3
    limit: float = 4.0
    wait: float = 1.0


class Stretch(NamedTuple):
    """Seconds of one call, and whether the stretch was undisturbed."""

    seconds: float
    calm: bool


def alternate(entries: Mapping[str, Callable[[], Any]], plan: Plan) -> dict[str, list[Stretch]]:
    """Time all entries in turn, round by round, until each has enough undisturbed stretches."""
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
    """Choose the number of calls of a stretch, and whether to run a call first, without timing."""
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
    # A process that was suspended neither computed nor waited for a core.
    return Stretch(wall / calls, waited <= WAITED * wall and processor >= 0.9 * wall)


def await_quiet(seconds: float) -> None:
    """Wait until the cores are idle for a moment, at most this many seconds."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        before = _clock_ticks()
        time.sleep(0.1)
        passed = [now - then for now, then in zip(_clock_ticks(), before, strict=True)]
        if not passed or passed[3] >= 0.95 * sum(passed):
            return


def _clock_ticks() -> list[int]:
    """Read the time of all cores since boot: user, nice, system, idle, ...; [] if unknown."""
    try:
        with Path("/proc/stat").open(encoding="ascii") as file:
            return [int(ticks) for ticks in file.readline().split()[1:]]
    except (OSError, ValueError):
        return []


def waiting() -> float:
    """Return the seconds for which threads of this process waited for a core; 0 if unknown."""
    total = 0
    try:
        for task in TASKS.iterdir():
            total += int((task / "schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return total / 1e9


def summary(stretches: list[Stretch]) -> dict[str, float]:
    """Summarise the milliseconds of a call, and the share of undisturbed stretches.

    Only undisturbed stretches count, if there are at least three.
    """
    calm = [s.seconds for s in stretches if s.calm]
    counted = calm if len(calm) >= 3 else [s.seconds for s in stretches]
    found = summarise(1e3 * np.array(counted))
    return {**found._asdict(), "calm": len(calm) / len(stretches), "stretches": len(stretches)}


def ratios(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Divide the time of ``one`` by that of ``other``: medians, and shortest times."""
    return {
        "ratio": one["median"] / other["median"],
        "ratio_least": one["least"] / other["least"],
    }
