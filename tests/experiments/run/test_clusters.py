"""Trials on a Dask cluster equal those of this machine, even if workers are killed."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import socket
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from carrousel.cli import main
from carrousel.contracts import Trial
from carrousel.errors import ClusterError, ClusterFailedError, SettingError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.run import clusters, runner
from carrousel.experiments.run.clusters import cluster
from carrousel.experiments.run.lanes import Share
from carrousel.experiments.run.queue import Queue
from carrousel.experiments.run.runner import RowProgress, run
from carrousel.experiments.run.trial import TrialPlan
from carrousel.experiments.stopping import RecentTraining
from carrousel.experiments.store.store import Store
from carrousel.learners import learner_named
from support.case import each
from support.experiments.cluster_parts import (
    DaskProcesses,
    SleepyLearner,
    WorkerKiller,
    dask_processes,
    until,
)
from support.experiments.scripted import ScriptedLearner, experiment

distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    with dask_processes(tmp_path_factory.mktemp("dask")) as processes:
        yield processes


@pytest.fixture
def own_dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaskProcesses]:
    """A cluster whose processes a test may kill; a slice fails after one worker died."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "1")
    with dask_processes(tmp_path) as processes:
        yield processes


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SLICE_SECONDS", 0.1)
    monkeypatch.setattr(runner, "TrialPlan", partial(TrialPlan, batch_steps=2**9))
    monkeypatch.setattr(runner, "learner_named", lambda name: ScriptedLearner)


def timeless(trials: list[Trial]) -> list[Trial]:
    return [dataclasses.replace(trial, seconds=0.0) for trial in trials]


class Disturbance:
    """Calls ``action`` once, during a slice of a worker, after some trials have ended."""

    def __init__(self, address: str, worker: str, action) -> None:
        self.address, self.worker, self.action = address, worker, action
        self.thread: threading.Thread | None = None
        self.failure: BaseException | None = None
        self.progress = list[RowProgress]()
        self.ended_before = -1

    def __call__(self, progress: RowProgress) -> None:
        """Note the progress after a slice, and start the action if it is due."""
        self.progress.append(progress)
        if self.thread is None and progress.trials_done:
            self.ended_before = progress.trials_done
            self.thread = threading.Thread(target=self._act)
            self.thread.start()

    def _act(self) -> None:
        try:
            with distributed.Client(self.address, set_as_default=False) as client:
                names = {
                    each["name"]: address
                    for address, each in client.scheduler_info(n_workers=-1)["workers"].items()
                }
                busy = names[self.worker]
                until(lambda: client.processing([busy])[busy], f"{self.worker} has a slice")
                self.action()
        except BaseException as error:
            self.failure = error


# --- the same trials ------------------------------------------------------------------------------


@each("jobs", [None, 3])
def test_trials_are_the_same(dask: DaskProcesses, jobs: int | None):
    expected = run(experiment(), trials=20, seed=5)
    found = run(experiment(), trials=20, seed=5, backend="dask", address=dask.address, jobs=jobs)
    assert timeless(found) == timeless(expected)


@pytest.mark.native
def test_native_trials_are_the_same_to_the_last_bit(
    dask: DaskProcesses, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runner, "learner_named", learner_named)
    easier = RecentTraining(window=100, wrong_at_most=100)
    row = dataclasses.replace(EXPERIMENTS["4-1"], stop=easier, budget=400, test_size=100)
    expected = run(row, trials=20, seed=5)
    found = run(row, trials=20, seed=5, backend="dask", address=dask.address)
    assert timeless(found) == timeless(expected)
    assert {trial.ending for trial in found} == {"solved"}


def test_there_is_one_share_for_each_core(dask: DaskProcesses, monkeypatch: pytest.MonkeyPatch):
    counts, shares = [], Queue.shares
    monkeypatch.setattr(
        Queue, "shares", lambda self, count: counts.append(count) or shares(self, count)
    )
    with cluster("dask", dask.address) as found:
        assert found is not None
        until(lambda: found.cores() == 2, "both workers are there")
        run(experiment(), trials=3, backend="dask", address=dask.address)
        assert set(counts) == {2}
        counts.clear()
        run(experiment(), trials=3, backend="dask", address=dask.address, jobs=5)
        assert set(counts) == {5}


def test_nested_calls_share_one_connection(dask: DaskProcesses):
    with cluster("dask", dask.address) as outer:
        with cluster("dask", dask.address) as inner:
            assert inner is outer
        assert outer is not None
        assert outer.cores() >= 1  # still open
        with cluster("loky") as none:
            assert none is None
    with cluster("dask", dask.address) as later:
        assert later is not outer


