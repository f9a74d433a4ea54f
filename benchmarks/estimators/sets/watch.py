"""Activities from a wrist watch, by people left out, in the windows of seglearn's users."""

from __future__ import annotations

from functools import cache

import numpy as np
from benchmarks.estimators.sets.problem import Split
from benchmarks.streams.data import Watch, watch
from benchmarks.streams.real.packages import file_of

WIDTH, STEP = 100, 50
"""Defaults of seglearn's ``Segment``: 100 rows (two seconds), half of which overlap."""


@cache
def _recordings() -> Watch:
    return watch(file_of("seglearn", "seglearn/data/watch_dataset.npy"))


def windows(series: np.ndarray) -> list[np.ndarray]:
    """Cut a series ``[T, I]`` into overlapping windows ``[WIDTH, I]``; the rest is dropped."""
    starts = range(0, len(series) - WIDTH + 1, STEP)
    return [np.ascontiguousarray(series[at : at + WIDTH], np.float32) for at in starts]


def watch_split(seed: int) -> Split:
    """Leave out all windows of one of the ten people, the one with the number of the seed."""
    data = _recordings()
    people = np.unique(data.person)
    left_out = people[seed % len(people)]
    parts: dict[bool, tuple[list[np.ndarray], list[int]]] = {False: ([], []), True: ([], [])}
    for series, label, person in zip(data.series, data.activity, data.person, strict=True):
        cut = windows(series)
        mine = parts[bool(person == left_out)]
        mine[0].extend(cut)
        mine[1].extend([int(label)] * len(cut))
    (learned, y), (tested, wanted) = parts[False], parts[True]
    return Split(learned, np.array(y, np.int64), tested, np.array(wanted, np.int64))
