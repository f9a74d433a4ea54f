"""Runner of trials, in processes or on a cluster; it can be stopped at any time.

To add an experiment, write an :class:`carrousel.contracts.Experiment`: a task, a network, the name
of a learner, its training, a stop rule and a budget. ``experiments/paper/signals.py`` has examples.
If no stop rule of ``experiments/stopping.py`` fits, write another with the members of
:class:`carrousel.contracts.StopRule`. :func:`run` runs the experiment. Added to
``experiments/catalogue.py``, it also has a name on the command line.

Every trial has its own random generators (``experiments/run/seeds.py``). The trials of all rows are
in one queue (``experiments/run/queue.py``), which distributes them to ``jobs`` workers. Each worker
runs up to 16 trials side by side for a slice of about a second (``experiments/run/lanes.py``). It
returns the trials that ended and the states of the others. Ended trials are stored at once; the
others are distributed again for the next slice. Slices run in local processes through joblib, or on
a Dask or Ray cluster (``experiments/run/clusters.py``). Progress, load balancing and resumption all
rely on slices.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from typing import cast

import joblib
import numpy as np

from carrousel import words
from carrousel.checks import check_choice, check_int
from carrousel.contracts import Experiment, Trial
from carrousel.errors import SettingError, StoreError
from carrousel.experiments.run.clusters import BACKENDS as BACKENDS
from carrousel.experiments.run.clusters import Backend, cluster
from carrousel.experiments.run.lanes import LaneUse, Share, Slice, advance
from carrousel.experiments.run.orphans import end_with_parent
from carrousel.experiments.run.queue import Queue
from carrousel.experiments.run.trial import TrialPlan, TrialState
from carrousel.experiments.store.code import code_of
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import Store
from carrousel.learners import learner_named, shared_settings

SLICE_SECONDS = 1.0
"""Shortest duration of a slice."""
LONGEST_SLICE = 10.0
SLICE_PER_SENDING = 20.0
"""Slices are longer if sending the states of trials takes more than this part of them."""
SAVE_SECONDS = 10.0
"""Interval at which the time of a run is stored, in addition to each trial that ends."""


@dataclass(frozen=True)
class RowProgress:
    """Progress of a row in a run.

    Args:
        experiment: name of the experiment.
        trials_done: number of trials that have ended, including those found in the store.
        trials: number of trials requested.
        running: number of trials that have begun, but not ended.
        sequences: training sequences learned since the start of the run, over all its trials.
        steps: time steps among them.
        seconds: wall time since the first trial of the row began in this run.
        spent: the row's share of the wall time, which other rows use too.
        use: how well learning filled the lanes of vectors, in slices with trials of the row.
    """

    experiment: str
    trials_done: int
    trials: int
    running: int = 0
    sequences: int = 0
    steps: int = 0
    seconds: float = 0.0
    spent: float = 0.0
    use: LaneUse = field(default_factory=LaneUse)


@dataclass(frozen=True)
class RunProgress:
    """Progress of a run.

    Args:
        rows: progress of each row, in the order of the call.
        ended: trials of each row that ended in this run.
        seconds: wall time since the start of the run.
        use: how well learning filled the lanes of vectors.
    """

    rows: tuple[RowProgress, ...]
    ended: tuple[list[Trial], ...]
    seconds: float
    use: LaneUse


def run(
    experiment: Experiment,
    *,
    trials: int,
    seed: int = 1997,
    jobs: int | None = None,
    store: Store | None = None,
    backend: Backend = "loky",
    address: str | None = None,
    keep_weights: bool = False,
    on_progress: Callable[[RowProgress], None] | None = None,
) -> list[Trial]:
    """Run trials of an experiment and return them in the order of their indices.

    The arguments and errors are those of :func:`run_rows`, which runs several experiments at once.

    Args:
        experiment: the experiment.
        trials: number of trials.
        seed: seed of the run.
        jobs: number of workers.
        store: store of ended trials.
        backend: where workers run.
        address: address of the cluster.
        keep_weights: whether the weights of ended trials are stored too.
        on_progress: called after each slice.
    """
    watch = None if on_progress is None else (lambda now: on_progress(now.rows[0]))
    [found] = run_rows(
        [(experiment, trials)],
        seed=seed,
        jobs=jobs,
        store=store,
        backend=backend,
        address=address,
        keep_weights=keep_weights,
        on_progress=watch,
    )
    return found


def run_rows(
    rows: Sequence[tuple[Experiment, int]],
    *,
    seed: int = 1997,
    jobs: int | None = None,
    store: Store | None = None,
    backend: Backend = "loky",
    address: str | None = None,
    keep_weights: bool = False,
    on_progress: Callable[[RunProgress], None] | None = None,
) -> list[list[Trial]]:
    """Run trials of several experiments side by side, and return those of each by their indices.

    Apart from its ``seconds``, trial ``i`` depends on the experiment, ``seed`` and ``i`` alone. The
    number of trials, the other experiments, workers, the backend, interruptions and killed workers
    do not change it.

    Args:
        rows: experiments and their numbers of trials.
        seed: seed of the run.
        jobs: number of workers. On this machine the default is 1, which runs in this process. On a
            cluster the default is one worker for each core that the cluster has at the moment.
        store: store of ended trials. Trials that it already contains with the same settings, seed,
            version of the kernels and code (:func:`carrousel.experiments.store.code.code_of`) are
            not run again, so that a killed run can be continued. A warning says so if it has
            trials of other code.
        backend: ``"loky"`` for processes of this machine, ``"dask"`` or ``"ray"`` for a cluster.
        address: address of the cluster (see :func:`carrousel.experiments.run.clusters.cluster`).
        keep_weights: whether the weights of trials that end in this run are stored too, except of
            those that diverged (:meth:`Store.kept` returns them). Results do not depend on it.
        on_progress: called after each slice of about a second.

    Raises:
        SettingError: a number is out of range, an address is given without a cluster, or weights
            are to be kept without a store.
        UnknownNameError: the learner or backend is unknown.
        MissingExtraError: the backend is not installed.
        StoreError: the store cannot be read or written.
        ClusterError: the cluster cannot be reached or used.
        ClusterFailedError: the cluster failed during the run; the store has the trials that ended.
    """
    began = time.perf_counter()
    for _, trials in rows:
        check_int("trials", trials, minimum=0)
    check_int("seed", seed, minimum=0)
    if jobs is not None:
        check_int("jobs", jobs, minimum=1)
    check_choice("backend", backend, BACKENDS)
    if keep_weights and store is None:
        raise SettingError(
            "weights are kept in a store, but there is none",
            argument="keep_weights",
            got=True,
            fix="give {store}",
        )
    runs = [_Row(experiment, trials, seed, store, keep_weights) for experiment, trials in rows]
    queue = Queue([row.plan for row in runs], [row.pending for row in runs])
    if queue.is_empty:
        return [row.found for row in runs]
    clock, use, duration, sending = _Clock(runs, store), LaneUse(), SLICE_SECONDS, [0.0]
    with _workers(jobs, backend, address) as (count, advance_all), clock:
        while not queue.is_empty:
            shares = queue.shares(count())
            clock.begin({row for share in shares for row in share.plans})
            sent = time.perf_counter()
            slices = advance_all(shares, duration)
            sending.append(time.perf_counter() - sent - max(each.seconds for each in slices))
            longer = min(sending[-2:]) * SLICE_PER_SENDING  # the first also starts processes
            duration = min(max(SLICE_SECONDS, longer), LONGEST_SLICE)
            queue.receive(slices)
            for each in slices:
                for number in each.rows:
                    runs[number].use += each.use
                for number, trial in each.ended:
                    kept = each.kept.get((number, trial.index))
                    runs[number].end(trial, each.instruction_set, kept)
            clock.note(queue.paused(), saves=any(each.ended for each in slices))
            use = sum((each.use for each in slices), use)
            if on_progress:
                progress, ended = zip(*((row.progress, row.fresh) for row in runs), strict=True)
                on_progress(RunProgress(progress, ended, time.perf_counter() - began, use))
    return [row.found for row in runs]


class _Row:
    """One row of a run: its trials that ended, and its progress."""

    def __init__(
        self, experiment: Experiment, trials: int, seed: int, store: Store | None, keep: bool
    ) -> None:
        shared = shared_settings(experiment.learner, experiment.network, experiment.training)
        learner = learner_named(experiment.learner)
        self.plan = TrialPlan(experiment, learner, seed, shared=shared, keep=keep)
        self.fresh, self.use = list[Trial](), LaneUse()
        self._experiment, self._trials, self._seed, self._store = experiment, trials, seed, store
        self._code = code_of(experiment) if store else ""  # workers need not compute it
        known = _known(store, experiment, seed, self._code) if store else []
        self._known = {trial.index: trial for trial in known if trial.index < trials}
        self.pending = [index for index in range(trials) if index not in self._known]
        self.progress = RowProgress(experiment.name, len(self._known), trials)
        self._began: float | None = None
        self._session: str | None = None
        self._spent = self._saved = 0.0

    @property
    def found(self) -> list[Trial]:
        """All trials that ended, in the order of their indices."""
        return sorted([*self._known.values(), *self.fresh], key=lambda trial: trial.index)

    @property
    def worked(self) -> float:
        """Worker seconds of the trials that ended."""
        return sum(trial.seconds for trial in self.fresh)

    def begin(self, now: float) -> None:
        """Note that trials of the row are running."""
        if self._began is None:
            self._began = now
            if self._store:
                self._session = self._store.session(
                    self._experiment, seed=self._seed, trials=self._trials, code=self._code
                )

    def end(
        self, trial: Trial, instruction_set: str, kept: Mapping[str, np.ndarray] | None
    ) -> None:
        """Add a trial that ended, also to the store."""
        if self._store:
            self._store.append(
                trial, self._experiment, instruction_set=instruction_set, code=self._code, kept=kept
            )
        self.fresh.append(trial)

    def note(self, running: Sequence[TrialState], spent: float, now: float) -> None:
        """Update the progress after a slice, which took some of the row's wall time."""
        every = [*self.fresh, *running]
        self._spent += spent
        self.progress = replace(
            self.progress,
            trials_done=len(self._known) + len(self.fresh),
            running=len(running),
            sequences=sum(trial.sequences for trial in every),
            steps=sum(trial.steps for trial in every),
            seconds=0.0 if self._began is None else now - self._began,
            spent=self._spent,
            use=self.use,
        )

    def unsaved(self) -> dict[str, float]:
        """Return the wall time that is not stored yet, by session."""
        if self._session is None or self._spent == self._saved:
            return {}
        new, self._saved = self._spent - self._saved, self._spent
        return {self._session: new}


