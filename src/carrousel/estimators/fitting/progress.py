"""Progress of a fit: a bar with loss and time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn

from carrousel import words
from carrousel.estimators.net.train import Epoch


@contextmanager
def progress(members: int, *, shown: bool) -> Iterator[Callable[[Epoch], None]]:
    """Show a progress bar on standard error; without a terminal, one line for each member.

    Args:
        members: number of nets that are trained.
        shown: False: nothing is written.

    Yields:
        A function that shows the state after an epoch of one member.
    """
    console = Console(stderr=True)
    bar = rich.progress.Progress(
        TextColumn("fit"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.description}", style="dim"),
        console=console,
        disable=not (shown and console.is_terminal),
    )
    task, began = bar.add_task("", total=1.0), time.monotonic()

    def show(epoch: Epoch) -> None:
        if not shown:
            return
        share = (epoch.member + epoch.step / epoch.steps) / members
        spent = time.monotonic() - began
        text = f"member {epoch.member + 1}/{members}, loss {epoch.loss:.3g}"
        if epoch.held is not None:
            text += f", held out {epoch.held:.3g}"
        text += f", {words.duration(spent / share - spent)} left"
        bar.update(task, completed=share, description=text)
        if bar.disable and epoch.step >= epoch.steps:
            console.print(text, highlight=False)

    with bar:
        yield show
