"""Trials on a Ray cluster equal those of this machine, even if a worker is killed.

Ray needs about 250 MB and starts slowly, so it is not part of the extra ``test``. Without Ray, this
file is skipped. ``docs/cluster.md`` says how to run it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from carrousel.cli import main
from carrousel.contracts import Trial
from carrousel.errors import ClusterError, ClusterFailedError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.run import clusters, runner
from carrousel.experiments.run.clusters import cluster
from carrousel.experiments.run.lanes import Share
from carrousel.experiments.run.runner import RowProgress, run
from carrousel.experiments.run.trial import TrialPlan
from carrousel.experiments.store.store import Store
from support.experiments.cluster_parts import SleepyLearner, WorkerKiller, quiet_environment, until
from support.experiments.scripted import ScriptedLearner, experiment

os.environ["RAY_AUTH_MODE"] = "token"  # read when Ray is imported
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray", reason="needs the extra 'ray'")

# Ray does not close all sockets and pipes
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of one node with two cores, which this process connects to once.

    Ray listens on all interfaces, so it requires a token.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = ray.util.get_node_ip_address()  # Ray does not accept the loopback address
    tool = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    head = subprocess.Popen(  # stops its own processes when it ends
        [*tool, "--include-dashboard=false", f"--port={port}", "--num-cpus=2"],
        env=quiet_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: responds(host, port), "Ray has started")
        with cluster("ray", f"{host}:{port}"):
            yield f"{host}:{port}"
    finally:
        head.terminate()
        head.wait()


def responds(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port)).close()
    except OSError:
        return False
    return True


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "SLICE_SECONDS", 0.1)
    monkeypatch.setattr(runner, "TrialPlan", partial(TrialPlan, batch_steps=2**9))
    monkeypatch.setattr(runner, "learner_named", lambda name: ScriptedLearner)


def timeless(trials: list[Trial]) -> list[Trial]:
    return [dataclasses.replace(trial, seconds=0.0) for trial in trials]


def test_trials_are_the_same(address: str):
    expected = run(experiment(), trials=20, seed=5)
    for backend_address, jobs in [(address, None), (address, 3), (None, None)]:
        found = run(
            experiment(), trials=20, seed=5, backend="ray", address=backend_address, jobs=jobs
        )
        assert timeless(found) == timeless(expected)


def test_a_killed_worker_does_not_change_trials(address: str, monkeypatch: pytest.MonkeyPatch):
    expected = run(experiment(), trials=40, seed=5)
    monkeypatch.setattr(runner, "learner_named", lambda name: SleepyLearner)
    killed: list[int] = []
    thread = threading.Thread(target=lambda: killed.append(kill_busy_worker()))
    ended = list[int]()

    def after_a_slice(progress: RowProgress) -> None:
        ended.append(progress.trials_done)
        if progress.trials_done and thread.ident is None:
            thread.start()

    trials = run(
        *(experiment(),),
        **{"trials": 40, "seed": 5, "backend": "ray", "address": address},
        on_progress=after_a_slice,
    )
    thread.join()
    assert timeless(trials) == timeless(expected)
    assert len(killed) == 1
    until(lambda: not Path(f"/proc/{killed[0]}").exists(), "the worker is dead")
    monkeypatch.setattr(clusters, "RETRIES", 0)
    monkeypatch.setattr(runner, "learner_named", lambda name: WorkerKiller)
    with cluster("ray", address) as found:
        assert found is not None
        without_retries = clusters._Ray(ray)
        plan = TrialPlan(experiment(), WorkerKiller, 1)
        with pytest.raises(ClusterFailedError, match="several workers died with the same trials"):
            without_retries.advance([Share({0: plan}, pending=[(0, 0)])], 1.0)


def kill_busy_worker() -> int:
    """Kill a process that is running a slice; return its id."""
    found: list[int] = []

    def look() -> list[int]:
        for status in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if status.read_bytes().startswith(b"ray::_work"):
                    found.append(int(status.parent.name))
            except OSError:  # the process has ended
                continue
        return found

    until(look, "a worker has a slice")
    os.kill(found[0], signal.SIGKILL)
    return found[0]


def test_the_command_line(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    words = ["carrousel", "reproduce", "6a", "--trials", "2", "--seed", "3", "--out", "o"]
    words += ["--backend", "ray", "--address", address, "--json"]
    monkeypatch.setattr(sys, "argv", words)
    thread = threading.Thread(target=kill_busy_worker)  # Ray prints a long warning
    thread.start()
    with pytest.raises(SystemExit) as end:
        main()
    thread.join()
    assert not end.value.code
    assert json.loads(capsys.readouterr().out)[0]["trials"] == 2
    with Store(tmp_path / "o", read_only=True) as store:
        kept = store.trials("6a")
    assert timeless(kept) == timeless(run(EXPERIMENTS["6a"], trials=2, seed=3))


def test_an_address_without_a_cluster():
    for nowhere in ("nonsense", "127.0.0.1:1", "ray://127.0.0.1:1", ""):
        with pytest.raises(ClusterError, match=f"no Ray cluster responds at '{nowhere}'"):
            run(experiment(), trials=1, backend="ray", address=nowhere)
