"""One progress bar per experiment on a terminal, a line now and then anywhere else."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from carrousel.contracts import Experiment
from carrousel.experiments import report_words as words

HEARTBEAT_SECONDS = 30.0
"""Time between two lines where there is no terminal."""
MOST_BY_SEQUENCES = 0.95
"""How full a bar gets while no trial ends; from there on nobody knows how long it takes."""


class ProgressBars:
    """Shows how far the experiments of one call are.

    >>> from carrousel.experiments.tour import EXPERIMENTS
    >>> console = Console(width=72, force_terminal=False)
    >>> with ProgressBars(console) as bars:
    ...     bars.begin(EXPERIMENTS["4-1"], trials=10, ended=0)
    ...     bars.update(trials_done=10, sequences=740_000, seconds=30.0)
    4-1: 10 of 10 trials ended after 30 s
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=18),
            TextColumn("{task.fields[trials]}", justify="right"),
            TextColumn("{task.fields[speed]}", justify="right", style="dim"),
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
        """Start the bar of an experiment of which some trials ended in an earlier call."""
        self._name, self._trials, self._ended_before = experiment.name, trials, ended
        self._expected = float(experiment.published.sequences or experiment.budget)
        self._last_line = 0.0
        self._task = self._bars.add_task(
            f"{experiment.name:5}", total=trials, trials=_of(ended, trials), speed="", left=""
        )
        self._bars.update(self._task, completed=ended)

    def update(self, *, trials_done: int, sequences: int, seconds: float) -> None:
        """Show how many trials have ended, and sequences learned and time since :meth:`begin`."""
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
        """How much of the work is done.

        Trials run side by side and all end late, so their number says little; sequences beside what
        the paper needed say more, but a trial may need more, so they never count as all of it.
        """
        fresh = self._trials - self._ended_before
        if fresh <= 0:
            return 1.0
        by_trials = (trials_done - self._ended_before) / fresh
        by_sequences = sequences / (self._expected * fresh)
        return max(by_trials, min(by_sequences, MOST_BY_SEQUENCES))


def _of(ended: int, trials: int) -> str:
    return f"{ended:>{len(str(trials))}}/{trials} trials"
