"""Training of one trial of a row, in this process, until it ends or is stopped early."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from carrousel.contracts import Experiment, Trial
from carrousel.errors import DivergedError
from carrousel.experiments.run.lanes import Job, Share, advance
from carrousel.experiments.run.trial import TrialPlan, TrialState
from carrousel.learners import learner_named, shared_settings
from carrousel.shapes import Floats

SLICE_SECONDS = 0.25
"""Interval between two calls that report progress."""


@dataclass(frozen=True)
class TrainingProgress:
    """Progress of a trial.

    Args:
        sequences: training sequences so far.
        budget: sequences after which training ends in any case.
        seconds: wall time so far.
        error: latest mean absolute error of the learning curve; None: there is none yet.
    """

    sequences: int
    budget: int
    seconds: float
    error: float | None


@dataclass(frozen=True, eq=False)
class TrainedNet:
    """The net of a trial, and how its training ended.

    Args:
        weights: ``[W]``.
        ending: ``"solved"``, ``"budget"``, or ``"stopped"``: earlier, as the caller asked.
        sequences: training sequences.
        has_cells: whether cells and gates take part; they may join the net later.
    """

    weights: Annotated[Floats, "W"]
    ending: Literal["solved", "budget", "stopped"]
    sequences: int
    has_cells: bool


def train(
    experiment: Experiment,
    seed: int,
    index: int,
    *,
    sequences: int | None = None,
    seconds: float | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    stop: Callable[[], bool] = bool,
) -> TrainedNet:
    """Train a trial of a row that learns by a gradient.

    The weights after any number of sequences are those of the same trial in a run.

    Args:
        experiment: the row.
        seed: seed of the run.
        index: number of the trial.
        sequences: training sequences after which the trial is stopped; None: at its end.
        seconds: wall time after which it is stopped; None: no limit.
        on_progress: called about four times a second.
        stop: asked as often; returning True stops the training.

    Raises:
        DivergedError: weights are no longer finite.
    """
    most = experiment.budget if sequences is None else min(sequences, experiment.budget)
    shorter = replace(experiment, budget=most, test_size=0)
    shared = shared_settings(experiment.learner, experiment.network, experiment.training)
    learner = learner_named(experiment.learner)
    plan = TrialPlan(shorter, learner, seed, shared=shared, keep=True)
    share, began = Share({0: plan}, (), ((0, index),)), time.perf_counter()

    def report(learned: int, curve: Sequence[tuple[int, float]]) -> float:
        spent = time.perf_counter() - began
        if on_progress:
            error = curve[-1][1] if curve else None
            on_progress(TrainingProgress(learned, most, spent, error))
        return spent

    while True:
        found = advance(share, SLICE_SECONDS)
        if found.ended:
            [(_, trial)] = found.ended
            report(trial.sequences, trial.curve)
            return _ended(experiment, trial, found.kept)
        [paused] = found.paused
        spent = report(paused.sequences, paused.curve.points())
        if stop() or (seconds is not None and spent >= seconds):
            return _stopped(experiment, paused)
        share = Share({0: plan}, (paused,), ())


def _ended(
    experiment: Experiment, trial: Trial, kept: Mapping[Job, Mapping[str, np.ndarray]]
) -> TrainedNet:
    """Return the net of a trial that has ended, perhaps by a smaller budget."""
    if trial.ending == "diverged":
        raise DivergedError(
            f"trial {trial.index} of {experiment.name} diverged after {trial.sequences} training "
            "sequences",
            fix="take another {index} or {seed}, or fewer {sequences}",
        )
    early = trial.ending == "budget" and trial.sequences < experiment.budget
    joined = cells_joined(experiment, trial.sequences, added="cells_added_at" in trial.measures)
    weights = kept[0, trial.index]["weights"]
    return TrainedNet(weights, "stopped" if early else trial.ending, trial.sequences, joined)


def _stopped(experiment: Experiment, paused: TrialState) -> TrainedNet:
    """Return the net of a trial that has not ended."""
    added = int(paused.learned.get("added_at", -1)) >= 0
    joined = cells_joined(experiment, paused.sequences, added=added)
    return TrainedNet(paused.learned["weights"], "stopped", paused.sequences, joined)


def cells_joined(experiment: Experiment, sequences: int, *, added: bool) -> bool:
    """Return whether cells and gates take part after a number of training sequences.

    Args:
        experiment: the row.
        sequences: training sequences so far.
        added: whether a plateau of the error has added them, where it decides.
    """
    if getattr(experiment.training, "plateau", 0):
        return added
    return sequences >= getattr(experiment.training, "cells_added_after", 0)
