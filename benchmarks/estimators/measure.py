"""The figures of one classifier on one data set with one seed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from benchmarks.estimators.conditions import CUTS, GAPS, prefix, with_gaps
from benchmarks.estimators.contenders.lineup import Classifier
from benchmarks.estimators.sets.problem import Split

SECONDS = 0.5
"""Processor time for which an answer is repeated."""


def figures(make: Callable[[int], Classifier], data: Split, seed: int) -> dict[str, Any]:
    """Fit a classifier and test it.

    Returns:
        ``cuts`` and ``gaps``: shares of correct classes, by percent seen and by percent missing;
        ``fit_seconds`` and the following are of the processor; ``step_us``: microseconds per step
        when all test series are predicted together; ``answer_us``: microseconds for the next
        class of a live series of median length; ``steps`` of that series; ``kilobytes``.
    """
    warm(make, data)
    model = make(seed)
    began = time.process_time()
    model.fit(data.learned, data.y)
    found: dict[str, Any] = {"fit_seconds": time.process_time() - began, "cuts": {}, "gaps": {}}
    for share in CUTS:
        seen = [prefix(one, share) for one in data.tested]
        began = time.process_time()
        right = np.mean(model.predict(seen, share) == data.wanted)
        found["cuts"][str(round(100 * share))] = float(right)
        # The last share is the whole, and calls before it have compiled what is compiled.
        found["step_us"] = 1e6 * (time.process_time() - began) / sum(map(len, seen))
    for share in GAPS:
        rng = np.random.default_rng([seed, round(100 * share)])
        right = np.mean(model.predict(with_gaps(data.tested, share, rng)) == data.wanted)
        found["gaps"][str(round(100 * share))] = float(right)
    one = sorted(data.tested, key=len)[len(data.tested) // 2]
    found["answer_us"], found["steps"] = answer_time(model.next_answer(one)), len(one)
    found["kilobytes"] = model.nbytes() / 1000
    return found


def answer_time(answer: Callable[[], object]) -> float:
    """Return microseconds of the processor of a call, the mean after a first one."""
    answer()
    began, calls = time.process_time(), 0
    while calls < 3 or time.process_time() - began < SECONDS:
        answer()
        calls += 1
    return 1e6 * (time.process_time() - began) / calls


_WARM: set[Any] = set()


def warm(make: Callable[[int], Classifier], data: Split) -> None:
    """Fit aeon's classifiers to a few series, so that compilation is not timed.

    Numba compiles once for series of one channel, and once for more.
    """
    builder = getattr(make, "keywords", {}).get("make")
    key = (builder, data.learned[0].shape[1] > 1)
    if builder is None or key in _WARM:
        return
    _WARM.add(key)
    first = [int(np.flatnonzero(data.y == each)[0]) for each in np.unique(data.y)]
    some: Sequence[int] = [*first, *range(8)]
    series = [data.learned[n] for n in some]
    model = make(0)
    model.fit(series, data.y[some])
    model.predict(series)