def _known(store: Store, experiment: Experiment, seed: int, code: str) -> list[Trial]:
    """Trials in the store; warns of those that other code ran."""
    mark = fingerprint(experiment)
    others = sum(
        each.trials
        for each in store.holdings()
        if (each.fingerprint, each.seed) == (mark, seed) and each.code != code
    )
    if others:
        warnings.warn(
            f"{words.count(others, 'trial')} of {experiment.name} in {store.path} were run by "
            "other code of its classes; they are kept, but not used",
            stacklevel=4,
        )
    return store.trials(experiment.name, seed, mark, code=code)


class _Clock:
    """Divides the wall time of a run among its rows, by the time that workers spent on each.

    As a context, it stores the times of the rows at the end, however the run ends.
    """

    def __init__(self, rows: Sequence[_Row], store: Store | None) -> None:
        self._rows, self._store = rows, store
        self._worked = [0.0] * len(rows)
        self._last = self._saved = time.perf_counter()

    def begin(self, rows: Iterable[int]) -> None:
        """Note the rows whose trials run in the next slice."""
        now = time.perf_counter()
        for row in sorted(rows):
            self._rows[row].begin(now)

    def note(self, paused: Iterable[TrialState], *, saves: bool) -> None:
        """Divide the time since the last slice; store all times with trials that ended."""
        now = time.perf_counter()
        running: list[list[TrialState]] = [[] for _ in self._rows]
        for trial in paused:
            running[trial.row].append(trial)
        worked = [
            row.worked + sum(trial.seconds for trial in begun)
            for row, begun in zip(self._rows, running, strict=True)
        ]
        new = [after - before for after, before in zip(worked, self._worked, strict=True)]
        each = (now - self._last) / max(sum(new), 1e-9)
        for row, begun, seconds in zip(self._rows, running, new, strict=True):
            if seconds or begun:
                row.note(begun, seconds * each, now)
        self._worked, self._last = worked, now
        if saves or now - self._saved > SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        self._saved = self._last
        if self._store:
            self._store.add_seconds({k: v for row in self._rows for k, v in row.unsaved().items()})

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(StoreError) if kind else nullcontext():  # it must not replace the first error
            self._save()


def _advance_in_worker(share: Share, seconds: float) -> Slice:
    end_with_parent()
    return advance(share, seconds)


@contextmanager
def _workers(
    jobs: int | None, backend: str, address: str | None
) -> Iterator[tuple[Callable[[], int], Callable[[Sequence[Share], float], list[Slice]]]]:
    """Two functions: the number of workers now, and one slice of work on all shares.

    Worker processes stay alive from one slice to the next.
    """
    with cluster(backend, address, jobs=jobs) as found:
        if found is not None:
            yield lambda: jobs or found.cores(), found.advance
            return
    if jobs is None or jobs == 1:
        yield lambda: 1, lambda shares, seconds: [advance(each, seconds) for each in shares]
        return
    with (
        joblib.parallel_config("loky", inner_max_num_threads=1),  # one core per worker
        joblib.Parallel(n_jobs=jobs, max_nbytes=None) as parallel,  # no memory-mapped arrays
    ):
        task = joblib.delayed(_advance_in_worker)

        def advance_all(shares: Sequence[Share], seconds: float) -> list[Slice]:
            return cast(list[Slice], parallel(task(each, seconds) for each in shares))

        yield lambda: jobs, advance_all
