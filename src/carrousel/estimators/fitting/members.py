"""Members of an ensemble: trained one after the other, or at once by joblib."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, cast

import joblib
import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.estimators.fitting.examples import Examples
from carrousel.estimators.fitting.parts import held_out_parts
from carrousel.estimators.fitting.progress import progress
from carrousel.estimators.net.features import Features
from carrousel.estimators.net.goals import Goal
from carrousel.estimators.net.net import AnytimeNet, NetConfig
from carrousel.estimators.net.train import Epoch, Member, TrainConfig, train_net
from carrousel.shapes import Bools

_DILATIONS = (1.0, 0.5, 2.0)  # nets that see different spans of time err differently


def seconds_of_member(max_seconds: float | None, members: int, n_jobs: int | None) -> float | None:
    """Return the time of one member, so that all of them take ``max_seconds`` of wall time.

    Members that are trained at once share their time.

    >>> [seconds_of_member(60.0, members=3, n_jobs=jobs) for jobs in (1, 2, 8)]
    [20.0, 30.0, 60.0]
    """
    if max_seconds is None:
        return None
    return max_seconds / math.ceil(members / _at_once(n_jobs))


def _at_once(n_jobs: int | None) -> int:
    jobs: Any = n_jobs  # the types of joblib lack None, its default
    return int(joblib.effective_n_jobs(jobs))


def train_members(
    examples: Examples,
    goal: Goal,
    features: Features,
    sizes: NetConfig,
    config: TrainConfig,
    *,
    members: int,
    fraction: float,
    rng: np.random.Generator,
    n_jobs: int | None = None,
    start: Sequence[AnytimeNet] | None = None,
    verbose: int = 0,
    parts: Sequence[Annotated[Bools, "N"]] | None = None,
) -> list[Member]:
    """Train the nets of an ensemble, each on another part of the examples.

    Ctrl-C ends the training of the member that is trained, and of those after it. The members
    trained so far, this one included, are returned.

    Args:
        examples: distinct examples.
        goal: the objective.
        features: inputs of the nets.
        sizes: sizes of each net. Dilations differ: every third net has the given one, the next
            half of it, the one after twice as much.
        config: settings of the training loop.
        members: number of nets.
        fraction: share of the examples that each net holds out.
        rng: source of the held-out parts and of the nets' seeds.
        n_jobs: nets that are trained at once, as in joblib, whose backend is used.
        start: nets to continue from, one for each member.
        verbose: 1 shows progress.
        parts: examples that each net holds out; None: drawn by ``rng``.
    """
    if parts is None:
        parts = held_out_parts(
            examples.strata, examples.groups, fraction=fraction, members=members, rng=rng
        )
    weights = examples.weights / examples.weights.mean()
    common = (examples.series, examples.targets, weights, goal, features)
    seeds = rng.integers(2**31, size=members)
    found: list[Member] = []
    with progress(members, shown=bool(verbose)) as show:

        def one(m: int, on_epoch: Callable[[Epoch], None] | None = None) -> Member:
            return train_net(
                *common,
                replace(sizes, dilation=max(1, int(sizes.dilation * _DILATIONS[m % 3]))),
                config,
                seed=int(seeds[m]),
                held=parts[m],
                member=m,
                start=None if start is None else start[m],
                on_epoch=on_epoch,
            )

        if _at_once(n_jobs) == 1 or members == 1:
            for m in range(members):
                found.append(one(m, show))
                if found[-1].stopped == "interrupted":
                    break
            return found
        tasks = (joblib.delayed(one)(m) for m in range(members))
        # A data set on disk has open files, which other processes cannot read.
        shared = None if isinstance(examples.series, Series) else "sharedmem"
        parallel = joblib.Parallel(n_jobs=n_jobs, require=shared, return_as="generator")
        results = cast("Iterable[Member]", parallel(tasks))
        for member in results:
            found.append(member)
            show(member.history[-1])
    return found
