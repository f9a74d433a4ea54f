"""Held-out parts: stratified by class, whole groups together, another one for each member."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel.shapes import Bools, Ints


def held_out_parts(
    strata: Annotated[Ints, "N"],
    groups: Annotated[Ints, "N"] | None,
    *,
    fraction: float,
    members: int,
    rng: np.random.Generator,
) -> list[Annotated[Bools, "N"]]:
    """Return which series each member of an ensemble holds out.

    The series are dealt to about ``1 / fraction`` parts, and member ``m`` holds out part ``m``
    (parts are reused if there are more members). Every part has its share of each class. A class
    that has a single series, or a single group, is never held out.

    Args:
        strata: ``[N]``, classes, from 0.
        groups: ``[N]``, or None: each series is a separate group.
        fraction: share of the series that a member holds out; 0: none.
        members: number of members.
        rng: source of the random order.

    >>> parts = held_out_parts(
    ...     np.array([0] * 8 + [1] * 4), None, fraction=0.25, members=4,
    ...     rng=np.random.default_rng(1),
    ... )
    >>> [int(part[:8].sum()) for part in parts], sum(parts).tolist()
    ([2, 2, 2, 2], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
    """
    N = len(strata)
    n_parts = round(1 / fraction) if fraction > 0 else 0
    if n_parts == 0 or N * fraction < 1.0:
        return [np.zeros(N, bool) for _ in range(members)]
    part = (
        _deal(strata, n_parts, rng)
        if groups is None
        else _deal_groups(strata, groups, n_parts, rng)
    )
    return [part == m % n_parts for m in range(members)]


def bounded_fraction(fraction: float, lengths: Annotated[Ints, "N"]) -> float:
    """Return a share of the series to hold out that is enough to judge a net.

    It is ``fraction``, but at most 5,000 series, and beyond 1,000 series at most 200,000 steps. So
    time and memory of judging and calibration do not grow with the number of series.

    >>> bounded_fraction(0.15, np.full(1_000, 20)), bounded_fraction(0.15, np.full(100_000, 20))
    (0.15, 0.05)
    """
    enough = max(1_000, min(5_000, 200_000 / max(float(np.mean(lengths)), 1.0)))
    return min(fraction, enough / len(lengths))


def _deal(
    strata: Annotated[Ints, "N"], n_parts: int, rng: np.random.Generator
) -> Annotated[Ints, "N"]:
    """Return the part of each series, -1 for those that are always learned."""
    part, dealt = np.full(len(strata), -1), 0
    for stratum in np.unique(strata):
        some = rng.permutation(np.flatnonzero(strata == stratum))
        if len(some) > 1:
            part[some] = (dealt + np.arange(len(some))) % n_parts
            dealt += len(some)
    return part


def _deal_groups(
    strata: Annotated[Ints, "N"],
    groups: Annotated[Ints, "N"],
    n_parts: int,
    rng: np.random.Generator,
) -> Annotated[Ints, "N"]:
    """Deal the largest groups first, each to the part in which its classes are rarest."""
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((group.max() + 1, strata.max() + 1))
    np.add.at(counts, (group, strata), 1)
    alone = (counts > 0).sum(0) < 2  # classes that one group has
    n_parts = min(n_parts, len(counts))
    share = counts / np.maximum(counts.sum(0), 1)  # [groups, classes]
    held, part_of = np.zeros((n_parts, counts.shape[1])), np.full(len(counts), -1)
    order = rng.permutation(len(counts))
    for g in order[np.argsort(-counts[order].sum(1), kind="stable")]:
        if counts[g, alone].any():
            continue
        after = ((held + share[g]) ** 2).sum(1) - (held**2).sum(1)
        part_of[g] = int(np.argmin(after))
        held[part_of[g]] += share[g]
    return part_of[group]
