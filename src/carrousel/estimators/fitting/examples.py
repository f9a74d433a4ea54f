"""Training examples: series with targets and weights, equal ones merged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Annotated, Generic

import numpy as np

from carrousel.estimators.data.series import AnySource, Series
from carrousel.estimators.data.views import blocks, select
from carrousel.shapes import Array, Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Examples(Generic[AnySource]):
    """What a fit learns from.

    Args:
        series: ``N`` series, in memory or on disk.
        targets: ``[N, ...]``, or ``[steps, ...]`` for targets of every step.
        weights: ``[N]`` (float64), weights of the losses.
        strata: ``[N]``, classes of which each held-out part has its share.
        groups: ``[N]``, series of one group are learned or held out together; None: each alone.
        per_step: whether targets are given for each step.
        of: ``[originals]``, the example that each original one was merged into, -1: none; None
            if none were merged.
    """

    series: AnySource
    targets: Array
    weights: Annotated[Floats, "N"]
    strata: Annotated[Ints, "N"]
    groups: Annotated[Ints, "N"] | None = None
    per_step: bool = False
    of: Annotated[Ints, "originals"] | None = None

    def take(self, indices: Annotated[Ints, "indices"]) -> Examples:
        """Return the examples at ``indices``, in that order."""
        targets = self.targets[indices]
        if self.per_step:
            of = Series(self.targets, self.series.offsets, self.series.channels)
            targets = of.take(indices).values
        return Examples(
            select(self.series, indices),
            targets,
            self.weights[indices],
            self.strata[indices],
            None if self.groups is None else self.groups[indices],
            self.per_step,
        )

    def distinct(self) -> Examples:
        """Return each different example once, in an order that depends on the examples alone.

        Weights of equal examples add up, and examples of weight 0 are dropped. So a fit gives the
        same result whatever the order of the examples, and an example of weight 3 counts as three
        equal ones. No held-out series equals a learned one with the same target.
        """
        weighted = np.flatnonzero(self.weights > 0)
        digests = self._digests(weighted)
        order = np.lexsort(digests[:, ::-1].T)
        digests, ordered = digests[order], weighted[order]
        first = np.append(True, (digests[1:] != digests[:-1]).any(axis=1))
        kept = self.take(ordered[first])
        kept.weights[:] = np.add.reduceat(self.weights[ordered], np.flatnonzero(first))
        of = np.full(len(self.weights), -1)
        of[ordered] = np.cumsum(first) - 1
        return replace(kept, of=of)

    def held_out(
        self, held: Annotated[Bools, "n members"]
    ) -> Annotated[Bools, "originals members"]:
        """Return which member did not learn which original example.

        Args:
            held: for each of these examples. No member learned originals of weight 0.
        """
        if self.of is None:
            return held
        found = np.ones((len(self.of), held.shape[1]), bool)
        found[self.of >= 0] = held[self.of[self.of >= 0]]
        return found

    def _digests(self, indices: Annotated[Ints, "n"]) -> Annotated[Array, "n 2"]:
        """Return a digest of some examples, as two numbers (uint64) that sort as its bytes do."""
        found = np.empty((len(indices), 2), ">u8")
        for block in blocks(self.series.lengths[indices]):
            some = self.series.take(indices[block])
            for k, row in enumerate(block):
                found[row] = np.frombuffer(self._digest(int(indices[row]), some, k), ">u8")
        return found.astype(np.uint64)

    def _digest(self, n: int, some: Series, k: int) -> bytes:
        """Return the digest of example ``n``, which is series ``k`` of ``some``."""
        low, high = some.offsets[k : k + 2]
        digest = hashlib.blake2b(some.values[low:high].tobytes(), digest_size=16)
        of = slice(*self.series.offsets[n : n + 2]) if self.per_step else slice(n, n + 1)
        digest.update(self.targets[of].tobytes())
        if some.times is not None:
            digest.update(some.times[low:high].tobytes())
        if self.groups is not None:
            digest.update(self.groups[n].tobytes())
        return digest.digest()


def numbered(names: Annotated[Array, "N"] | None) -> Annotated[Ints, "N"] | None:
    """Return the names of groups as numbers, from 0.

    >>> numbered(np.array(["b", "a", "b"])).tolist()
    [0, 1, 0]
    """
    if names is None:
        return None
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names.tolist()))}
    return np.array([numbers[name] for name in names.tolist()], np.int64)
