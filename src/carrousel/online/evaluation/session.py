"""The learning loop: from the first batch of a source to the last, stoppable at any row."""

from __future__ import annotations

import time
import weakref
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from carrousel.errors import CarrouselError, DataError, DivergedError, RowError, escaped
from carrousel.online.clean.cleaner import Cleaner
from carrousel.online.clean.rows import CleanRows
from carrousel.online.evaluation.checkpoint import Checkpoint, CheckpointWriter, StreamState
from carrousel.online.evaluation.iterables import IterableRows
from carrousel.online.evaluation.metrics import MetricsWriter
from carrousel.online.evaluation.plan import EvaluationPlan
from carrousel.online.evaluation.predictions import PredictionWriter
from carrousel.online.evaluation.prequential import Predictions, ScoredModel
from carrousel.online.evaluation.status import Failure, StreamStatus
from carrousel.online.evaluation.unusual import MostUnusual
from carrousel.online.model.model import OnlineLSTM
from carrousel.online.sources.types import Batch, Position, RowSource

ROWS_AT_ONCE = 1000
"""Most rows that are learned between two checks of the clock and of ``stop``."""
PRODUCTS_AT_ONCE = 1e8
"""Most multiplications between two checks: some tenths of a second."""
MOST_LABELS = 1000
"""Most different texts in an input column."""
SKIP = {"on_error": "skip"}


