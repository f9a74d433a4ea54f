"""Reports on the nets of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import Batches, Experiment, Gradient, Head, Network, Training
from carrousel.errors import SettingError
from carrousel.experiments.catalogue import EXPERIMENTS
from carrousel.experiments.inspection.lags import drawn_sequences, lag_of
from carrousel.experiments.inspection.training import (
    TrainedNet,
    TrainingProgress,
    cells_joined,
    train,
)
from carrousel.experiments.run.seeds import generator
from carrousel.experiments.store.code import code_of
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import Store
from carrousel.inspection.networks import inspect_network
from carrousel.inspection.networks.inspect import PATHS
from carrousel.inspection.report import Report
from carrousel.sequences import Sequences
from carrousel.shapes import Floats

SEQUENCES = 16
"""Test sequences of a report."""

WITHOUT_ONE_NET: Mapping[str, str] = {
    "cascade": "cascade-correlation adds hidden units one by one and freezes them, so that no "
    "error flows back through the net as a whole",
    "chunker": "the chunker has two nets on different time scales",
    "compressor": "the history compressor has several nets on different time scales",
    "guess": "weight guessing follows no error",
}
"""Learners whose rows cannot be inspected, with the reason."""


@dataclass(frozen=True, eq=False)
class TrainedRow:
    """The net of one trial of a row, with test sequences.

    Args:
        experiment: the row.
        seed: seed of the run.
        index: number of the trial.
        ending: ``"solved"``, ``"budget"``, or ``"stopped"``: earlier, as the caller asked.
        sequences: training sequences.
        source: ``"trained"`` now, or ``"kept"``: weights of a store.
        weights: ``[W]``.
        data: test sequences, not used by the trial, whose last target needs the memory.
        lag: minimal time lag of the task; None: unknown.
    """

    experiment: Experiment
    seed: int
    index: int
    ending: Literal["solved", "budget", "stopped"]
    sequences: int
    source: Literal["trained", "kept"]
    weights: Annotated[Floats, "W"]
    data: Sequences
    lag: int | None

    @property
    def network(self) -> Network:
        """The net of the row."""
        return self.experiment.network

    @property
    def gradient(self) -> str:
        """Name of the row's gradient; ``"bptt"`` for estimates, which approximate it."""
        training = self.experiment.training
        name = {"elman": "bptt:1"}.get(self.experiment.learner, self.experiment.learner)
        found = Gradient.named(training.gradient if isinstance(training, Batches) else name)
        return found.name if found.kind in PATHS else "bptt"

    def inspect(self, gradient: str | None = None) -> Report:
        """Report on the net.

        Args:
            gradient: algorithm along whose paths errors are followed; None: that of the row.

        Raises:
            UnknownNameError, SettingError: the gradient is unknown or has no paths.
        """
        training: Training | Batches = self.experiment.training
        head: Head = "logistic97" if training.output_derivative else "logistic"
        return inspect_network(
            self.network,
            self.weights,
            self.data,
            gradient=gradient or self.gradient,
            lag=self.lag,
            head=head,
            initial_activation=training.initial_activation,
            clip=training.clip if isinstance(training, Batches) else None,
        )


def inspect_row(
    row: Experiment | str,
    *,
    seed: int = 1997,
    index: int = 0,
    sequences: int | None = None,
    seconds: float | None = None,
    store: Store | None = None,
    test_sequences: int = SEQUENCES,
    gradient: str | None = None,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    stop: Callable[[], bool] = bool,
) -> Report:
    """Train a trial of a row, or take its kept weights, and report on its net.

    The arguments and errors are those of :func:`train_row` and :meth:`TrainedRow.inspect`.

    >>> report = inspect_row("6a", sequences=50)
    >>> report.lag, report.read_reach().cell
    (40, 'lstm97')
    """
    found = train_row(
        row,
        seed=seed,
        index=index,
        sequences=sequences,
        seconds=seconds,
        store=store,
        test_sequences=test_sequences,
        on_progress=on_progress,
        stop=stop,
    )
    return found.inspect(gradient)