def test_the_command_line(dask: DaskProcesses, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    words = ["carrousel", "reproduce", "6a", "--trials", "2", "--seed", "3", "--json"]
    monkeypatch.setattr(
        sys, "argv", [*words, "--backend", "dask", "--address", dask.address, "--out", "o"]
    )
    main_returns(0)
    out = capsys.readouterr().out
    with Store(tmp_path / "o", read_only=True) as store:
        kept = store.trials("6a")
    assert timeless(kept) == timeless(run(EXPERIMENTS["6a"], trials=2, seed=3))
    assert json.loads(out)[0]["trials"] == 2


def main_returns(code: int) -> None:
    """Call the command line and check its exit code."""
    try:
        main()
        found = 0
    except SystemExit as end:
        found = end.code or 0
    assert found == code


# --- workers and schedulers that are killed -------------------------------------------------------


def test_killed_workers_do_not_change_trials(own_dask: DaskProcesses, monkeypatch):
    expected = run(experiment(), trials=40, seed=5)
    monkeypatch.setattr(runner, "learner_named", lambda name: SleepyLearner)
    address = own_dask.address
    with cluster("dask", address) as found:
        assert found is not None
        until(lambda: found.cores() == 2, "both workers are there")
        kill = Disturbance(address, "w0", own_dask.workers["w0"].kill)
        trials = run(
            experiment(), trials=40, seed=5, backend="dask", address=address, on_progress=kill
        )
        assert_it_happened(kill)
        assert timeless(trials) == timeless(expected)
        assert found.cores() == 1
        own_dask.add_worker("w2")  # a new worker gets a share
        until(lambda: found.cores() == 2, "the new worker is there")
        monkeypatch.setattr(runner, "learner_named", lambda name: WorkerKiller)
        with pytest.raises(ClusterFailedError, match="several workers died with the same trials"):
            run(experiment(), trials=1, seed=5, backend="dask", address=address)


def assert_it_happened(disturbance: Disturbance) -> None:
    assert disturbance.thread is not None
    disturbance.thread.join()
    assert disturbance.failure is None
    ended = [progress.trials_done for progress in disturbance.progress]
    assert 0 < disturbance.ended_before < ended[-1] == 40


def test_a_killed_scheduler_stops_the_run_and_the_same_command_resumes(
    own_dask: DaskProcesses, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "learner_named", lambda name: SleepyLearner)
    row = experiment(name="6a")
    monkeypatch.setitem(EXPERIMENTS, "6a", row)
    words = f"carrousel reproduce 6a --trials 40 --backend dask --address {own_dask.address}"
    real, kill = runner.run_rows, Disturbance(own_dask.address, "w0", own_dask.running[0].kill)

    def watched(*args, on_progress, **how):
        def both(now):
            on_progress(now)
            kill(now.rows[0])

        return real(*args, on_progress=both, **how)

    monkeypatch.setattr(runner, "run_rows", watched)
    monkeypatch.setattr(sys, "argv", words.split())
    main_returns(1)
    err = capsys.readouterr().err
    assert kill.failure is None
    assert "Stopped in 6a: the Dask scheduler is gone." in err
    assert "Traceback" not in err
    (command,) = re.findall(r"^ +(carrousel reproduce .*)$", err, re.MULTILINE)
    assert command == words
    with Store("runs", read_only=True) as store:
        kept = store.trials("6a")
    assert 0 < len(kept) < 40
    monkeypatch.setattr(runner, "run_rows", real)
    here = shlex.split(command)[: -len(["--backend", "dask", "--address", "ADDR"])]
    monkeypatch.setattr(sys, "argv", here)
    main_returns(0)
    with Store("runs", read_only=True) as store:
        whole = store.trials("6a")
    monkeypatch.setattr(runner, "learner_named", lambda name: ScriptedLearner)
    assert timeless(whole) == timeless(run(row, trials=40))
    assert {trial.index: trial for trial in whole}.items() >= {t.index: t for t in kept}.items()


# --- clusters that cannot be used -----------------------------------------------------------------


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(clusters, "WORKER_TIMEOUT", 0.5)


@pytest.mark.usefixtures("short_timeouts")
@each("address", ["nonsense", "tcp://127.0.0.1:1", "http://127.0.0.1:1", ""])
def test_an_address_without_a_scheduler(address: str, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["carrousel", "reproduce", "6a", "--backend", "dask", "--address", address]
    monkeypatch.setattr(sys, "argv", words)
    began = time.monotonic()
    main_returns(2)
    assert time.monotonic() - began < 15.0
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith(f"no Dask scheduler responds at {address!r}; check the address")
    assert found.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []  # no trial began


@pytest.mark.usefixtures("short_timeouts")
def test_an_address_of_another_server(dask: DaskProcesses):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match="no Dask scheduler responds"):
            run(experiment(), trials=1, backend="dask", address=address)
    with distributed.Client(dask.address, set_as_default=False) as client:
        [worker, *_] = client.scheduler_info(n_workers=-1)["workers"]
    with pytest.raises(ClusterError, match="no Dask scheduler responds"):
        run(experiment(), trials=1, backend="dask", address=worker)


@pytest.mark.usefixtures("short_timeouts")
def test_a_scheduler_without_workers(tmp_path: Path):
    message = "has no workers; start some with 'dask worker tcp://"
    with dask_processes(tmp_path, n_workers=0) as alone, pytest.raises(ClusterError, match=message):
        run(experiment(), trials=1, backend="dask", address=alone.address)


def test_workers_of_another_version_are_refused(dask: DaskProcesses, monkeypatch):
    clusters._version.cache_clear()
    monkeypatch.setattr(clusters, "version", lambda name: "99.0")
    try:
        with pytest.raises(ClusterError, match=r"has carrousel \d.*, but this is 99\.0"):
            run(experiment(), trials=1, backend="dask", address=dask.address)
        plan = TrialPlan(experiment(), ScriptedLearner, 1)
        with pytest.raises(ClusterFailedError, match="but this is 98"):
            clusters._work(
                "98", Share({0: plan}, pending=[(0, 0)]), 1.0
            )  # on a worker that joined later
    finally:
        monkeypatch.undo()
        clusters._version.cache_clear()


def test_workers_that_lack_a_package_are_named(dask: DaskProcesses, tmp_path, monkeypatch):
    source = "from support.experiments.scripted import ScriptedLearner\n"
    source += "class Learner(ScriptedLearner): pass\n"
    (tmp_path / "only_here.py").write_text(source, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(runner, "learner_named", lambda name: only_here.Learner)
    with pytest.raises(ClusterFailedError, match="cannot import only_here; install"):
        run(experiment(), trials=1, backend="dask", address=dask.address)


def test_an_address_needs_a_cluster():
    with pytest.raises(SettingError, match=r"address .* set backend to 'dask' or 'ray'"):
        run(experiment(), trials=1, address="tcp://127.0.0.1:8786")
