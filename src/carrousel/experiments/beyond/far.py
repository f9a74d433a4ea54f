"""Lags beyond the paper: the tasks of Experiments 2c and 4 with lags up to a million steps.

Each lag is tried by three systems: memory cells of 1997 with the truncated gradient, whose memory
does not grow with the lag; memory cells with forget gates and full back-propagation through time,
started as Tallec & Ollivier 2018 advise for lags of that length; and simple recurrent units with
full back-propagation. All take Adam's steps, one sequence a change, so that no rate has to be found
for each lag; and input gates (and forget gates) start at a bias of the logarithm of the lag, by
which as much of the noise in between is kept out (and of a state is kept) as the lag asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from carrousel.contracts import (
    Batches,
    Cell,
    Experiment,
    Init,
    Network,
    Published,
    Reading,
    Simple,
    StopRule,
    Task,
)
from carrousel.experiments.stopping import RecentTraining, TestSet
from carrousel.tasks import Adding, LongLag

LAGS = (1_000, 10_000, 100_000, 1_000_000)
"""``q`` of the task of Experiment 2c; its lag is at least ``q + 1``."""
LENGTHS = (1_000, 10_000, 100_000)
"""``T`` of the adding problem; its lag is at least ``T / 2``."""
DISTRACTORS = 50

_OFF_PAPER = (
    Reading(
        "training",
        "Adam, one sequence a change",
        "one rate serves every lag: the gradient of a gate that is nearly closed is as small as "
        "its opening, which plain descent cannot follow; for lags up to a million it is below the "
        "usual epsilon of 1e-8",
    ),
    Reading(
        "network.init",
        "gates start at the logarithm of the lag",
        "at -log(lag) all distractors together move a state about as much as one open gate would",
    ),
)


@dataclass(frozen=True)
class _System:
    """One of the three contenders."""

    suffix: str
    words: str
    gradient: str


_SYSTEMS = (
    _System("", "cells of 1997, truncated gradient", "truncated"),
    _System("-forget", "forget gates, full back-propagation", "bptt"),
    _System("-simple", "simple units, full back-propagation", "bptt"),
)


def _network(
    system: _System, n_inputs: int, n_outputs: int, lag: int, blocks: int, size: int
) -> Network:
    if system.suffix == "-simple":
        return Network(n_inputs, n_outputs, Simple(8, "tanh"), bias="all", init=Init(0.3))
    forget, gate = system.suffix == "-forget", math.log(lag)
    init = Init(
        0.1,
        input_gate_bias=(-gate,) * blocks,
        forget_gate_bias=(gate,) * blocks if forget else (),
    )
    cell = Cell(blocks, size, forget_gate=forget)
    return Network(n_inputs, n_outputs, cell, bias="all", init=init)


def _row(
    system: _System,
    name: str,
    title: str,
    task: Task,
    network: Network,
    stop: StopRule,
    steps: Batches,
    budget: int,
    trials: int,
) -> Experiment:
    return Experiment(
        name=f"{name}{system.suffix}",
        title=f"{title}: {system.words}",
        task=task,
        network=network,
        learner="adam",
        training=replace(steps, gradient=system.gradient),
        stop=stop,
        budget=budget,
        published=Published("beyond the paper", None, None, None, trials=trials),
        readings=_OFF_PAPER,
    )


def _lags() -> Iterator[Experiment]:
    for q in LAGS:
        for system in _SYSTEMS:
            yield _row(
                system,
                f"lag/{q}",
                f"very long lag, p = {DISTRACTORS}, q = {q:,}",
                LongLag(DISTRACTORS, q),
                _network(system, DISTRACTORS + 4, 2, q, blocks=2, size=1),
                TestSet(every=100, size=1000, fixed=False),
                Batches(rate=0.01, epsilon=1e-15),
                budget=5000 if q <= 100_000 else 1500,
                trials=10 if q <= 100_000 else 3,
            )


def _additions() -> Iterator[Experiment]:
    for length in LENGTHS:
        for system in _SYSTEMS:
            yield _row(
                system,
                f"adding/{length}",
                f"adding problem, T = {length:,}",
                Adding(length),
                _network(system, 2, 1, length, blocks=2, size=2),
                RecentTraining(window=2000, wrong_at_most=0, mean_below=0.01),
                Batches(rate=0.003),
                budget=60_000 if length <= 10_000 else 20_000,
                trials=10 if length <= 10_000 else 3,
            )


FAR_ROWS: Mapping[str, Experiment] = {row.name: row for row in (*_lags(), *_additions())}
"""The rows by name: ``lag/Q`` and ``adding/T``, with ``-forget`` or ``-simple`` for the others."""
