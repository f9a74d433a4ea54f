"""What a call of ``reproduce`` asks for, in full and as the command that asks for it again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from carrousel.checks import check_choice, check_int
from carrousel.errors import SettingError

if TYPE_CHECKING:
    from carrousel.contracts import Experiment

SEED = 1997
BACKEND = "loky"
PAPER = "paper"


@dataclass(frozen=True)
class Order:
    """What a call of ``reproduce`` asks for; ``trials`` and ``jobs`` as given, for repeating it."""

    names: tuple[str, ...]
    everything: bool
    rivals: bool
    trials: int | None
    seed: int
    jobs: int | None
    backend: str
    out: Path | None
    as_json: bool
    address: str | None = None
    recipe: str = PAPER

    @property
    def command(self) -> str:
        """The command that asks for the same."""
        words = ["carrousel", "reproduce", *self.names]
        words += ["--all"] if self.everything else []
        words += ["--rivals"] if self.rivals else []
        words += ["--recipe", self.recipe] if self.recipe != PAPER else []
        words += repeated(self.trials, self.seed, self.jobs, self.backend, self.address, self.out)
        return shlex.join([*words, *(["--json"] if self.as_json else [])])

    def plan(self) -> list[tuple[Experiment, int]]:
        """Experiments and how many trials of each."""
        from carrousel.experiments import TOUR
        from carrousel.experiments.catalogue import EXPERIMENTS
        from carrousel.experiments.recipes.catalogue import by_recipe, rows_of

        if self.everything and (self.names or self.rivals):
            other = "names" if self.names else "--rivals"
            raise SettingError(f"{other} and --all contradict each other; give one of the two")
        if self.trials is not None:
            check_int("--trials", self.trials, minimum=1)
        if self.is_tour:
            rows = [(by_recipe(EXPERIMENTS[name], self.recipe), number) for name, number in TOUR]
        elif self.everything:
            rows = [(row, None) for row in rows_of(self.recipe)]
        else:
            asked = chosen(self.names, rivals=self.rivals, recipe=self.recipe)
            rows = [(row, None) for row in asked]
        return [(row, self.trials or number or row.published.trials) for row, number in rows]

    @property
    def is_tour(self) -> bool:
        """Whether nothing in particular was asked for."""
        return not (self.names or self.everything or self.rivals)


def repeated(
    trials: int | None,
    seed: int,
    jobs: int | None,
    backend: str,
    address: str | None,
    out: Path | None,
) -> list[str]:
    """The options that say how many trials run, who runs them and where they are kept.

    Those at their defaults are left out.

    >>> repeated(20, SEED, None, BACKEND, None, Path("runs"))
    ['--trials', '20', '--out', 'runs']
    """
    given = {
        "--trials": trials,
        "--seed": None if seed == SEED else seed,
        "--jobs": jobs,
        "--backend": None if backend == BACKEND else backend,
        "--address": address,
        "--out": out,
    }
    return [
        word for name, value in given.items() if value is not None for word in (name, str(value))
    ]


def chosen(names: Sequence[str], *, rivals: bool = False, recipe: str = PAPER) -> list[Experiment]:
    """Experiments by their names or by the names of their groups, each once.

    A group (``1``, ``2c``, ``guess``) stands for its LSTM rows, or for all its rows if it has none.
    With ``rivals``, the rival rows of each group that was named are added; those of all groups if
    none was. Rows come as a recipe has them.
    """
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.recipes.catalogue import by_recipe

    found = dict.fromkeys(row for name in names for row in _rows(name))
    if rivals:
        wanted = {_group(name) for name in names}
        found |= dict.fromkeys(
            name for name in EXPERIMENTS if "/" in name and (_group(name) in wanted or not names)
        )
    return [by_recipe(EXPERIMENTS[name], recipe) for name in found]


def _rows(name: str) -> list[str]:
    from carrousel.experiments import EXPERIMENTS

    if name not in EXPERIMENTS:
        group = [each for each in EXPERIMENTS if _group(each) == name]
        if group:
            return [each for each in group if "/" not in each] or group
    return [check_choice("experiment", name, EXPERIMENTS)]


def _group(name: str) -> str:
    """The experiment of the paper that a row belongs to: ``2c`` of ``2c-1``, ``1`` of ``1/elman``.

    >>> _group("2c-1"), _group("2a/rtrl-p4-a1"), _group("guess")
    ('2c', '2a', 'guess')
    """
    return name.partition("/")[0].partition("-")[0]


def workers(jobs: int | None, backend: str) -> int | None:
    """Workers to run: as asked, or one for each core here; a cluster knows its own number."""
    if jobs is not None:
        return check_int("--jobs", jobs, minimum=1)
    return usable_cores() if backend == BACKEND else None


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
