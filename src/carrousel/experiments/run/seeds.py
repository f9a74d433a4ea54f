"""Random generators of a trial: one for each purpose, fixed by seed and name."""

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

    It depends on these arguments alone. So the result of a trial does not depend on the process
    that runs it, on other trials in that process, or on interruptions.

    Args:
        seed: seed of the whole run.
        experiment: name of the experiment.
        number: number of the trial, or of the draw of fixed sets that trials share.
        purpose: initial weights, training data, tests during training, the test at the end
            (``"verdict"``), or fixed sets (``"draw"``).
        count: number of the generator among those of the trial for this purpose.

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
