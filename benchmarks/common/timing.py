"""Timing of contenders in alternation, so that a disturbance of the machine affects all of them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Entry(NamedTuple):
    """Code to be timed: ``run`` returns the amount of work done; ``prepare`` is not timed."""

    prepare: Callable[[], None]
    run: Callable[[], float]


class Sample(NamedTuple):
    """One timed stretch."""

    wall: float  # seconds
    processor: float  # seconds of this process on a core, all its threads
    work: float


class Summary(NamedTuple):
    """Nanoseconds per unit of work: median, quartiles, minimum."""

    median: float
    low: float
    high: float
    least: float


def alternate(
    entries: Mapping[str, Entry],
    *,
    repeats: int,
    seconds: float,
    meet: Callable[[], object] = lambda: None,
) -> dict[str, list[Sample]]:
    """Time all entries in turn, ``repeats`` times over, each for about ``seconds``.

    Each runs at least twice before timing. ``meet`` is called before each stretch, so that several
    processes can run the same entry at the same time.
    """
    calls = {name: _calls(entry, seconds) for name, entry in entries.items()}
    samples: dict[str, list[Sample]] = {name: [] for name in entries}
    gc.disable()
    try:
        for _ in range(repeats):
            for name, entry in entries.items():
                entry.prepare()
                meet()
                samples[name].append(_stretch(entry, calls[name]))
            gc.collect()
    finally:
        gc.enable()
    return samples


def _calls(entry: Entry, seconds: float) -> int:
    entry.prepare()
    entry.run()
    return max(1, round(seconds / _stretch(entry, 1).wall))


def _stretch(entry: Entry, calls: int) -> Sample:
    wall, processor, work = time.perf_counter(), time.process_time(), 0.0
    for _ in range(calls):
        work += entry.run()
    return Sample(time.perf_counter() - wall, time.process_time() - processor, work)


def nanoseconds(together: Sequence[Sequence[Sample]], clock: str) -> np.ndarray:
    """Compute nanoseconds per unit of work of each repeat.

    Args:
        together: samples of each of the processes that ran at the same time.
        clock: ``"wall"``, or ``"processor"`` for the time without interruptions by other programs.
    """
    times = np.array([[getattr(sample, clock) for sample in one] for one in together])
    works = np.array([[sample.work for sample in one] for one in together])
    if clock == "wall":
        return 1e9 * times.max(axis=0) / works.sum(axis=0)
    return 1e9 / (works / times).sum(axis=0)


def summarise(values: np.ndarray) -> Summary:
    """Compute median, quartiles and minimum."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Summary(float(median), float(low), float(high), float(values.min()))


def held(together: Sequence[Sequence[Sample]]) -> float:
    """Compute the share of the time for which the processes ran on their cores."""
    flat = [sample for one in together for sample in one]
    return sum(s.processor for s in flat) / sum(s.wall for s in flat)
