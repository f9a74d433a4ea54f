"""Progress of runs: one bar per experiment on a terminal, periodic lines anywhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from carrousel import words
from carrousel.contracts import Experiment

HEARTBEAT_SECONDS = 30.0
"""Time between two lines without a terminal."""
MOST_BY_SEQUENCES = 0.95
"""Maximum share of a bar that learned sequences can fill before trials end."""


_SETTING = re.compile(r"^[^ =]*\.(?=[^ =.]+=)")
"""A setting's path without its last part."""
_NARROW_BAR, _WIDE_BAR = 10, 18
_BESIDE_NARROW, _BESIDE_WIDE = 42, 64
"""Width of bar and figures next to the name, without and with the speed."""


class ProgressBars:
    """Progress bars of the experiments of one command.

    Args:
        console: the output.
        names: names of all experiments; long names leave less room for figures.

    >>> from carrousel.experiments.catalogue import EXPERIMENTS
    >>> console = Console(width=72, force_terminal=False)
    >>> with ProgressBars(console) as bars:
    ...     bars.begin(EXPERIMENTS["4-1"], trials=10, ended=0)
    ...     bars.update(trials_done=10, sequences=740_000, seconds=30.0)
    4-1: 10 of 10 trials ended after 30 s
    """

    def __init__(self, console: Console, names: Sequence[str] = ()) -> None:
        self._console = console
        self._shown = shown_names(names, console.width - _BESIDE_NARROW)
        longest = max((5, *map(len, self._shown.values())))
        wide = longest <= console.width - _BESIDE_WIDE
        speed = TextColumn("{task.fields[speed]}", justify="right", style="dim")
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_WIDE_BAR if wide else _NARROW_BAR),
            TextColumn("{task.fields[trials]}", justify="right"),
            *([speed] if wide else []),
            TextColumn("{task.fields[left]}", style="dim"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._expected = 0.0
        self._name, self._trials, self._ended_before, self._last_line = "", 0, 0, 0.0

    def __enter__(self) -> ProgressBars:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def begin(self, experiment: Experiment, *, trials: int, ended: int) -> None:
        """Start the bar of an experiment; ``ended`` trials had ended in an earlier command."""
        self._name, self._trials, self._ended_before = experiment.name, trials, ended
        self._expected = float(experiment.published.sequences or experiment.budget)
        self._last_line = 0.0
        self._task = self._bars.add_task(
            f"{self._shown.get(experiment.name, experiment.name):5}",
            total=trials,
            trials=_of(ended, trials),
            speed="",
            left="",
        )
        self._bars.update(self._task, completed=ended)
        for task in self._bars.task_ids[: 2 - max(self._console.height, 4)]:
            self._bars.update(task, visible=False)  # keep the running bar on the screen

    def update(self, *, trials_done: int, sequences: int, seconds: float) -> None:
        """Update the bar.

        Args:
            trials_done: number of trials that have ended.
            sequences: sequences learned since :meth:`begin`.
            seconds: time since :meth:`begin`.
        """
        over = trials_done >= self._trials
        share, left = self._share(trials_done, sequences), ""
        if over:
            left = words.duration(seconds)
        elif 0 < share < MOST_BY_SEQUENCES:
            left = f"{words.duration(seconds / share - seconds)} left"
        if self._task is not None:
            self._bars.update(
                self._task,
                completed=self._ended_before + share * (self._trials - self._ended_before),
                trials=_of(trials_done, self._trials),
                speed=f"{sequences / max(seconds, 1e-9):,.0f} seq/s",
                left=left,
            )
        if self._bars.disable and (over or seconds - self._last_line >= HEARTBEAT_SECONDS):
            self._last_line = seconds
            state = f"{trials_done} of {self._trials} trials ended after {words.duration(seconds)}"
            self._console.print(f"{self._name}: {state}{'' if over or not left else f', {left}'}")

    def _share(self, trials_done: int, sequences: int) -> float:
        """Estimated share of the work that is done.

        Trials run side by side and all end late, so their number is a poor estimate. The learned
        sequences over the paper's mean are a better one, but trials may need more. So they count
        up to :data:`MOST_BY_SEQUENCES`.
        """
        fresh = self._trials - self._ended_before
        if fresh <= 0:
            return 1.0
        by_trials = (trials_done - self._ended_before) / fresh
        by_sequences = sequences / (self._expected * fresh)
        return max(by_trials, min(by_sequences, MOST_BY_SEQUENCES))


def shown_names(names: Sequence[str], room: int) -> dict[str, str]:
    """Shorten names of experiments to a width: settings are named by the last part of their path.

    If a name is still too long, settings that all names share are omitted, and the rest is cut.

    >>> shown_names(["4-1 training.rate=0.25", "4-1"], 20)
    {'4-1 training.rate=0.25': '4-1 rate=0.25', '4-1': '4-1'}
    >>> names = ["4-1 budget=900000 training.rate=0.25", "4-1 budget=900000"]
    >>> list(shown_names(names, 20).values())
    ['4-1 rate=0.25', '4-1']
    """
    parts = {name: [_SETTING.sub("", word) for word in name.split(" ")] for name in names}
    if any(len(" ".join(each)) > room for each in parts.values()):
        common = set.intersection(*(set(each) for each in parts.values()))
        parts = {
            name: [word for word in each if "=" not in word or word not in common]
            for name, each in parts.items()
        }
    shown = {name: " ".join(each) for name, each in parts.items()}
    room = max(room, 6)
    return {n: each if len(each) <= room else f"{each[: room - 1]}…" for n, each in shown.items()}


def _of(ended: int, trials: int) -> str:
    return f"{ended:>{len(str(trials))}}/{trials} trials"
