"""Time lags of tasks, and test sequences that end where the lag ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from carrousel.contracts import Task
from carrousel.sequences import Sequences
from carrousel.tasks import (
    Adding,
    EmbeddedReber,
    Latch,
    LongLag,
    Multiplication,
    NoiseFreeLag,
    Parity,
    RandomLag,
    TemporalOrder,
    TwoSequence,
)

SHORTEST_REBER = 9
"""Symbols of the shortest embedded Reber string, such as BTBTXSETE."""
LAST_RELEVANT = {2: 60, 3: 76}
"""Last position of the last relevant symbol of the temporal order problem, counted from 1."""

_LAGS: Mapping[type, Callable[[Any], int]] = {
    EmbeddedReber: lambda task: (
        SHORTEST_REBER - 4
    ),  # the second symbol predicts the one before last
    NoiseFreeLag: lambda task: task.p - 1,
    RandomLag: lambda task: task.p - 1,
    LongLag: lambda task: task.q + 1,
    TwoSequence: lambda task: task.length - task.informative,
    Adding: lambda task: task.length - task.length // 2,
    Multiplication: lambda task: task.length - task.length // 2,
    TemporalOrder: lambda task: 99 + task.first_position - LAST_RELEVANT[task.relevant],
    Latch: lambda task: task.length - 1,
    Parity: lambda task: task.length + task.pause - 1,
}


def lag_of(task: Task) -> int | None:
    """Return the minimal time lag of a task; None: it is unknown.

    It is the number of steps from the last input that decides the target to the step that has the
    target, in the shortest sequence. (In the parity problem, every input decides: it is that from
    the first one.)

    >>> lag_of(LongLag(p=50, q=50)), lag_of(TemporalOrder(relevant=2))
    (51, 40)
    """
    found = _LAGS.get(type(task))
    return None if found is None else found(task)


def drawn_sequences(task: Task, rng: np.random.Generator, n: int) -> Sequences:
    """Draw at most ``n`` test sequences whose last target is the one that needs the memory.

    In embedded Reber strings that is the symbol before the last.

    Args:
        task: the task, with its fixed sets drawn.
        rng: source of random numbers.
        n: number of sequences; a task may have fewer.
    """
    data = task.test(rng, n)
    if len(data) > n:
        data = data.take(np.sort(rng.choice(len(data), n, replace=False)))
    if isinstance(task, EmbeddedReber):
        before = data.target_offsets[1:] - 2
        data = replace(data, targets=data.targets[before], target_steps=data.target_steps[before])
    return data
