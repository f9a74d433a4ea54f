"""Execution of a command's plan, with store and progress bars; it can be stopped at any time."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, cast

from carrousel import words
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


MOST_NAMES = 4
"""Number of rows that the message about a stopped run lists."""


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


@dataclass(frozen=True)
class Finished:
    """What a run came to.

    Args:
        entries: entries of a report, of the rows of which trials have ended.
        stopped: a sentence about the reason if the run was stopped early, else empty.
        lanes_busy: share of the lanes of vectors that learned, by time; None if nothing ran.
    """

    entries: list[Entry]
    stopped: str = ""
    lanes_busy: float | None = None

    @property
    def efficiency(self) -> str:
        """A sentence about the lanes; empty if nothing ran."""
        if self.lanes_busy is None:
            return ""
        return f"Lanes busy: {words.percent(round(100 * self.lanes_busy))}."


def run_all(
    run: RunOptions, plan: Sequence[tuple[Experiment, int]], store: Store | None
) -> Finished:
    """Run a plan: all rows side by side."""
    from carrousel.experiments.report import collect as reports
    from carrousel.experiments.report.progress import ProgressBars
    from carrousel.experiments.run import runner

    last: list[RunProgress] = []

    def on_progress(now: RunProgress) -> None:
        last[:] = [now]
        _show(bars, now)

    stopped = ""
    with (
        _terminated_like_interrupted(),
        ProgressBars(console_of(sys.stderr), [row.name for row, _ in plan]) as bars,
        redirect_stdout(sys.stderr),  # Ray writes warnings to standard output
    ):
        for row, number in plan:
            ended = 0
            if store is not None:
                ended = len(reports.stored(store, row, run.seed, number).trials)
            bars.add(row, trials=number, ended=ended)
        bars.show(seconds=0.0, lanes_busy=None)
        try:
            runner.run_rows(
                plan,
                seed=run.seed,
                jobs=run.workers,
                store=store,
                backend=cast("Backend", run.backend),  # checked when the options were parsed
                address=run.address,
                keep_weights=run.keep_weights and store is not None,
                on_progress=on_progress,
            )
        except KeyboardInterrupt:
            stopped = f"Stopped{_unfinished(last)}."
        except BrokenProcessPool:
            stopped = f"Stopped{_unfinished(last)}: a worker was killed (out of memory?)."
        except (StoreError, ClusterFailedError) as error:
            stopped = f"Stopped{_unfinished(last)}: {error}."
    use = last[0].use.share if last else None
    return Finished(_entries(run, plan, store, last, bool(stopped)), stopped, use)


def _show(bars: ProgressBars, now: RunProgress) -> None:
    for row in now.rows:
        bars.update(
            row.experiment,
            trials_done=row.trials_done,
            running=row.running,
            sequences=row.sequences,
            seconds=row.seconds,
        )
    bars.show(seconds=now.seconds, lanes_busy=now.use.share)


def _unfinished(last: Sequence[RunProgress]) -> str:
    """Name the rows that were running."""
    names = [row.experiment for now in last for row in now.rows if row.running]
    if len(names) > MOST_NAMES:
        names[MOST_NAMES - 1 :] = [f"{len(names) - MOST_NAMES + 1} others"]
    return f" in {words.listed(names)}" if names else ""


def _entries(
    run: RunOptions,
    plan: Sequence[tuple[Experiment, int]],
    store: Store | None,
    last: Sequence[RunProgress],
    stopped: bool,
) -> list[Entry]:
    """Entries of all rows; of a stopped run, those that have begun."""
    from carrousel.experiments.report import collect as reports

    entries: list[Entry] = []
    for number, (row, trials) in enumerate(plan):
        progress = last[0].rows[number] if last else None
        if store is not None:
            try:
                entry = reports.stored(store, row, run.seed, trials)
            except StoreError:
                if not stopped:
                    raise
                continue
        elif last:
            ended, spent = last[0].ended[number], last[0].rows[number].spent
            entry = reports.unstored(row, ended, run.seed, spent, asked=trials)
        else:
            continue
        if entry.trials or not stopped or (progress and progress.running):
            busy = progress.use.share if progress else None
            entries.append(replace(entry, lanes_busy=busy))
    return entries


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
