"""Progress of a fit: a bar with loss and time left."""

from __future__ import annotations

import time
from types import TracebackType

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn

from carrousel import words
from carrousel.estimators.net.train import Epoch


class Progress:
    """A progress bar on standard error; without a terminal, one line for each member.

    Args:
        members: number of nets that are trained.
        shown: False: nothing is written.
    """

    def __init__(self, members: int, *, shown: bool) -> None:
        self._members, self._shown = members, shown
        self._console = Console(stderr=True)
        self._bar = rich.progress.Progress(
            TextColumn("fit"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %"),
            TextColumn("{task.description}", style="dim"),
            console=self._console,
            disable=not (shown and self._console.is_terminal),
        )
        self._task = self._bar.add_task("", total=1.0)
        self._began = time.monotonic()

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def __call__(self, epoch: Epoch) -> None:
        """Show the state after an epoch of one member."""
        if not self._shown:
            return
        share = (epoch.member + epoch.step / epoch.steps) / self._members
        spent = time.monotonic() - self._began
        text = f"member {epoch.member + 1}/{self._members}, loss {epoch.loss:.3g}"
        if epoch.held is not None:
            text += f", held out {epoch.held:.3g}"
        text += f", {words.duration(spent / share - spent)} left"
        self._bar.update(self._task, completed=share, description=text)
        if self._bar.disable and epoch.step >= epoch.steps:
            self._console.print(text, highlight=False)
