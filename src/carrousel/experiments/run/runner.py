"""Runs the trials of an experiment, on one core or many machines, and can be stopped at any time.

To add an experiment, write one literal :class:`carrousel.contracts.Experiment`: a task, a network,
a learner's name, its training, a stop rule and a budget; ``experiments/paper/signals.py`` has
many to follow. If no stop rule of ``experiments/stopping.py`` fits, write another with the same
members (:class:`carrousel.contracts.StopRule`); the runner asks for nothing but these. :func:`run`
then runs it, and nothing else needs to know; listed in ``experiments/catalogue.py``, it also has a name
on the command line.

How it works. Every trial has random generators of its own (``experiments/run/seeds.py``). The trials
are dealt to ``jobs`` workers, each of which carries up to 16 of them on side by side for a slice of
about a second (``experiments/run/lanes.py``), then hands back those that ended and the state of the
others. Ended trials are stored at once, what is left is dealt anew, and the next slice begins.
Slices go to processes of this machine by joblib, or to a Dask or Ray cluster
(``experiments/run/clusters.py``); they are all there is to progress, to balance and to resumption.
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
from carrousel.experiments.run.clusters import Hand, cluster
from carrousel.experiments.run.lanes import LANES, Paused, Plan, Slice, advance
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import Store
from carrousel.learners import learner_named

SLICE_SECONDS = 1.0


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Args:
        experiment: its name.
        trials_done: trials that have ended, those found in the store included.
        trials: trials asked for.
        sequences: training sequences learned since the run was started, over all its trials.
        steps: time steps among them.
        seconds: wall time since the run was started.
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
    backend: str = "loky",
    address: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Trial]:
    """Run trials of an experiment and return them in the order of their indices.

    Trial ``i`` depends on the experiment, ``seed`` and ``i`` alone, but for its ``seconds``; not on
    ``trials``, ``jobs``, ``backend`` or the cluster, nor on whether the run was interrupted or a
    worker was killed.

    Args:
        experiment: what to run.
        trials: how many trials.
        seed: seed of the run.
        jobs: how many workers share the trials; on this machine 1, the default, works in this
            process. On a cluster the default is one for each core it has at the moment.
        store: where ended trials are kept. Those it holds already, of the same settings and seed,
            are not run again; so a run that was killed carries on.
        backend: ``"loky"`` for processes of this machine, ``"dask"`` or ``"ray"`` for a cluster.
        address: of the cluster (see :func:`carrousel.experiments.run.clusters.cluster`).
        on_progress: called after each slice of about a second.

    Raises:
        SettingError: a number is out of its range, or an address is given without a cluster.
        UnknownNameError: no such learner or backend.
        MissingExtraError: the backend is not installed.
        StoreError: the store cannot be read or written.
        ClusterError: the cluster cannot be reached or used.
        ClusterFailedError: it failed in the middle; the store holds what had ended.
    """
    began = time.perf_counter()
    check_int("trials", trials, minimum=0)
    check_int("seed", seed, minimum=0)
    if jobs is not None:
        check_int("jobs", jobs, minimum=1)
    check_choice("backend", backend, BACKENDS)
    plan = Plan(experiment, learner_named(experiment.learner), seed)
    known = store.trials(experiment.name, seed, fingerprint(experiment)) if store else []
    ended = {trial.index: trial for trial in known if trial.index < trials}
    fresh, paused = list[Trial](), list[Paused]()
    pending = [index for index in range(trials) if index not in ended]
    if not pending:
        return list(ended.values())
    session = store.session(experiment, seed=seed, trials=trials) if store else nullcontext()
    with _workers(plan, jobs, backend, address) as (count, advance_all), session:
        while paused or pending:
            slices = advance_all(deal(paused, pending, count()))
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
                    Progress(
                        experiment=experiment.name,
                        trials_done=len(ended) + len(fresh),
                        trials=trials,
                        sequences=sum(trial.sequences for trial in all_trials),
                        steps=sum(trial.steps for trial in all_trials),
                        seconds=time.perf_counter() - began,
                    )
                )
    return sorted([*ended.values(), *fresh], key=lambda trial: trial.index)


def deal(paused: Sequence[Paused], pending: Sequence[int], jobs: int) -> list[Hand]:
    """Share trials out evenly among at most ``jobs`` workers.

    Those under way come first, and a worker gets no more trials to begin than another. When workers
    have left a cluster, there may be more trials under way than those that stayed have lanes for;
    then there are more hands than workers, and some must wait for their turn.

    >>> [waiting for _, waiting in deal([], range(5), jobs=2)]
    [[0, 2, 4], [1, 3]]
    """
    jobs = max(jobs, math.ceil(len(paused) / LANES))
    begun: list[list[Paused]] = [[] for _ in range(jobs)]
    waiting: list[list[int]] = [[] for _ in range(jobs)]
    for place, trial in enumerate(sorted(paused, key=lambda trial: trial.index)):
        begun[place % jobs].append(trial)
    for place, index in enumerate(pending, start=len(paused)):
        waiting[place % jobs].append(index)
    return [hand for hand in zip(begun, waiting, strict=True) if hand[0] or hand[1]]


@contextmanager
def _workers(
    plan: Plan, jobs: int | None, backend: str, address: str | None
) -> Iterator[tuple[Callable[[], int], Callable[[Iterable[Hand]], list[Slice]]]]:
    """How many workers there are now, and what lets each carry its hand on for a slice.

    Workers are kept warm from one slice to the next.
    """
    with cluster(backend, address, jobs=jobs) as found:
        if found is not None:
            yield (
                lambda: jobs or found.cores(),
                lambda hands: found.advance(plan, hands, SLICE_SECONDS),
            )
            return
    if jobs is None or jobs == 1:
        yield lambda: 1, lambda hands: [advance(plan, *hand, SLICE_SECONDS) for hand in hands]
        return
    # each worker is one core's worth: a threaded BLAS inside would only get in the way
    with (
        joblib.parallel_config("loky", inner_max_num_threads=1),
        joblib.Parallel(n_jobs=jobs, max_nbytes=None) as parallel,  # plain copies of arrays
    ):
        task = joblib.delayed(advance)

        def advance_all(hands: Iterable[Hand]) -> list[Slice]:
            return cast(list[Slice], parallel(task(plan, *hand, SLICE_SECONDS) for hand in hands))

        yield lambda: jobs, advance_all
