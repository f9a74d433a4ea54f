"""Training examples: series with targets and weights, equal ones merged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.shapes import Array, Floats, Ints


@dataclass(frozen=True, eq=False)
class Examples:
    """What a fit learns from.

    Args:
        series: ``N`` series.
        targets: ``[N, ...]``, or ``[steps, ...]`` for targets of every step.
        weights: ``[N]`` (float64), weights of the losses.
        strata: ``[N]``, classes of which each held-out part has its share.
        groups: ``[N]``, series of one group are learned or held out together; None: each alone.
        per_step: whether targets are given for each step.
    """

    series: Series
    targets: Array
    weights: Annotated[Floats, "N"]
    strata: Annotated[Ints, "N"]
    groups: Annotated[Ints, "N"] | None = None
    per_step: bool = False

    def take(self, indices: Annotated[Ints, "indices"]) -> Examples:
        """Return the examples at ``indices``, in that order."""
        targets = self.targets[indices]
        if self.per_step:
            of = Series(self.targets, self.series.offsets, self.series.channels)
            targets = of.take(indices).values
        return Examples(
            self.series.take(indices),
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
        found: dict[bytes, list[int]] = {}
        for n in weighted:
            found.setdefault(self._digest(int(n)), []).append(int(n))
        ordered = [found[key] for key in sorted(found)]
        kept = self.take(np.array([same[0] for same in ordered], np.int64))
        kept.weights[:] = [self.weights[same].sum() for same in ordered]
        return kept

    def _digest(self, n: int) -> bytes:
        low, high = self.series.offsets[n], self.series.offsets[n + 1]
        of = slice(low, high) if self.per_step else slice(n, n + 1)
        digest = hashlib.blake2b(self.series.values[low:high].tobytes(), digest_size=16)
        digest.update(self.targets[of].tobytes())
        if self.series.times is not None:
            digest.update(self.series.times[low:high].tobytes())
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
