"""Display of a stream: progress while it runs, and errors next to naive rules when it ends."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any

from carrousel.cli.screen import console_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from carrousel.online import StreamStatus
    from carrousel.online.evaluation.unusual import UnusualRow

SECONDS_BETWEEN_LINES = 10.0
"""Time between two lines without a terminal, and before the first."""
SECONDS_BETWEEN_FRAMES = 0.25
NAMES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "accuracy": "accuracy",
    "bits": "log loss, bits",
}


class ProgressLine:
    """Shows progress from time to time: updated in place on a terminal, else line by line.

    Args:
        console: where to write.
        shown: False: show nothing, as predictions are written to the same terminal.
    """

    def __init__(self, console: Console, shown: bool = True) -> None:
        from rich.live import Live

        self._console, self._shown = console, shown
        live = shown and console.is_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True) if live else None
        self._wait = SECONDS_BETWEEN_FRAMES if live else SECONDS_BETWEEN_LINES
        self._next = time.monotonic() + self._wait

    def __enter__(self) -> ProgressLine:
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

    def show_if_due(self, status: StreamStatus) -> None:
        """Show the progress if the last time was long enough ago."""
        if not self._shown or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._wait
        if self._live is not None:
            self._live.update(progress_text(status), refresh=True)
        else:
            self._console.print(progress_text(status), soft_wrap=True)


def progress_text(status: StreamStatus) -> str:
    """Return one line on the progress of a stream.

    >>> from collections import Counter
    >>> import numpy as np
    >>> from carrousel.online import StreamStatus
    >>> from carrousel.online.evaluation.score import NumberScore
    >>> score = NumberScore()
    >>> _ = score.add(np.zeros(3), np.array([1.0, 2.0, 2.0]))
    >>> status = StreamStatus(Counter(rows=3), Counter(), 1.5, score, rows_here=3, seconds_here=1.5)
    >>> progress_text(status)
    '3 rows, 2 rows/s; MAE of the last 2: model 2, last value 0.5, running mean 0.75'
    """
    from carrousel.words import count, duration, number

    text = f"{count(status.rows, 'row')}, {number(round(status.rows_per_second))} rows/s"
    skipped = sum(status.skipped.values())
    text += f", {skipped:,} skipped" if skipped else ""
    text += f", {count(status.evicted, 'key')} evicted" if status.evicted else ""
    recent = status.recent_errors
    if recent.rows:
        measure = next(iter(next(iter(recent.errors.values()))))
        errors = ", ".join(
            f"{rule} {_figure(each[measure], measure)}" for rule, each in recent.errors.items()
        )
        text += f"; {NAMES[measure]} of the last {recent.rows:,}: {errors}"
    if status.saved_at is not None:
        text += f"; checkpoint {duration(time.monotonic() - status.saved_at)} ago"
    return text


def as_json(status: StreamStatus) -> dict[str, Any]:
    """Return counts, errors and speed as a value that JSON can hold."""
    from carrousel.online.evaluation.metrics import errors_record

    return {
        "rows": status.rows,
        "without_target": status.without_target,
        "held": status.held,
        "skipped": dict(status.skipped),
        "streams": {"most": status.streams, "keys": status.keys, "evicted": status.evicted},
        **errors_record(status.errors, status.recent_errors),
        **({} if status.interval is None else {"interval": status.interval}),
        **({"lead_mae": list(status.lead_errors)} if status.lead_errors else {}),
        **({"targets_too_late": status.lost} if status.lost else {}),
        **({"unusual": list(map(asdict, status.unusual))} if status.unusual else {}),
        "seconds": round(status.seconds, 3),
        "rows_per_second": round(status.rows_per_second, 1),
    }


def summary(status: StreamStatus, subject: str) -> RenderableType:
    """Return a table of errors over all rows and the last ones, and a line of counts.

    Args:
        status: at the end.
        subject: name of what is predicted.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    whole, recent = status.errors, status.recent_errors
    if whole.rows:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("")
        measures = list(next(iter(whole.errors.values())))
        both = (whole, recent)[: 2 if recent.rows < whole.rows else 1]
        for figures in both:
            of = f"{'all' if figures is whole else 'last'} {figures.rows:,}"
            for measure in measures:
                first = of if measure == measures[0] else ""
                table.add_column(f"{first}\n{NAMES[measure]}", justify="right")
        sections = {name: [each.targets[name] for each in both] for name in whole.targets}
        for name, figures in {**sections, "": both}.items():
            if sections:
                title = name or f"all {len(sections)}, in standard deviations of each"
                table.add_row(title, style="underline")
            for rule in whole.errors:
                shown = [_figure(each.errors[rule][m], m) for each in figures for m in measures]
                table.add_row(rule, *shown, style="bold" if rule == "model" else "")
        parts += [Text(f"Errors for {subject}, each row predicted before it is learned:"), table]
    parts += [Text(line) for line in forecast_texts(status)]
    if status.unusual:
        parts += [Text("Most unusual rows:"), *(Text(unusual_text(r)) for r in status.unusual)]
    parts.append(Text(counts_text(status)))
    if status.evicted:
        parts.append(Text(evictions_text(status), style=_warning(status)))
    return Group(*parts)


