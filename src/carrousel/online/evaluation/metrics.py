"""Metrics of an evaluation while it runs: one record for each N rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from carrousel.online.evaluation.predictions import LazySink
from carrousel.online.evaluation.score import ErrorSummary
from carrousel.online.evaluation.status import StreamStatus
from carrousel.online.sinks.file import Sink

EVERY = 1000
"""Default number of rows between two records."""


class MetricsWriter(LazySink):
    """Writes a record of the errors so far each time that ``every`` rows have been learned.

    Rows are counted from the beginning of the stream, also after a resume.

    Args:
        sink: of JSON lines, or a function that opens it; None: nothing is written.
        every: number of rows between two records.
        on_metrics: called with the status at each record; its errors are computed already.
        checkpoint: a file that the sink must not be.

    Raises:
        SettingError: the sink does not write JSON lines, or is the file of the checkpoint.
    """

    what, formats = "metrics", ("jsonl",)

    def __init__(
        self,
        sink: Sink | Callable[[], Sink] | None = None,
        every: int = EVERY,
        on_metrics: Callable[[StreamStatus], None] | None = None,
        checkpoint: Path | None = None,
    ) -> None:
        self._every, self._call = every, on_metrics
        self._active = sink is not None or on_metrics is not None
        super().__init__(sink, checkpoint)

    def rows_until(self, rows: int) -> int | None:
        """Return how many rows after the first ``rows`` the next record is due; None: never."""
        return self._every - rows % self._every if self._active else None

    def write(self, status: StreamStatus) -> None:
        """Write a record."""
        status.freeze()
        if self._sink is not None:
            self._sink.write({name: [value] for name, value in record(status).items()})
        if self._call is not None:
            self._call(status)


def record(status: StreamStatus) -> dict[str, Any]:
    """Return rows, time and errors as values that JSON can hold."""
    return {
        "rows": status.rows,
        "seconds": round(status.seconds, 3),
        "without_target": status.without_target,
        "skipped": sum(status.skipped.values()),
        "evicted": status.evicted,
        **({} if status.interval is None else {"interval": status.interval}),
        **errors_record(status.errors, status.recent_errors),
    }


def errors_record(whole: ErrorSummary, recent: ErrorSummary) -> dict[str, Any]:
    """Return errors over all rows and the last ones, of all targets and of each."""
    found: dict[str, Any] = {
        "scored": whole.rows,
        "errors": whole.errors,
        "recent": {"rows": recent.rows, "errors": recent.errors},
    }
    if whole.targets:
        found["targets"] = {
            name: errors_record(each, recent.targets[name]) for name, each in whole.targets.items()
        }
    return found
