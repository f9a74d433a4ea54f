"""Random numbers of a trial: every purpose has a generator of its own, fixed by seed and name."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np

Purpose = Literal["weights", "training", "test", "verdict", "draw"]

_PURPOSES: tuple[Purpose, ...] = ("weights", "training", "test", "verdict", "draw")


def generator(
    seed: int, experiment: str, number: int, purpose: Purpose, count: int = 0
) -> np.random.Generator:
    """Return the generator for one purpose of one trial.

    It depends on these arguments alone, so a trial's result cannot depend on which process runs it,
    on its neighbours, or on how often it was interrupted.

    Args:
        seed: seed of the whole run.
        experiment: name of the experiment.
        number: number of the trial, or of the draw of fixed sets that trials share.
        purpose: initial weights, training data, tests under way, the test at the end, or fixed
            sets.
        count: which of the trial's generators for this purpose.

    >>> first = generator(1997, "6a", 0, "training").random()
    >>> first == generator(1997, "6a", 0, "training").random()
    True
    >>> first == generator(1997, "6a", 1, "training").random()
    False
    """
    name = zlib.crc32(experiment.encode())
    sequence = np.random.SeedSequence(
        [seed, name, number], spawn_key=(_PURPOSES.index(purpose), count)
    )
    return np.random.Generator(np.random.SFC64(sequence))  # NumPy's fastest
