"""What a stream tells while it runs and when it ends: progress, errors beside naive rules."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from carrousel.cli.screen import console_of
from carrousel.online.evaluation.standing import Standing

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


SECONDS_BETWEEN_LINES = 10.0
"""Time between two lines where there is no terminal, and before the first."""
SECONDS_BETWEEN_FRAMES = 0.25
NAMES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "accuracy": "accuracy",
    "bits": "log loss, bits",
}


class Progress:
    """Shows a standing now and then: in place on a terminal, by a line every ten seconds elsewhere.

    Args:
        console: where.
        shown: False: nothing (rows go to the same terminal).
    """

    def __init__(self, console: Console, shown: bool = True) -> None:
        from rich.live import Live

        self._console, self._shown = console, shown
        live = shown and console.is_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True) if live else None
        self._wait = SECONDS_BETWEEN_FRAMES if live else SECONDS_BETWEEN_LINES
        self._next = time.monotonic() + self._wait

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def due(self) -> bool:
        """Whether it is time to show something."""
        return self._shown and time.monotonic() >= self._next

    def show(self, now: Standing) -> None:
        """Show how far the stream is."""
        self._next = time.monotonic() + self._wait
        if self._live is not None:
            self._live.update(running(now), refresh=True)
        else:
            self._console.print(running(now), soft_wrap=True)


def running(now: Standing) -> str:
    """One line on how far a stream is.

    >>> from carrousel.online.evaluation.score import NumberScore
    >>> import numpy as np
    >>> score = NumberScore()
    >>> _ = score.add(np.zeros(3), np.array([1.0, 2.0, 2.0]))
    >>> whole, recent = score.whole(), score.recent()
    >>> running(Standing({"rows": 3}, {}, 1.5, whole, recent, here=3, seconds_here=1.5))
    '3 rows, 2 rows/s; MAE of the last 2: model 2, last value 0.5, running mean 0.75'
    """
    from carrousel.words import count, duration, number

    told = f"{count(now.rows, 'row')}, {number(round(now.speed))} rows/s"
    skipped = sum(now.skipped.values())
    told += f", {skipped:,} skipped" if skipped else ""
    if now.recent.rows:
        measure = next(iter(next(iter(now.recent.errors.values()))))
        errors = ", ".join(
            f"{rule} {_figure(each[measure], measure)}" for rule, each in now.recent.errors.items()
        )
        told += f"; {NAMES[measure]} of the last {now.recent.rows:,}: {errors}"
    if now.kept_at is not None:
        told += f"; checkpoint {duration(time.monotonic() - now.kept_at)} ago"
    return told


def as_json(now: Standing) -> dict[str, Any]:
    """A standing as JSON can hold it."""
    return {
        "rows": now.rows,
        "without_target": now.counts.get("no target", 0),
        "held": now.counts.get("held", 0),
        "skipped": dict(now.skipped),
        "scored": now.whole.rows,
        "errors": now.whole.errors,
        "recent": {"rows": now.recent.rows, "errors": now.recent.errors},
        "seconds": round(now.seconds, 3),
        "rows_per_second": round(now.speed, 1),
    }


def summary(now: Standing, what: str) -> RenderableType:
    """Errors over all rows and over the last, of the model and of naive rules, and what was done.

    Args:
        what: is predicted, in words.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    if now.whole.rows:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("")
        measures = list(next(iter(now.whole.errors.values())))
        both = (now.whole, now.recent)[: 2 if now.recent.rows < now.whole.rows else 1]
        for figures in both:
            of = f"{'all' if figures is now.whole else 'last'} {figures.rows:,}"
            for measure in measures:
                first = of if measure == measures[0] else ""
                table.add_column(f"{first}\n{NAMES[measure]}", justify="right")
        for rule in now.whole.errors:
            shown = [_figure(each.errors[rule][m], m) for each in both for m in measures]
            table.add_row(rule, *shown, style="bold" if rule == "model" else "")
        parts += [Text(f"Errors at {what}, each row predicted before it is learned:"), table]
    parts.append(Text(done(now)))
    return Group(*parts)


def done(now: Standing) -> str:
    """What was done, in a sentence."""
    from carrousel.words import count, duration, number

    told = f"{count(now.rows, 'row')} taken"
    untaught = now.counts.get("no target", 0)
    told += f" ({untaught:,} without a target)" if untaught else ""
    held = now.counts.get("held", 0)
    told += f", {count(held, 'value')} held" if held else ""
    skipped = sum(now.skipped.values())
    if skipped:
        why = ", ".join(f"{n:,} {reason}" for reason, n in now.skipped.items())
        told += f", {skipped:,} skipped ({why})"
    told += f" in {duration(now.seconds)}"
    return f"{told}: {number(round(now.speed))} rows/s." if now.here else f"{told}."


def progress_for(rows_to_terminal: bool) -> Progress:
    """Progress on standard error, unless rows are seen there."""
    shown = not (rows_to_terminal and sys.stderr.isatty())
    return Progress(console_of(sys.stderr), shown)


def _figure(value: float | None, measure: str) -> str:
    from carrousel.words import ABSENT

    if value is None:
        return ABSENT
    if abs(value) >= 1e7:
        return f"{value:.3g}"
    if measure in ("mae", "rmse"):  # in the target's own units
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{value:.4f}"
