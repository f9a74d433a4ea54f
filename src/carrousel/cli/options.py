"""Options that several commands share, and the settings of a run that they make up."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from carrousel.checks import check_int

SEED = 1997
BACKEND = "loky"
MOST_JOBS = 1024
DEFAULT_FOLDER = Path("runs")

Jobs = Annotated[
    int | None,
    typer.Option(
        help="Number of workers; default: one for each usable core, or for each core of a cluster.",
        metavar="N",
    ),
]
Backend = Annotated[
    str, typer.Option(help="Where workers run: loky (this machine), dask or ray.", metavar="NAME")
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Address of the cluster, with --backend dask or ray, e.g. tcp://host:8786; default: "
        "the configured cluster, else one that is started on this machine.",
        metavar="ADDR",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        help="Number of trials of each experiment; default: as many as in the paper.", metavar="N"
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the run.", metavar="S")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")]
Rivals = Annotated[
    bool,
    typer.Option(
        "--rivals", help="Include the rival rows of the named groups; without names, of all groups."
    ),
]
Recipe = Annotated[
    str,
    typer.Option(
        help="Settings of the rows: paper, printed (without departures), principle (two changes "
        "for all rows), robust (nearly every trial succeeds; the page of a row shows the count), "
        "modern (full gradient, Adam), or a candidate reading (carrousel list --recipes).",
        metavar="NAME",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help=f"Folder that stores trials; default: {DEFAULT_FOLDER}. Stored trials are not run "
        "again.",
        metavar="DIR",
    ),
]
KeepWeights = Annotated[
    bool,
    typer.Option(
        "--keep-weights",
        help="Store the weights of each trial too, for carrousel inspect; results stay the same.",
    ),
]


@dataclass(frozen=True)
class RunOptions:
    """How trials are run and stored.

    Args:
        trials: number of trials of each experiment; None: as many as in the paper.
        seed: seed of the run.
        jobs: number of workers; None: one for each core.
        backend: where workers run.
        address: address of the cluster.
        out: folder of the store; None: :data:`DEFAULT_FOLDER`.
        keep_weights: whether the weights of trials are stored too.

    Raises:
        SettingError: a number is out of range.
    """

    trials: int | None = None
    seed: int = SEED
    jobs: int | None = None
    backend: str = BACKEND
    address: str | None = None
    out: Path | None = None
    keep_weights: bool = False

    def __post_init__(self) -> None:
        check_int("seed", self.seed, minimum=0)
        for name, most in (("trials", 2**63 - 1), ("jobs", MOST_JOBS)):
            if getattr(self, name) is not None:
                check_int(name, getattr(self, name), minimum=1, maximum=most)

    @property
    def words(self) -> list[str]:
        """The options as words of a command, without those at their defaults.

        >>> RunOptions(trials=20, out=Path("runs")).words
        ['--trials', '20', '--out', 'runs']
        """
        given = {
            "--trials": self.trials,
            "--seed": None if self.seed == SEED else self.seed,
            "--jobs": self.jobs,
            "--backend": None if self.backend == BACKEND else self.backend,
            "--address": self.address,
            "--out": self.out,
        }
        words = [
            word
            for name, value in given.items()
            if value is not None
            for word in (name, str(value))
        ]
        return [*words, *(["--keep-weights"] if self.keep_weights else [])]

    @property
    def workers(self) -> int | None:
        """Number of workers: as given, or one for each core; None: as many as a cluster has."""
        if self.jobs is None and self.backend == BACKEND:
            return usable_cores()
        return self.jobs

    @property
    def folder(self) -> Path:
        """The folder of the store."""
        return self.out or DEFAULT_FOLDER


def usable_cores() -> int:
    """Number of cores that this process may use, by its affinity and the quota of its cgroup."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no control groups, or no quota ("max")
        pass
    return cores