def forecast_texts(status: StreamStatus) -> list[str]:
    """Return lines on prediction intervals, on leads, and on targets that came too late.

    >>> from collections import Counter
    >>> from carrousel.online import StreamStatus
    >>> interval = {"level": 0.9, "coverage": 0.894, "width": 2.5, "targets": 500}
    >>> status = StreamStatus(Counter(rows=500), Counter(), 1.0, interval=interval, lost=2)
    >>> for line in forecast_texts(status):
    ...     print(line)
    Intervals of 90 %: 89.4 % of 500 targets within, mean width 2.5.
    Warning: 2 targets came after their row had been dropped, and were not learned. A larger
    --delay keeps rows for longer.
    """
    from carrousel.words import count

    found = []
    interval = status.interval
    if interval is not None and interval["targets"]:
        found.append(
            f"Intervals of {100 * interval['level']:g} %: {100 * interval['coverage']:.1f} % of "
            f"{count(interval['targets'], 'target')} within, mean width {interval['width']:.4g}."
        )
    if status.lead_errors:
        shown = ", ".join("-" if e is None else f"{e:.4g}" for e in status.lead_errors[:12])
        more = ", ..." if len(status.lead_errors) > 12 else ""
        found.append(f"MAE by lead, from the nearest: {shown}{more}.")
    if status.lost:
        found.append(
            f"Warning: {count(status.lost, 'target')} came after their row had been dropped, and "
            "were not learned. A larger\n--delay keeps rows for longer."
        )
    if status.delay:
        found.append("The other rules know each target at its row, before the model does.")
    return found


def unusual_text(row: UnusualRow) -> str:
    """Return one line about an unusual row.

    >>> from carrousel.online.evaluation.unusual import UnusualRow
    >>> unusual_text(UnusualRow(2002, "c", "wind", 30.0, 2.88647, 90.93))
    '  line 2002, c: wind is 30, expected 2.886 (90.9 deviations)'
    """
    where = f"line {row.line}" + ("" if row.key is None else f", {row.key}")
    value, expected = (_figure(each, "mae") for each in (row.value, row.expected))
    size = f"{row.deviations:,.1f} deviations"
    return f"  {where}: {row.column} is {value}, expected {expected} ({size})"


def evictions_text(status: StreamStatus) -> str:
    """Return how often keys lost their state, and what to do if that is often.

    >>> from collections import Counter
    >>> from carrousel.online import StreamStatus
    >>> for evicted in (1, 4000):
    ...     counts = Counter(rows=9000)
    ...     print(evictions_text(StreamStatus(counts, Counter(), 1.0, streams=9, evicted=evicted)))
    A key lost its state 1 time.
    Warning: a key lost its state 4,000 times, since only 9 streams are kept.
    A stream without a state starts from scratch. Give --streams of at least the number of keys.
    """
    from carrousel.words import count

    text = f"a key lost its state {count(status.evicted, 'time')}"
    if not _many(status):
        return f"{text.capitalize()}."
    return (
        f"Warning: {text}, since only {count(status.streams, 'stream')} are kept.\n"
        "A stream without a state starts from scratch. Give --streams of at least the number of "
        "keys."
    )


def _many(status: StreamStatus) -> bool:
    """Whether keys are evicted so often that few of their rows can be predicted well."""
    return status.evicted > status.streams


def _warning(status: StreamStatus) -> str:
    return "bold yellow" if _many(status) else ""


def counts_text(status: StreamStatus) -> str:
    """Return the numbers of rows read, skipped and so on, in a sentence."""
    from carrousel.words import count, duration, number

    text = f"{count(status.rows, 'row')} read"
    text += f" ({status.without_target:,} without a target)" if status.without_target else ""
    text += f", {count(status.held, 'bad value')} replaced" if status.held else ""
    skipped = sum(status.skipped.values())
    if skipped:
        why = ", ".join(f"{n:,} {reason}" for reason, n in status.skipped.items())
        text += f", {skipped:,} skipped ({why})"
    text += f" in {duration(status.seconds)}"
    speed = f": {number(round(status.rows_per_second))} rows/s" if status.rows_here else ""
    return f"{text}{speed}."


def progress_for(rows_to_terminal: bool) -> ProgressLine:
    """Return the progress line on standard error, hidden if predictions are shown there."""
    shown = not (rows_to_terminal and sys.stderr.isatty())
    return ProgressLine(console_of(sys.stderr), shown)


def _figure(value: float | None, measure: str) -> str:
    from carrousel.words import ABSENT

    if value is None:
        return ABSENT
    if abs(value) >= 1e7:
        return f"{value:.3g}"
    if measure in ("mae", "rmse"):  # in the target's own units
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{value:.4f}"
