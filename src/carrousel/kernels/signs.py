"""Random signs as a function of seed and step, identical in all kernels."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from carrousel.contracts import Gradient
from carrousel.sequences import Sequences

GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = 2**64 - 1


class Signs:
    """Random signs for a series of sequences: bits of SplitMix64 (Steele, Lea & Flood 2014).

    Args:
        seeds: one 64-bit seed per sequence.

    >>> signs = Signs([1997])
    >>> signs.begin()
    >>> signs.choice(np.array([-1.0, 1.0]), 4).tolist()
    [1.0, -1.0, -1.0, 1.0]
    """

    def __init__(self, seeds: Iterable[int]) -> None:
        self._seeds = iter(seeds)

    def begin(self) -> None:
        """Start the next sequence."""
        self._state = int(next(self._seeds))

    def choice(self, values: np.ndarray, n: int) -> np.ndarray:
        """Draw ``n`` times from two values, like :meth:`numpy.random.Generator.choice`."""
        bits = 0
        for word in range((n + 63) // 64):
            self._state = (self._state + GOLDEN) & _ALL
            bits |= mixed(self._state) << (64 * word)
        return np.asarray(values)[[bits >> i & 1 for i in range(n)]]


def mixed(z: int) -> int:
    """Return the 64-bit hash of a 64-bit number, the finaliser of SplitMix64."""
    z = (z ^ z >> 30) * _FIRST & _ALL
    z = (z ^ z >> 27) * _SECOND & _ALL
    return z ^ z >> 31


def draw_seeds(
    gradient: Gradient,
    rngs: Sequence[np.random.Generator] | None,
    data: Sequence[Sequences | None],
) -> list[np.ndarray]:
    """Draw one seed per sequence, uint64 ``[N]`` for each lane; none if the gradient uses no signs.

    Without ``rngs``, every lane uses a fixed generator.
    """
    if gradient.kind != "uoro":
        return [np.zeros(0, np.uint64)] * len(data)
    seeds = []
    for lane, part in enumerate(data):
        count = 0 if part is None else len(part)
        rng = rngs[lane] if rngs is not None else np.random.default_rng(lane)
        seeds.append(rng.integers(2**64, size=count, dtype=np.uint64))
    return seeds


def seeds_of_stream(seed: int, stream: int) -> Iterable[int]:
    """Return the seeds of a stream's signs: the first one, and another for each reset.

    >>> from itertools import islice
    >>> len(set(islice(seeds_of_stream(0, 1), 3)))
    3
    """
    start = (seed + _FIRST * stream) & _ALL
    return (mixed((start + GOLDEN * begun) & _ALL) for begun in itertools.count())
