"""Running what a command planned: the store, the progress bars, and an end at any moment."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from carrousel.cli.screen import console_of, say
from carrousel.errors import ClusterFailedError, StoreError

if TYPE_CHECKING:
    from carrousel.contracts import Experiment
    from carrousel.experiments.report.collect import Entry
    from carrousel.experiments.report.progress import ProgressBars
    from carrousel.experiments.run.runner import Progress
    from carrousel.experiments.store.store import Store

DEFAULT_FOLDER = Path("runs")


@dataclass(frozen=True)
class Work:
    """Who works on a plan, and with which random numbers."""

    seed: int
    jobs: int | None
    backend: str
    address: str | None


@contextmanager
def open_store(out: Path | None) -> Iterator[Store | None]:
    """The store to use; none if the default folder will not do, which is no reason not to run."""
    from carrousel.experiments.store.store import Store

    if out is not None:
        with Store(out) as store:
            yield store
        return
    try:
        store = Store(DEFAULT_FOLDER)
    except StoreError as error:
        say(f"{error}. This time nothing will be kept; --out DIR keeps trials elsewhere.")
        yield None
        return
    with store:
        yield store


def run_all(
    work: Work, plan: Sequence[tuple[Experiment, int]], store: Store | None
) -> tuple[list[Entry], str]:
    """Run what is planned; if that stops early, also say why in a sentence."""
    from carrousel.experiments.report import collect as reports
    from carrousel.experiments.report.progress import ProgressBars

    entries: list[Entry] = []
    with (
        _terminated_like_interrupted(),
        ProgressBars(console_of(sys.stderr), [row.name for row, _ in plan]) as bars,
        redirect_stdout(sys.stderr),  # where Ray tells of dead workers, results alone belong
    ):
        for experiment, number in plan:
            try:
                entries.append(_run(experiment, number, work, store, bars))
                continue
            except KeyboardInterrupt:
                stopped = f"Stopped in {experiment.name}."
            except BrokenProcessPool:
                stopped = f"Stopped in {experiment.name}: a worker was killed (out of memory?)."
            except (StoreError, ClusterFailedError) as error:
                stopped = f"Stopped in {experiment.name}: {error}."
            if store is not None:
                with suppress(StoreError):
                    entries.append(reports.stored(store, experiment, work.seed, number))
            return entries, stopped
    return entries, ""


def _run(
    experiment: Experiment,
    number: int,
    work: Work,
    store: Store | None,
    bars: ProgressBars,
) -> Entry:
    from carrousel.experiments.report import collect as reports
    from carrousel.experiments.run import runner

    ended = 0
    if store is not None:
        ended = len(reports.stored(store, experiment, work.seed, number).trials)
    bars.begin(experiment, trials=number, ended=ended)

    def on_progress(now: Progress) -> None:
        bars.update(trials_done=now.trials_done, sequences=now.sequences, seconds=now.seconds)

    began = time.perf_counter()
    trials = runner.run(
        experiment,
        trials=number,
        seed=work.seed,
        jobs=work.jobs,
        store=store,
        backend=work.backend,
        address=work.address,
        on_progress=on_progress,
    )
    if store is not None:
        return reports.stored(store, experiment, work.seed, number)
    return reports.unstored(experiment, trials, work.seed, time.perf_counter() - began)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM stop a run as Ctrl-C does: with a table, and with no worker left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
