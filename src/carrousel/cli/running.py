"""Execution of a command's plan, with store and progress bars; it can be stopped at any time."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, cast

from carrousel.cli.options import DEFAULT_FOLDER, RunOptions
from carrousel.cli.screen import console_of, say
from carrousel.errors import ClusterFailedError, StoreError

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.report.collect import Entry
    from carrousel.experiments.report.progress import ProgressBars
    from carrousel.experiments.run.clusters import Backend
    from carrousel.experiments.run.runner import RunProgress
    from carrousel.experiments.store.store import Store


@contextmanager
def open_store(out: Path | None) -> Iterator[Store | None]:
    """Open the store in a folder; without a folder, the default one, or None if that fails.

    Raises:
        StoreError: the store in the given folder cannot be used.
    """
    from carrousel.experiments.store.store import Store

    if out is not None:
        with Store(out) as store:
            yield store
        return
    try:
        store = Store(DEFAULT_FOLDER)
    except StoreError as error:
        say(f"{error}. The trials of this run are not stored; --out DIR chooses another folder.")
        yield None
        return
    with store:
        yield store


def run_all(
    run: RunOptions, plan: Sequence[tuple[Experiment, int]], store: Store | None
) -> tuple[list[Entry], str]:
    """Run a plan.

    Returns:
        the entries of a report, and a sentence about the reason if the run was stopped early.
    """
    from carrousel.experiments.report import collect as reports
    from carrousel.experiments.report.progress import ProgressBars

    entries: list[Entry] = []
    with (
        _terminated_like_interrupted(),
        ProgressBars(console_of(sys.stderr), [row.name for row, _ in plan]) as bars,
        redirect_stdout(sys.stderr),  # Ray writes warnings to standard output
    ):
        for experiment, number in plan:
            try:
                entries.append(_run(experiment, number, run, store, bars))
                continue
            except KeyboardInterrupt:
                stopped = f"Stopped in {experiment.name}."
            except BrokenProcessPool:
                stopped = f"Stopped in {experiment.name}: a worker was killed (out of memory?)."
            except (StoreError, ClusterFailedError) as error:
                stopped = f"Stopped in {experiment.name}: {error}."
            if store is not None:
                with suppress(StoreError):
                    entries.append(reports.stored(store, experiment, run.seed, number))
            return entries, stopped
    return entries, ""


def _run(
    experiment: Experiment,
    number: int,
    run: RunOptions,
    store: Store | None,
    bars: ProgressBars,
) -> Entry:
    from carrousel.experiments.report import collect as reports
    from carrousel.experiments.run import runner

    ended = 0
    if store is not None:
        ended = len(reports.stored(store, experiment, run.seed, number).trials)
    bars.begin(experiment, trials=number, ended=ended)

    def on_progress(now: RunProgress) -> None:
        bars.update(trials_done=now.trials_done, sequences=now.sequences, seconds=now.seconds)

    began = time.perf_counter()
    trials = runner.run(
        experiment,
        trials=number,
        seed=run.seed,
        jobs=run.workers,
        store=store,
        backend=cast("Backend", run.backend),  # checked when the options were parsed
        address=run.address,
        on_progress=on_progress,
    )
    if store is not None:
        return reports.stored(store, experiment, run.seed, number)
    return reports.unstored(experiment, trials, run.seed, time.perf_counter() - began)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Make SIGTERM stop a run like Ctrl-C: results are shown, and workers are stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
