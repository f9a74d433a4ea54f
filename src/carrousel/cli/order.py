"""What a call of ``reproduce`` asks for, in full and as the command that asks for it again."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carrousel.shapes import SettingError, check_choice, check_int

if TYPE_CHECKING:
    from carrousel.contracts import Experiment

SEED = 1997
BACKEND = "loky"


@dataclass(frozen=True)
class Order:
    """What a call of ``reproduce`` asks for; ``trials`` and ``jobs`` as given, for repeating it."""

    names: tuple[str, ...]
    everything: bool
    trials: int | None
    seed: int
    jobs: int | None
    backend: str
    out: Path | None
    as_json: bool

    @property
    def command(self) -> str:
        """The command that asks for the same."""
        words = ["carrousel", "reproduce", *self.names]
        words += ["--all"] if self.everything else []
        words += ["--trials", str(self.trials)] if self.trials is not None else []
        words += ["--seed", str(self.seed)] if self.seed != SEED else []
        words += ["--jobs", str(self.jobs)] if self.jobs is not None else []
        words += ["--backend", self.backend] if self.backend != BACKEND else []
        words += ["--out", str(self.out)] if self.out is not None else []
        return shlex.join([*words, *(["--json"] if self.as_json else [])])

    def plan(self) -> list[tuple[Experiment, int]]:
        """Experiments and how many trials of each."""
        from carrousel.experiments import EXPERIMENTS, TOUR

        if self.names and self.everything:
            raise SettingError("names and --all contradict each other; give one of the two")
        if self.trials is not None:
            check_int("--trials", self.trials, minimum=1)
        names = list(EXPERIMENTS) if self.everything else list(dict.fromkeys(self.names))
        rows = [(experiment_named(name), None) for name in names]
        if not names:
            rows = [(experiment_named(name), number) for name, number in TOUR]
        return [(row, self.trials or number or row.published.trials) for row, number in rows]


def experiment_named(name: str) -> Experiment:
    from carrousel.experiments import EXPERIMENTS

    return EXPERIMENTS[check_choice("experiment", name, EXPERIMENTS)]


def usable_cores() -> int:
    """Cores this process may use: its affinity, and the quota of its control group if any."""
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