class Session:
    """One evaluation, from the start of its stream or from a checkpoint.

    Args:
        plan: what is predicted.
        create: creates the model for a task, once the first batch has been read.
        rows: the source.
        writers: of predictions and of metrics.
        checkpoints: writes checkpoints.
        on_progress: called after each part of a batch.
        stop: returns whether to end; asked within a batch too, as rows of a large net take long.

    Attributes:
        stopped: whether ``stop`` returned True before all rows were learned.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        create: Callable[[str], OnlineLSTM],
        rows: RowSource,
        writers: tuple[PredictionWriter, MetricsWriter],
        checkpoints: CheckpointWriter,
        on_progress: Callable[[StreamStatus], None] | None = None,
        stop: Callable[[], bool] = bool,
    ) -> None:
        self.plan, self.rows = plan, rows
        self._create, self._checkpoints = create, checkpoints
        self._writer, self._metrics = writers
        self._on_progress, self._stop = on_progress, stop
        self.stopped = False
        self._scored: ScoredModel | None = None
        self._cleaner: Cleaner | None = None
        self._counts: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._first_skipped: RowError | None = None
        self._first_refused: RowError | None = None  # by the model
        self._unusual = MostUnusual()
        self._labels: dict[str, set[Any]] = {}
        self._reported: weakref.ref[StreamStatus] | None = None
        self._saved_at: float | None = None
        self._rows_here, self._started, self._seconds_before = 0, time.monotonic(), 0.0
        self._source: Mapping[str, Any] = rows.position.as_dict()  # of the current batch
        self._before: Mapping[str, Any] | None = None  # the cleaner's state before this batch
        self._passed = 0  # rows of this batch that an earlier call has handled
        self._within = False  # whether rows of this batch were learned beyond `_passed`

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint."""
        state = checkpoint.state
        self._cleaner = Cleaner.from_state(state.table)
        self._cleaner.missing = _missing(checkpoint.model)
        self._scored = self._scored_model(checkpoint.model)
        self._scored.restore(checkpoint.arrays, checkpoint.scores)
        self._counts, self._skipped = state.counts.copy(), state.skipped.copy()
        self._seconds_before, self._passed = state.seconds, state.passed
        self._source, self._unusual = state.source, MostUnusual(state.unusual)

    @property
    def model(self) -> OnlineLSTM | None:
        return None if self._scored is None else self._scored.model

    # --- rows -------------------------------------------------------------------------------

    def run(self) -> Failure | None:
        """Learn rows until the source ends, ``stop`` is true, or a row cannot be used.

        Raises:
            CarrouselError: the call is wrong; nothing has been learned.
        """
        try:
            for batch in self.rows:
                failure = self._learn(batch) if len(batch) else None
                if failure is not None or self._stops():
                    return failure
                self._report()
                if self._checkpoints.due:
                    self._save()
        except DivergedError as error:  # found when the model was saved
            return self._diverged(error)
        except CarrouselError as error:
            if not self._rows_here:
                raise
            return Failure(error, saved=not self._within)
        if self._stops() or self._counts["rows"] or self._first_skipped is None:
            return None
        n = sum(self._skipped.values())
        error = DataError(f"No row of {n:,} could be used")
        return Failure(error, saved=False, fatal=True, first=self._first_skipped)

    def _stops(self, *, rows_left: bool = False) -> bool:
        """Ask ``stop`` unless all rows have been learned; one answer of True is remembered."""
        ended = isinstance(self.rows, IterableRows) and self.rows.ended and not rows_left
        self.stopped = self.stopped or (not ended and bool(self._stop()))
        return self.stopped

    def _learn(self, batch: Batch) -> Failure | None:
        """Learn the usable rows of a batch."""
        cleaner, scored = self._begin(batch)
        if self._checkpoints.path is not None:
            self._before = cleaner.state()
        clean = cleaner.clean(batch, self.plan.on_error)
        self._check_labels(clean)
        done, size = int((clean.rows < self._passed).sum()), rows_at_once(scored.model, clean)
        if done < len(clean) and not (self._writer.is_open and self._metrics.is_open):
            scored.check(*self._part(clean, done, done + 1))
            self._writer.open()
            self._metrics.open()
        while done < len(clean):
            if self._within and (self._stops(rows_left=True) or self._checkpoints.due):
                self._passed, self._within = int(clean.rows[done]), False
                if self.stopped:
                    return None
                self._save()
            stop = min(done - done % size + size, len(clean))
            due = self._metrics.rows_until(self._counts["rows"])
            stop = stop if due is None else min(stop, done + due)
            self._within = True
            self._freeze()
            predictions = scored.learn(*self._part(clean, done, stop))
            self._write(batch, clean, done, predictions)
            self._rows_here += predictions.rows
            done += predictions.rows
            if predictions.rows == due:
                self._metrics.write(self.status())
            if predictions.error is not None:
                failure = self._refused(predictions.error, batch, clean, done)
                if failure is not None:
                    return failure
                done += 1
            self._report()
        # A checkpoint within the batch is resumed by cleaning all of it again: count it last.
        self._count(batch, clean)
        if clean.failure is not None:
            self._passed, self._within = bisect_left(batch.lines, clean.failure.line), False
            return Failure(clean.failure.error(batch.name), SKIP)
        self._passed = max(0, self._passed - len(batch))
        self._source, self._before, self._within = batch.end.as_dict(), None, False
        return None

    def _begin(self, batch: Batch) -> tuple[Cleaner, ScoredModel]:
        """Return cleaner and model; the first batch defines them."""
        if self._cleaner is None or self._scored is None:
            schema, task = self.plan.schema(batch)
            self._scored = self._scored_model(self._create(task))
            self._cleaner = Cleaner(schema, missing=_missing(self._scored.model))
        return self._cleaner, self._scored

    def _scored_model(self, model: OnlineLSTM) -> ScoredModel:
        plan = self.plan
        return ScoredModel(
            model,
            late=plan.late,
            window=plan.window,
            anomaly=plan.anomaly,
            targets=plan.columns,
            level=plan.level,
        )

    def _part(self, clean: CleanRows, start: int, stop: int) -> tuple[Any, Any, Any, Any]:
        """Return inputs, targets, keys and label times of some rows, as a model takes them."""
        assert self._scored is not None
        return self.plan.arguments(clean, self._scored.model.task, slice(start, stop))

    def _write(self, batch: Batch, clean: CleanRows, start: int, predictions: Predictions) -> None:
        """Count rows and write their predictions."""
        if not predictions.rows:
            return
        stop = start + predictions.rows
        self._counts["rows"] += predictions.rows
        self._counts["no target"] += predictions.absent
        columns: dict[str, Any] = {"line": clean.lines[start:stop]}
        keys = None
        if self.plan.key is not None and clean.keys is not None:
            keys = columns["key"] = clean.keys[start:stop]
        if self.plan.time is not None:
            raw = batch.columns[batch.fields.index(self.plan.time)]
            columns["time"] = [raw[row] for row in clean.rows[start:stop].tolist()]
        self._unusual.add(columns["line"], keys, predictions.columns)
        self._writer.write({**columns, **predictions.columns}, keys)

    # --- problems ---------------------------------------------------------------------------

    def _refused(
        self, error: RowError | DivergedError, batch: Batch, clean: CleanRows, n: int
    ) -> Failure | None:
        """Handle a row that the model refused; None: it is left out."""
        place = {"row": None, "line": clean.lines[n], "unit": batch.unit, "source": batch.name}
        if isinstance(error, DivergedError):
            return self._diverged(error.recast(DivergedError, **place))
        error = error.recast(RowError, **place)
        if self.plan.on_error == "fail":
            self._passed, self._within = int(clean.rows[n]), False
            return Failure(error, SKIP)
        self._skipped["refused by the model"] += 1
        self._first_refused = self._first_refused or error
        return None

    def _diverged(self, error: DivergedError) -> Failure:
        assert self._scored is not None
        lower = self._scored.model.learning_rate / 10
        fix = f"resume from the last checkpoint with a {{learning_rate}} of {lower:g}"
        error = error.recast(DivergedError, fix=fix)
        return Failure(error, {"learning_rate": lower}, saved=False)

    def _count(self, batch: Batch, clean: CleanRows) -> None:
        """Count the rows left out, each by its first problem."""
        self._counts["held"] += clean.counts["held"]
        errors = [] if self._first_refused is None else [self._first_refused]
        if clean.problems and clean.failure is None:
            kept = set(clean.lines)
            left_out = [problem for problem in clean.problems if problem.line not in kept]
            reasons = {each.line: each.kind for each in reversed(left_out)}
            self._skipped.update(reasons.values())
            errors += [each.error(batch.name) for each in left_out[:1]]
        if errors and self._first_skipped is None:
            self._first_skipped = min(errors, key=lambda error: error.line or 0)

    def _check_labels(self, clean: CleanRows) -> None:
        """Refuse a column of texts that never repeat: each text would become an input."""
        assert self._scored is not None
        for name, column in clean.columns.items():
            if isinstance(column, list) and self._scored.model.task != "next":
                met = self._labels.setdefault(name, set())
                met.update(column)
                if len(met) > MOST_LABELS:
                    raise DataError(
                        f"column {name!r} holds more than {MOST_LABELS:,} different texts, and "
                        "each would be an input",
                        fix="leave it out with {ignore=" + escaped(name) + "}, or make it the "
                        "{key} or the {time}",
                    )

    # --- progress ---------------------------------------------------------------------------

    def _report(self) -> None:
        if self._on_progress is not None and self._scored is not None:
            self._freeze()
            status = self.status()
            self._on_progress(status)
            self._reported = weakref.ref(status)

    def _freeze(self) -> None:
        """Compute the errors of the last status before more rows are scored, if it was kept."""
        status = None if self._reported is None else self._reported()
        if status is not None:
            status.freeze()

    def status(self) -> StreamStatus:
        """Return the progress so far."""
        seconds, model = time.monotonic() - self._started, self.model
        scored = self._scored
        return StreamStatus(
            counts=self._counts.copy(),
            skipped=self._skipped.copy(),
            seconds=self._seconds_before + seconds,
            score=None if self._scored is None else self._scored.score,
            saved_at=self._saved_at,
            rows_here=self._rows_here,
            seconds_here=seconds,
            streams=1 if model is None else model.streams,
            keys=0 if model is None else model.n_keys_,
            evicted=0 if model is None else model.n_evicted_,
            interval=None if scored is None or not scored.coverage else scored.coverage.summary(),
            lead_errors=() if model is None else model.lead_errors(),
            lost=0 if model is None else model.n_lost_,
            delay=0 if model is None else model.delay,
            unusual=self._unusual.rows,
        )

    def finish(self, failure: Failure | None) -> Failure | None:
        """Write the last checkpoint if the model is intact; return why the evaluation ended."""
        if failure is not None and not failure.saved:
            return failure
        try:
            self._save()
        except DivergedError as error:
            return self._diverged(error)
        except CarrouselError as error:
            return replace(failure or Failure(error), saved=False)
        return failure

    def _save(self) -> None:
        """Write a checkpoint, if one is wanted and there is something to write."""
        self._checkpoints.postpone()
        if self._checkpoints.path is None or self._scored is None or self._cleaner is None:
            return
        state = StreamState(
            source=self._source,
            passed=self._passed,
            table=self._cleaner.state() if self._before is None else self._before,
            sink=self._writer.position(),
            metrics=self._metrics.position(),
            unusual=self._unusual.state(),
            counts=self._counts,
            skipped=self._skipped,
            seconds=self._seconds_before + time.monotonic() - self._started,
        )
        self._checkpoints.write(self._scored, state)
        self.rows.commit(Position.of(self._source))
        self._saved_at = time.monotonic()


def _missing(model: OnlineLSTM) -> str:
    """Return how the cleaner handles missing inputs; symbols are never missing."""
    return "error" if model.task == "next" else model.missing


def rows_at_once(model: OnlineLSTM, clean: CleanRows) -> int:
    """Return how many rows to learn between two checks.

    It depends on the settings alone, so that every run writes the same rows at once.
    """
    units = 4 * model.cells
    products = units * (model.cells + len(clean.columns) + 1)
    if model.gradient not in ("truncated", "immediate", "snap:1", "uoro"):
        products *= units
    return max(1, min(ROWS_AT_ONCE, int(PRODUCTS_AT_ONCE / products)))
