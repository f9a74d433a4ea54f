"""Clusters of local processes, and learners that are slow or kill their process.

They are in a separate module so that workers can import them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from carrousel.contracts import Errors
from carrousel.sequences import Sequences
from support.experiments.scripted import ScriptedLearner
from support.paths import TESTS

LOCAL = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")

DEADLINE = 20.0
"""Seconds to wait for an event before a test fails."""


class SleepyLearner(ScriptedLearner):
    """A scripted learner that waits before each chunk."""

    seconds = 0.03

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        time.sleep(self.seconds)
        return super().learn(data)


class WorkerKiller(ScriptedLearner):
    """A learner that kills its process."""

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for a condition, and raise if it does not become true."""
    deadline = time.monotonic() + DEADLINE
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {DEADLINE:.0f} s until {what}")
        time.sleep(0.02)


def quiet_environment() -> dict[str, str]:
    """Environment of a worker: one thread, and the tests' folder on the path."""
    here = str(TESTS)
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**os.environ, **threads, "PYTHONPATH": path}


@dataclass
class DaskProcesses:
    """A scheduler and its workers as separate processes."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, tool: str, *words: str) -> subprocess.Popen[bytes]:
        """Start ``dask scheduler`` or ``dask worker``."""
        log = (self.folder / f"{len(self.running)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{tool}", *LOCAL, *words],
                env=quiet_environment(),
                stdout=log,
                stderr=log,
            )
        self.running.append(process)
        return process

    @property
    def file(self) -> Path:
        """The file to which the scheduler writes its address."""
        return self.folder / "scheduler.json"

    @property
    def address(self) -> str:
        """The address of the scheduler."""
        return json.loads(self.file.read_text("utf-8"))["address"]

    def has_address(self) -> bool:
        """Whether the scheduler has written its address."""
        return self.file.exists() and self.file.read_text("utf-8").rstrip().endswith("}")

    def add_worker(self, name: str) -> None:
        """Start a worker with one thread, without a nanny that would restart it."""
        scratch = ["--local-directory", str(self.folder)]
        self.workers[name] = self.start(
            *("worker", "--scheduler-file", str(self.file), "--name", name),
            *("--nthreads", "1", "--no-nanny", *scratch),
        )

    def stop(self) -> None:
        """Kill all processes."""
        for process in reversed(self.running):
            process.kill()
        for process in self.running:
            process.wait()


@contextmanager
def dask_processes(folder: Path, n_workers: int = 2) -> Iterator[DaskProcesses]:
    """A Dask cluster of processes; its workers ``w0``, ``w1``, ... may still be starting."""
    cluster = DaskProcesses(folder)
    try:
        cluster.start("scheduler", "--port", "0", "--scheduler-file", str(cluster.file))
        for number in range(n_workers):
            cluster.add_worker(f"w{number}")
        until(cluster.has_address, "the scheduler has written its file")
        yield cluster
    finally:
        cluster.stop()
