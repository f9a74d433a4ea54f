"""Rows of the paper: a trial is trained, or its kept weights are read, and inspected."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from carrousel.cli.inspect.config import InspectConfig
from carrousel.cli.inspect.inspected import Inspected
from carrousel.cli.screen import console_of, say
from carrousel.cli.selection import PAPER, select
from carrousel.cli.stream.signals import StopSignals
from carrousel.errors import SettingError
from carrousel.words import count

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.inspection import TrainedRow
    from carrousel.experiments.store.store import Store


def row_of(config: InspectConfig) -> Experiment:
    """Return the row that is named.

    Raises:
        UnknownNameError: there is no such row or recipe.
        SettingError: the name is that of a group with several rows.
    """
    rows = select([config.what], recipe=config.recipe)
    if len(rows) != 1:
        names = ", ".join(row.name for row in rows)
        raise SettingError(f"{config.what!r} is a group of rows", fix=f"inspect one of {names}")
    return rows[0]


def inspect_trial(config: InspectConfig) -> Inspected:
    """Inspect a trial of a row on test sequences."""
    config.refuse(
        "a row of the paper",
        *("target", "predict_next", "id", "key", "stream", "time", "channels", "series", "steps"),
        *("clip", "truncation"),
    )
    row = row_of(config)
    trained, stopped = _trained(config, row)
    if config.lag is not None:
        trained = replace(trained, lag=config.lag)
    report = trained.inspect(config.gradient)
    learned = count(trained.sequences, "sequence")
    kept = ", weights kept in a store" if trained.source == "kept" else ""
    endings = {"solved": "solved after", "stopped": "stopped after", "budget": "not solved in"}
    subject = (
        f"{row.name} ({row.title}), trial {config.trial}, seed {config.seed}: "
        f"{endings.get(trained.ending, trained.ending)} {learned}{kept}"
    )
    tests = count(len(trained.data), "test sequence")
    return Inspected(report, subject, f"error of the last target of {tests}", stopped)


def _trained(config: InspectConfig, row: Experiment) -> tuple[TrainedRow, str]:
    """Train a trial, or read its weights; return it, and why the training was stopped early."""
    from carrousel.experiments.inspection import TrainingProgress, train_row
    from carrousel.experiments.report.progress import ProgressBars

    train = partial(train_row, row, seed=config.seed, index=config.trial)
    if config.data is not None:
        with _kept(config, row) as store:
            return train(store=store), ""
    console = console_of(sys.stderr)
    with StopSignals() as stop, ProgressBars(console, [row.name]) as bars:
        say(f"Training a trial of {row.name}, seed {config.seed}. Ctrl-C stops and inspects it.")
        bars.add(row, trials=1, ended=0)
        last = TrainingProgress(0, row.budget, 0.0, None)

        def show(now: TrainingProgress, *, ended: bool = False) -> None:
            nonlocal last
            last, done = now, int(ended)
            n, spent = now.sequences, now.seconds
            bars.update(row.name, trials_done=done, running=1 - done, sequences=n, seconds=spent)
            bars.show(seconds=now.seconds, lanes_busy=None)

        trained = train(sequences=config.sequences, on_progress=show, stop=stop)
        show(last, ended=not stop.received)
    return trained, f"Stopped by {stop.received}." if stop.received else ""


@contextmanager
def _kept(config: InspectConfig, row: Experiment) -> Iterator[Store]:
    """Open the store that keeps the weights of a trial.

    Raises:
        StoreError: there is no store in the folder.
        SettingError: it does not have the weights.
    """
    from carrousel.experiments.store.store import Store

    assert config.data is not None
    with Store(config.data, read_only=True) as store:
        if store.kept(row, seed=config.seed, index=config.trial) is None:
            least = ["--trials", str(config.trial + 1), "--keep-weights"]
            words = ["carrousel", "reproduce", config.what, *least]
            words += [] if config.recipe == PAPER else ["--recipe", config.recipe]
            words += ["--seed", str(config.seed), "--out", str(config.data)]
            raise SettingError(
                f"{config.data} has no weights of trial {config.trial} of {row.name} with seed "
                f"{config.seed}",
                fix=f"keep them with {shlex.join(words)}",
            )
        yield store
