"""Progress of runs: a bar for each experiment on a terminal, periodic lines anywhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from carrousel import words
from carrousel.contracts import Experiment

HEARTBEAT_SECONDS = 30.0
"""Time between two lines without a terminal."""
MOST_BY_SEQUENCES = 0.95
"""Maximum share of a bar that learned sequences can fill before trials end."""
LEAST_SHARE = 1e-3
"""Share of all work below which the time left is not estimated."""
_ALL = "all"
"""Label of the bar of all experiments."""

_SETTING = re.compile(r"^[^ =]*\.(?=[^ =.]+=)")
"""A setting's path without its last part."""
_NARROW_BAR, _WIDE_BAR = 10, 18
_BESIDE_NARROW, _BESIDE_WIDE = 42, 64
"""Width of bar and figures next to the name, without and with the speed."""


class ProgressBars:
    """Progress bars of the experiments of one command, many of which may run at once.

    On a terminal, the experiments that run have a bar each, and all together have one. Elsewhere, a
    line is written for each experiment that is complete, and one every 30 seconds.

    Args:
        console: the output.
        names: names of all experiments; long names leave less room for figures.

    >>> from carrousel.experiments.catalogue import EXPERIMENTS
    >>> console = Console(width=72, force_terminal=False)
    >>> with ProgressBars(console) as bars:
    ...     bars.add(EXPERIMENTS["4-1"], trials=10, ended=0)
    ...     bars.update("4-1", trials_done=10, running=0, sequences=740_000, seconds=30.0)
    ...     bars.show(seconds=30.0, lanes_busy=0.62)
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
        self._rows: dict[str, _Row] = {}
        self._tasks: dict[str, TaskID] = {}
        self._last_line = 0.0

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

    def add(self, experiment: Experiment, *, trials: int, ended: int) -> None:
        """Add an experiment; ``ended`` of its trials had ended in an earlier command."""
        self._rows[experiment.name] = _Row(experiment, trials, ended)

    def update(
        self, name: str, *, trials_done: int, running: int, sequences: int, seconds: float
    ) -> None:
        """Update the figures of an experiment.

        Args:
            name: its name.
            trials_done: number of trials that have ended.
            running: number of trials that have begun, but not ended.
            sequences: sequences learned in this command.
            seconds: time since its first trial began in this command.
        """
        row = self._rows[name]
        row.done, row.running, row.sequences, row.seconds = trials_done, running, sequences, seconds

    def show(self, *, seconds: float, lanes_busy: float | None) -> None:
        """Draw all bars that have changed, or write lines.

        Args:
            seconds: time since the start of the command.
            lanes_busy: share of the lanes of vectors that learn.
        """
        if self._bars.disable:
            self._write(seconds)
            return
        for name, row in self._rows.items():
            if row.begun and not (row.over and row.reported):
                row.reported = row.over
                self._draw(name, row)
        if len(self._rows) > 1:
            self._draw_all(seconds, lanes_busy)
        self._keep_running_visible()

    def _draw(self, name: str, row: _Row) -> None:
        if name not in self._tasks:
            label = f"{self._shown.get(name, name):5}"
            self._tasks[name] = self._bars.add_task(
                label, total=row.trials, trials="", speed="", left=""
            )
        left = words.duration(row.seconds) if row.over else row.left
        self._bars.update(
            self._tasks[name],
            completed=row.ended_before + row.share * (row.trials - row.ended_before),
            trials=_of(row.done, row.trials),
            speed=f"{row.sequences / max(row.seconds, 1e-9):,.0f} seq/s",
            left=left,
        )

    def _draw_all(self, seconds: float, lanes_busy: float | None) -> None:
        """Draw the bar of all experiments; it is the last one."""
        if _ALL in self._tasks and self._tasks[_ALL] != self._bars.task_ids[-1]:
            self._bars.remove_task(self._tasks.pop(_ALL))
        if _ALL not in self._tasks:
            self._tasks[_ALL] = self._bars.add_task(
                f"{_ALL:5}", total=1.0, trials="", speed="", left=""
            )
        rows = self._rows.values()
        done, trials = sum(row.done for row in rows), sum(row.trials for row in rows)
        busy = "" if lanes_busy is None else f"lanes {words.percent(round(100 * lanes_busy))} busy"
        left = words.duration(seconds) if done == trials else self._left(seconds)
        self._bars.update(
            self._tasks[_ALL], completed=self._share, trials=_of(done, trials), speed=busy,
            left=left,
        )  # fmt: skip

    def _keep_running_visible(self) -> None:
        """Show the bars that fit on the screen: experiments that run, then the latest others."""
        room = max(self._console.height, 4) - 2
        by_use = sorted(
            (name for name in self._tasks if name != _ALL),
            key=lambda name: (self._rows[name].running > 0, self._tasks[name]),
        )
        hidden = set(by_use[: max(0, len(self._tasks) - room)])
        for name, task in self._tasks.items():
            self._bars.update(task, visible=name not in hidden)

    def _write(self, seconds: float) -> None:
        rows = self._rows.items()
        for name, row in rows:
            if row.over and row.begun and not row.reported:
                row.reported = True
                self._console.print(f"{name}: {row.state}")
        running = [(name, row) for name, row in rows if row.begun and not row.over]
        if running and seconds - self._last_line >= HEARTBEAT_SECONDS:
            self._last_line = seconds
            if len(self._rows) == 1:
                [(name, row)] = running
                self._console.print(f"{name}: {row.state}{row.left and f', {row.left}'}")
                return
            done = sum(row.done for row in self._rows.values())
            trials = words.count(sum(row.trials for row in self._rows.values()), "trial")
            left = self._left(seconds)
            listed = ", ".join(f"{name} ({row.done} of {row.trials})" for name, row in running)
            self._console.print(
                f"{done} of {trials} ended after {words.duration(seconds)}"
                f"{left and f', {left}'}; running: {listed}"
            )

    @property
    def _share(self) -> float:
        """Estimated share of the work of all experiments that is done in this command."""
        work = sum(row.work for row in self._rows.values())
        return sum(row.share * row.work for row in self._rows.values()) / work if work else 1.0

    def _left(self, seconds: float) -> str:
        share = self._share
        return f"{words.duration(seconds / share - seconds)} left" if share > LEAST_SHARE else ""


@dataclass
class _Row:
    """Figures of one experiment."""

    experiment: Experiment
    trials: int
    ended_before: int
    done: int = 0
    running: int = 0
    sequences: int = 0
    seconds: float = 0.0
    reported: bool = False

    def __post_init__(self) -> None:
        self.done = self.ended_before

    @property
    def begun(self) -> bool:
        """Whether trials have begun in this command."""
        return self.running > 0 or self.sequences > 0 or self.done > self.ended_before

    @property
    def over(self) -> bool:
        """Whether all trials have ended."""
        return self.done >= self.trials

    @property
    def expected(self) -> float:
        """Expected sequences of a trial."""
        return float(self.experiment.published.sequences or self.experiment.budget)

    @property
    def work(self) -> float:
        """Expected work of the trials of this command, in steps times weights."""
        fresh = max(self.trials - self.ended_before, 0)
        per_sequence = self.experiment.task.mean_length * self.experiment.network.n_weights
        return fresh * self.expected * per_sequence

    @property
    def share(self) -> float:
        """Estimated share of the work that is done.

        Trials run side by side and all end late, so their number is a poor estimate. The learned
        sequences over the paper's mean are a better one, but trials may need more. So they count
        up to :data:`MOST_BY_SEQUENCES`.
        """
        fresh = self.trials - self.ended_before
        if fresh <= 0:
            return 1.0
        by_trials = (self.done - self.ended_before) / fresh
        by_sequences = self.sequences / (self.expected * fresh)
        return max(by_trials, min(by_sequences, MOST_BY_SEQUENCES))

    @property
    def left(self) -> str:
        """The time left as text, if it can be estimated."""
        share = self.share
        if not 0 < share < MOST_BY_SEQUENCES:
            return ""
        return f"{words.duration(self.seconds / share - self.seconds)} left"

    @property
    def state(self) -> str:
        """Number of ended trials, and the time, as text."""
        return f"{self.done} of {self.trials} trials ended after {words.duration(self.seconds)}"


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
