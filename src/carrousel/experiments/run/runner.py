"""Runner of an experiment's trials, in processes or on a cluster; it can be stopped at any time.

To add an experiment, write an :class:`carrousel.contracts.Experiment`: a task, a network, the name
of a learner, its training, a stop rule and a budget. ``experiments/paper/signals.py`` has examples.
If no stop rule of ``experiments/stopping.py`` fits, write another with the members of
:class:`carrousel.contracts.StopRule`. :func:`run` runs the experiment. Added to
``experiments/catalogue.py``, it also has a name on the command line.

Every trial has its own random generators (``experiments/run/seeds.py``). Trials are distributed to
``jobs`` workers. Each worker runs up to 16 trials side by side for a slice of about a second
(``experiments/run/lanes.py``). It returns the trials that ended and the states of the others. Ended
trials are stored at once; the others are distributed again for the next slice. Slices run in local
processes through joblib, or on a Dask or Ray cluster (``experiments/run/clusters.py``). Progress,
load balancing and resumption all rely on slices.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

import joblib

from carrousel.checks import check_choice, check_int
from carrousel.contracts import Experiment, Trial
from carrousel.experiments.run.clusters import BACKENDS as BACKENDS
from carrousel.experiments.run.clusters import Backend, Share, cluster
from carrousel.experiments.run.lanes import LANES, Slice, TrialPlan, TrialState, advance
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import Store
from carrousel.learners import learner_named

SLICE_SECONDS = 1.0


@dataclass(frozen=True)
class RunProgress:
    """Progress of a run.

    Args:
        experiment: name of the experiment.
        trials_done: number of trials that have ended, including those found in the store.
        trials: number of trials requested.
        sequences: training sequences learned since the start of the run, over all its trials.
        steps: time steps among them.
        seconds: wall time since the start of the run.
    """

    experiment: str
    trials_done: int
    trials: int
    sequences: int
    steps: int
    seconds: float


def run(
    experiment: Experiment,
    *,
    trials: int,
    seed: int = 1997,
    jobs: int | None = None,
    store: Store | None = None,
    backend: Backend = "loky",
    address: str | None = None,
    on_progress: Callable[[RunProgress], None] | None = None,
) -> list[Trial]:
    """Run trials of an experiment and return them in the order of their indices.

    Apart from its ``seconds``, trial ``i`` depends on the experiment, ``seed`` and ``i`` alone. The
    number of trials, workers, the backend, interruptions and killed workers do not change it.

    Args:
        experiment: the experiment.
        trials: number of trials.
        seed: seed of the run.
        jobs: number of workers. On this machine the default is 1, which runs in this process. On a
            cluster the default is one worker for each core that the cluster has at the moment.
        store: store of ended trials. Trials that it already contains with the same settings and
            seed are not run again, so that a killed run can be continued.
        backend: ``"loky"`` for processes of this machine, ``"dask"`` or ``"ray"`` for a cluster.
        address: address of the cluster (see :func:`carrousel.experiments.run.clusters.cluster`).
        on_progress: called after each slice of about a second.

    Raises:
        SettingError: a number is out of range, or an address is given without a cluster.
        UnknownNameError: the learner or backend is unknown.
        MissingExtraError: the backend is not installed.
        StoreError: the store cannot be read or written.
        ClusterError: the cluster cannot be reached or used.
        ClusterFailedError: the cluster failed during the run; the store has the trials that ended.
    """
    began = time.perf_counter()
    check_int("trials", trials, minimum=0)
    check_int("seed", seed, minimum=0)
    if jobs is not None:
        check_int("jobs", jobs, minimum=1)
    check_choice("backend", backend, BACKENDS)
    plan = TrialPlan(experiment, learner_named(experiment.learner), seed)
    known = store.trials(experiment.name, seed, fingerprint(experiment)) if store else []
    ended = {trial.index: trial for trial in known if trial.index < trials}
    fresh, paused = list[Trial](), list[TrialState]()
    pending = [index for index in range(trials) if index not in ended]
    if not pending:
        return list(ended.values())
    session = store.session(experiment, seed=seed, trials=trials) if store else nullcontext()
    with _workers(plan, jobs, backend, address) as (count, advance_all), session:
        while paused or pending:
            slices = advance_all(distribute(paused, pending, count()))
            for each in slices:
                for trial in each.ended:
                    if store:
                        store.append(trial, experiment, instruction_set=each.instruction_set)
                    fresh.append(trial)
            paused = [trial for each in slices for trial in each.paused]
            pending = sorted(index for each in slices for index in each.pending)
            if on_progress:
                all_trials = [*fresh, *paused]
                on_progress(
                    RunProgress(
                        experiment=experiment.name,
                        trials_done=len(ended) + len(fresh),
                        trials=trials,
                        sequences=sum(trial.sequences for trial in all_trials),
                        steps=sum(trial.steps for trial in all_trials),
                        seconds=time.perf_counter() - began,
                    )
                )
    return sorted([*ended.values(), *fresh], key=lambda trial: trial.index)


def distribute(paused: Sequence[TrialState], pending: Sequence[int], jobs: int) -> list[Share]:
    """Distribute trials evenly among at most ``jobs`` workers.

    After workers have left a cluster, the remaining ones may have too few lanes for all trials that
    have begun. There are then more shares than workers, and some shares wait.

    >>> [waiting for _, waiting in distribute([], range(5), jobs=2)]
    [[0, 2, 4], [1, 3]]
    """
    jobs = max(jobs, math.ceil(len(paused) / LANES))
    begun: list[list[TrialState]] = [[] for _ in range(jobs)]
    waiting: list[list[int]] = [[] for _ in range(jobs)]
    for place, trial in enumerate(sorted(paused, key=lambda trial: trial.index)):
        begun[place % jobs].append(trial)
    for place, index in enumerate(pending, start=len(paused)):
        waiting[place % jobs].append(index)
    return [share for share in zip(begun, waiting, strict=True) if share[0] or share[1]]


@contextmanager
def _workers(
    plan: TrialPlan, jobs: int | None, backend: str, address: str | None
) -> Iterator[tuple[Callable[[], int], Callable[[Iterable[Share]], list[Slice]]]]:
    """Two functions: the number of workers now, and one slice of work on all shares.

    Worker processes stay alive from one slice to the next.
    """
    with cluster(backend, address, jobs=jobs) as found:
        if found is not None:
            yield (
                lambda: jobs or found.cores(),
                lambda shares: found.advance(plan, shares, SLICE_SECONDS),
            )
            return
    if jobs is None or jobs == 1:
        yield lambda: 1, lambda shares: [advance(plan, *each, SLICE_SECONDS) for each in shares]
        return
    with (
        joblib.parallel_config("loky", inner_max_num_threads=1),  # one core per worker
        joblib.Parallel(n_jobs=jobs, max_nbytes=None) as parallel,  # no memory-mapped arrays
    ):
        task = joblib.delayed(advance)

        def advance_all(shares: Iterable[Share]) -> list[Slice]:
            return cast(list[Slice], parallel(task(plan, *each, SLICE_SECONDS) for each in shares))

        yield lambda: jobs, advance_all
