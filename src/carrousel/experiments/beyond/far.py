"""Lags beyond the paper: the tasks of Experiments 2c and 4 with lags up to a million steps.

Three systems learn each lag:

- memory cells of 1997 with the truncated gradient, whose memory does not grow with the lag;
- memory cells with forget gates and full back-propagation through time, initialised as Tallec &
  Ollivier (2018) recommend for lags of that length;
- simple recurrent units with full back-propagation.

All use Adam with one sequence per update, so that one rate serves every lag. The biases of input
and forget gates start at minus and plus the logarithm of the lag. The input gate is then closed
enough to suppress the noise within the lag, and the forget gate open enough to keep a state.
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
        "Adam, one sequence per update",
        "one rate serves every lag. The gradient of an almost closed gate is as small as the "
        "gate's activation, too small for plain gradient descent. For lags up to a million it is "
        "even below Adam's usual epsilon of 1e-8, so epsilon is smaller here",
    ),
    Reading(
        "network.init",
        "gate biases start at the logarithm of the lag",
        "with an input gate bias of -log(lag), all distractors together change a state about as "
        "much as one input through an open gate",
    ),
)


@dataclass(frozen=True)
class _System:
    """One of the three systems that are compared."""

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
                budget=5000,
                trials=10,
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
                budget=60_000,
                trials=10,
            )


FAR_ROWS: Mapping[str, Experiment] = {row.name: row for row in (*_lags(), *_additions())}
"""The rows by name: ``lag/Q`` and ``adding/T`` for the cells of 1997, the same with ``-forget`` or
``-simple`` for the other systems."""
