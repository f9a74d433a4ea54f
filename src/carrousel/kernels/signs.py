"""Random signs that every kernel draws alike: a function of a seed and of the step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = 2**64 - 1


class Signs:
    """A stream of signs: the bits of SplitMix64 (Steele, Lea & Flood 2014), some for each call.

    Args:
        seed: 64 bits.

    >>> Signs(1997).choice(np.array([-1.0, 1.0]), 4).tolist()
    [1.0, -1.0, -1.0, 1.0]
    """

    def __init__(self, seed: int) -> None:
        self._state = int(seed)

    def choice(self, values: np.ndarray, n: int) -> np.ndarray:
        """Draw ``n`` of two values, as :meth:`numpy.random.Generator.choice` does."""
        bits = 0
        for word in range((n + 63) // 64):
            self._state = (self._state + _GOLDEN) & _ALL
            bits |= _mixed(self._state) << (64 * word)
        return np.asarray(values)[[bits >> i & 1 for i in range(n)]]


def _mixed(z: int) -> int:
    z = (z ^ z >> 30) * _FIRST & _ALL
    z = (z ^ z >> 27) * _SECOND & _ALL
    return z ^ z >> 31


def draw_seeds(
    rngs: Sequence[np.random.Generator] | None, data: Sequence[object | None]
) -> np.ndarray:
    """Draw a seed for each lane that has data, ``uint64 [B]``; idle lanes draw nothing."""
    seeds = np.zeros(len(data), np.uint64)
    for lane, part in enumerate(data):
        if rngs is not None and part is not None:
            seeds[lane] = rngs[lane].integers(2**64, dtype=np.uint64)
    return seeds
