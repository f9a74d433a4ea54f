"""Progress and results of an evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from carrousel.errors import CarrouselError
from carrousel.online.evaluation.score import ErrorSummary, Score
from carrousel.online.evaluation.unusual import UnusualRow
from carrousel.online.model.model import OnlineLSTM


@dataclass(frozen=True)
class StreamStatus:
    """Progress of an evaluation at one moment; counts include those of the calls it resumes.

    Attributes:
        counts: ``"rows"``: rows processed; ``"no target"``: those without a target; ``"held"``: bad
            values that were replaced.
        skipped: number of rows left out, by reason.
        seconds: time spent, of all calls.
        score: the live score of the evaluation, which changes with further rows, unlike
            :attr:`errors`; None: no row has been read.
        saved_at: ``time.monotonic()`` of this call's last checkpoint; None: there is none.
        rows_here: rows learned in this call.
        seconds_here: time spent in this call.
        streams: number of streams that the model can hold.
        keys: number of keys that have a state.
        evicted: number of times that a key lost its state to another one, or by ``evict_after``.
        interval: ``level``, ``coverage``, mean ``width`` and number of ``targets`` of the
            prediction intervals; None: none were wanted.
        lead_errors: mean absolute error of each lead, if the model forecasts several rows.
        lost: late targets that were not learned: their row had been dropped.
        delay: rows that may follow a row before the model learns its target. Naive rules know each
            target at its own row.
        unusual: with ``anomaly``, the rows with the largest deviations, largest first.
    """

    counts: Counter[str]
    skipped: Counter[str]
    seconds: float
    score: Score | None = None
    saved_at: float | None = None
    rows_here: int = 0
    seconds_here: float = 0.0
    streams: int = 1
    keys: int = 0
    evicted: int = 0
    interval: dict[str, Any] | None = None
    lead_errors: tuple[float | None, ...] = ()
    lost: int = 0
    delay: int = 0
    unusual: tuple[UnusualRow, ...] = ()

    @property
    def rows(self) -> int:
        """Rows predicted and learned."""
        return self.counts["rows"]

    @property
    def without_target(self) -> int:
        """Rows without a target, which were predicted only."""
        return self.counts["no target"]

    @property
    def held(self) -> int:
        """Bad values that were replaced by the last good one."""
        return self.counts["held"]

    @property
    def rows_per_second(self) -> float:
        """Speed of this call."""
        return self.rows_here / max(self.seconds_here, 1e-9)

    @cached_property
    def errors(self) -> ErrorSummary:
        """Errors over all rows, of the model and of naive rules."""
        return ErrorSummary(0, {}) if self.score is None else self.score.whole()

    @cached_property
    def recent_errors(self) -> ErrorSummary:
        """Errors over the last rows."""
        return ErrorSummary(0, {}) if self.score is None else self.score.recent()

    def freeze(self) -> None:
        """Compute both summaries of errors, before further rows are scored."""
        _ = self.errors, self.recent_errors


@dataclass(frozen=True)
class Failure:
    """Why an evaluation ended early.

    Attributes:
        error: with the place of the row in its source, where a row is the reason.
        remedy: options to resume with, so that it does not end at the same row again: name ->
            value. ``on_error`` is one of :func:`carrousel.online.evaluate`, ``learning_rate`` one
            of the model.
        saved: whether the model is intact, so that the checkpoint includes all rows before.
        fatal: whether resuming cannot help: the call is wrong.
        first: error of the first row, if every row failed.
    """

    error: CarrouselError
    remedy: Mapping[str, Any] = field(default_factory=dict)
    saved: bool = True
    fatal: bool = False
    first: CarrouselError | None = None


@dataclass(frozen=True)
class Evaluation:
    """Result of :func:`carrousel.online.evaluate`.

    Attributes:
        model: after the last row; None: there was no row, and no model yet.
        status: counts, skipped rows, errors and time.
        failure: why the evaluation ended early; None: the source ended, or ``stop`` was true.
        stopped: whether ``stop`` ended it before the last row.
    """

    model: OnlineLSTM | None
    status: StreamStatus
    failure: Failure | None
    stopped: bool