def train_row(
    row: Experiment | str,
    *,
    seed: int = 1997,
    index: int = 0,
    sequences: int | None = None,
    seconds: float | None = None,
    store: Store | None = None,
    test_sequences: int = SEQUENCES,
    on_progress: Callable[[TrainingProgress], None] | None = None,
    stop: Callable[[], bool] = bool,
) -> TrainedRow:
    """Return the net of a trial: from the store if it is kept there, else trained now.

    Args:
        row: an experiment, or its name.
        seed: seed of the run.
        index: number of the trial.
        sequences: training sequences after which the trial is stopped; None: at its end. Kept
            weights are those at the end, and are used only if the trial had no more sequences.
        seconds: wall time after which training is stopped; None: no limit.
        store: store that may have the trial's weights (``keep_weights`` of
            :func:`carrousel.experiments.run.runner.run_rows`); it is not changed.
        test_sequences: number of test sequences; tasks may have fewer.
        on_progress: called about four times a second while the trial is trained.
        stop: asked as often; returning True stops the training.

    Raises:
        UnknownNameError: there is no such row.
        SettingError: the row's learner has more than one net or follows no error, cells have not
            joined the net yet, or a number is out of range.
        DivergedError: the trial diverged.
        StoreError: the store cannot be read.
    """
    if not isinstance(row, Experiment):
        row = EXPERIMENTS[check_choice("row", row, EXPERIMENTS)]
    if row.learner in WITHOUT_ONE_NET:
        raise SettingError(
            f"{row.name} cannot be inspected: {WITHOUT_ONE_NET[row.learner]}",
            argument="row",
            got=row.name,
            expected="a row that learns by a gradient",
            fix="take an LSTM row, or a rival such as '2a/bptt'",
        )
    seed = check_int("seed", seed, minimum=0)
    index = check_int("index", index, minimum=0)
    if sequences is not None:
        sequences = check_int("sequences", sequences, minimum=1)
    if seconds is not None:
        seconds = check_number("seconds", seconds, above=0.0)
    test_sequences = check_int("test_sequences", test_sequences, minimum=1)
    net = _kept(row, seed, index, sequences, store)
    source: Literal["trained", "kept"] = "trained" if net is None else "kept"
    if net is None:
        net = train(
            row,
            seed,
            index,
            sequences=sequences,
            seconds=seconds,
            on_progress=on_progress,
            stop=stop,
        )
    if not net.has_cells:
        raise SettingError(
            f"after {net.sequences} training sequences, cells have not joined the net of "
            f"{row.name} yet",
            argument="sequences",
            got=sequences,
            fix="train with more {sequences}",
        )
    task = row.task.draw(generator(seed, row.name, index % row.draws, "draw"))
    data = drawn_sequences(task, generator(seed, row.name, index, "verdict", 1), test_sequences)
    return TrainedRow(
        row,
        seed,
        index,
        net.ending,
        net.sequences,
        source,
        net.weights,
        data,
        lag_of(row.task),
    )


def _kept(
    row: Experiment, seed: int, index: int, sequences: int | None, store: Store | None
) -> TrainedNet | None:
    """Return the net of a trial from a store; None: it does not have it."""
    arrays = None if store is None else store.kept(row, seed=seed, index=index)
    if store is None or arrays is None:
        return None
    stored = store.trials(row.name, seed, fingerprint(row), code=code_of(row))
    trial = next((one for one in stored if one.index == index), None)
    if trial is None or trial.ending == "diverged":
        return None
    if sequences is not None and sequences < trial.sequences:
        return None
    added = "cells_added_at" in trial.measures
    joined = cells_joined(row, trial.sequences, added=added)
    return TrainedNet(arrays["weights"], trial.ending, trial.sequences, joined)
