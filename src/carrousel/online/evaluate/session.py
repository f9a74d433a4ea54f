"""Taking a stream from its source to its end: batch by batch, with an end at any moment."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from carrousel.checks import suggestion
from carrousel.cli.stream.display import Progress
from carrousel.errors import CarrouselError, DataError, DivergedError, RowError, UnknownNameError
from carrousel.online.clean.cleaner import Schema, Table, Taken
from carrousel.online.evaluate.checkpoint import Kept, Place, keep
from carrousel.online.evaluate.predictions import Output
from carrousel.online.evaluate.prequential import Learner, Told
from carrousel.online.evaluate.score import Figures
from carrousel.online.evaluate.settings import Wish, names
from carrousel.online.evaluate.standing import Standing
from carrousel.online.sources.text import Batch, Position, RowSource

ROWS_AT_ONCE = 1000
"""Rows between two looks at the clock, and whether to stop: at most so many."""
PRODUCTS_AT_ONCE = 1e8
"""Multiplications between two looks: some tenths of a second, at most."""
MOST_LABELS = 1000
"""Different texts in one column of inputs."""
SKIP = "--on-error skip"


@dataclass(frozen=True)
class Failure:
    """Why a stream has ended early.

    Args:
        why: in a sentence.
        change: options to go on with, so that it does not end again in the same place.
        can_keep: whether a checkpoint may be written: the model is well.
        hopeless: whether there is nothing to go on with: the call must be another.
    """

    why: str
    change: str = ""
    can_keep: bool = True
    hopeless: bool = False


class Work:
    """One stream, from where it begins or goes on.

    Args:
        wish: what was asked for.
        rows: the source.
        kept: what to go on from.
        stop: says whether to end, within a batch too: rows of a large net take their time.
    """

    def __init__(
        self, wish: Wish, rows: RowSource, kept: Kept | None, stop: Callable[[], bool] = bool
    ) -> None:
        self.wish, self.rows, self._stop = wish, rows, stop
        self._out: Output | None = None if wish.quiet else Output(wish, kept)
        self.learner: Learner | None = None
        self.counts: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self._first = ""  # why the first row that was left out was
        self._refusal: list[tuple[int, str]] = []  # the model's first: in which line, and why
        self.kept_at: float | None = None
        self._here, self._began, self._seconds = 0, time.monotonic(), 0.0
        self._looked = self._began
        self._table: Table | None = None
        self._labels: dict[str, set[Any]] = {}
        self._source: Mapping[str, Any] = rows.position.as_dict()  # of the batch at hand
        self._memory: Mapping[str, Any] | None = None  # of the table before it, while within it
        self._passed = 0  # rows of it that were taken by the call before
        self._within = False  # whether rows of it were taken that are not counted there
        if kept is not None:
            self._go_on(kept)

    def _go_on(self, kept: Kept) -> None:
        place = kept.place
        self._table = Table.from_state(place.table)
        self.learner = Learner(self.wish, kept.task)
        self.learner.restore(kept.model, kept.arrays, kept.learner)
        self.counts, self.skipped = place.counts, place.skipped
        self._seconds, self._passed, self._source = place.seconds, place.passed, place.source

    # --- rows -------------------------------------------------------------------------------

    def run(self, progress: Progress) -> Failure | None:
        """Take rows until the source ends, or something is wrong."""
        try:
            for batch in self.rows:
                failure = self._take(batch, progress) if len(batch) else None
                if failure is not None or self._stop():
                    return failure
                if progress.due and self.learner is not None:
                    progress.show(self.standing())
                if self._due:
                    self.keep()
        except DivergedError as error:  # found when the model was to be kept
            return Failure(error.text(fix=False), self._lower, can_keep=False)
        except CarrouselError as error:
            if not self._here:
                raise  # nothing has begun: the call is wrong
            return Failure(str(error), can_keep=not self._within)
        if self._stop() or self.counts["rows"] or not self._first:
            return None
        n = sum(self.skipped.values())
        why = f"No row of {n:,} could be taken. The first: {self._first}"
        return Failure(why, can_keep=False, hopeless=True)

    def _take(self, batch: Batch, progress: Progress) -> Failure | None:
        """Take the rows of a batch that can be."""
        table = self._table or self._first_table(batch)
        assert self.learner is not None
        if self.wish.checkpoint is not None:
            self._memory = table.state()
        taken = table.take(batch, self.wish.on_error)
        self._check_labels(taken)
        at, at_once = int((taken.rows < self._passed).sum()), rows_at_once(self.wish, taken)
        while at < len(taken):
            if self._within and (self._stop() or self._due):
                self._passed, self._within = int(taken.rows[at]), False
                if self._stop():
                    return None
                self.keep()
            stop = min(at - at % at_once + at_once, len(taken))
            self._within = True
            told = self.learner.take(*self._part(taken, at, stop))
            self._write(batch, taken, at, told)
            self._here += told.rows
            at += told.rows
            if told.error is not None:
                failure = self._refused(told.error, batch, taken, at)
                if failure is not None:
                    return failure
                at += 1
            if progress.due:
                progress.show(self.standing())
        self._count(batch, taken)  # last: a checkpoint within the batch leads to all of it again
        if taken.failure is not None:
            self._passed, self._within = bisect_left(batch.lines, taken.failure.line), False
            return Failure(taken.failure.at(batch.name), SKIP)
        self._passed = max(0, self._passed - len(batch))
        self._source, self._memory, self._within = batch.end.as_dict(), None, False
        return None

    def _first_table(self, batch: Batch) -> Table:
        """What the fields are, as the first rows tell, and the model that follows from it."""
        wish = self.wish
        try:
            schema, task = schema_of(wish, batch)
        except UnknownNameError as error:  # "ignore: rows.csv has no field ..."
            raise UnknownNameError(f"--{error}") from error
        self.learner = Learner(wish, task)
        missing = "error" if task == "next" else wish.missing
        self._table = Table(schema, missing=missing)
        return self._table

    def _part(self, taken: Taken, at: int, stop: int) -> tuple[Any, Any, Any, int]:
        """Some rows, as a model takes them."""
        assert self.learner is not None
        columns = {name: values[at:stop] for name, values in taken.columns.items()}
        ahead = self.wish.predict_next
        y: Any = taken.targets[at:stop] if taken.targets is not None else columns[ahead or ""]
        x = y if self.learner.task == "next" else columns
        keys = taken.keys[at:stop] if self.wish.key is not None and taken.keys else None
        return x, y, keys, stop - at

    def _write(self, batch: Batch, taken: Taken, at: int, told: Told) -> None:
        """Hand on what was said of rows."""
        stop = at + told.rows
        self.counts["rows"] += told.rows
        y = told.columns["target"]
        if isinstance(y, np.ndarray):
            self.counts["no target"] += int(np.isnan(y).sum())
        else:
            self.counts["no target"] += sum(each is None for each in y)
        if self._out is None or not told.rows:
            return
        columns: dict[str, Any] = {"line": taken.lines[at:stop]}
        keys = None
        if self.wish.key is not None and taken.keys is not None:
            keys = columns["key"] = taken.keys[at:stop]
        if self.wish.time is not None:
            raw = batch.columns[batch.fields.index(self.wish.time)]
            columns["time"] = [raw[row] for row in taken.rows[at:stop].tolist()]
        self._out.write({**columns, **told.columns}, keys)

    # --- what is wrong ----------------------------------------------------------------------

    def _refused(
        self, error: RowError | DivergedError, batch: Batch, taken: Taken, at: int
    ) -> Failure | None:
        """What becomes of a row that the model did not take; None: it is left out."""
        column = "" if error.column is None else f", column {error.column!r}"
        where = f"{batch.name}: {batch.unit} {taken.lines[at]}{column}"
        why = error.text(place=False, argument="--{}".format, setting="{} {}".format)
        if isinstance(error, DivergedError):
            return Failure(
                f"{where}: {error.text(place=False, fix=False)}", self._lower, can_keep=False
            )
        if self.wish.on_error != "fail":
            self.skipped["refused by the model"] += 1
            self._refusal = self._refusal or [(taken.lines[at], f"{where}: {why}")]
            return None
        self._passed, self._within = int(taken.rows[at]), False
        return Failure(f"{where}: {why}", SKIP)

    @property
    def _lower(self) -> str:
        return f"--rate {self.wish.rate / 10:g}"

    def _count(self, batch: Batch, taken: Taken) -> None:
        """Count rows left out, each by the first thing that is wrong with it."""
        self.counts["held"] += taken.counts["held"]
        reasons = self._refusal[:]
        if taken.problems and taken.failure is None:
            kept = set(taken.lines)
            left = [problem for problem in taken.problems if problem.line not in kept]
            self.skipped.update({each.line: each.kind for each in reversed(left)}.values())
            reasons += [(each.line, each.at(batch.name)) for each in left[:1]]
        if reasons and not self._first:
            self._first = min(reasons)[1]

    def _check_labels(self, taken: Taken) -> None:
        """Refuse a column whose values never repeat before the model has an input for each."""
        assert self.learner is not None
        for name, column in taken.columns.items():
            if isinstance(column, list) and self.learner.task != "next":
                met = self._labels.setdefault(name, set())
                met.update(column)
                if len(met) > MOST_LABELS:
                    raise DataError(
                        f"column {name!r} holds more than {MOST_LABELS:,} different texts, and "
                        f"each would be an input; leave it out by --ignore {name}, or make it "
                        "--key or --time"
                    )

    # --- where it stands --------------------------------------------------------------------

    def standing(self) -> Standing:
        """How far it is."""
        seconds, nothing = time.monotonic() - self._began, Figures(0, {})
        score = None if self.learner is None else self.learner.score
        return Standing(
            counts=self.counts,
            skipped=self.skipped,
            seconds=self._seconds + seconds,
            whole=score.whole() if score else nothing,
            recent=score.recent() if score else nothing,
            kept_at=self.kept_at,
            here=self._here,
            seconds_here=seconds,
        )

    @property
    def _due(self) -> bool:
        every = self.wish.checkpoint_every
        return self.wish.checkpoint is not None and time.monotonic() - self._looked >= every

    def finish(self, failure: Failure | None) -> Failure | None:
        """Keep what there is, if it is well; why the stream has ended early, if that fails."""
        if failure is not None and not failure.can_keep:
            return failure
        try:
            self.keep()
        except DivergedError as error:
            return Failure(error.text(fix=False), self._lower, can_keep=False)
        except CarrouselError as error:
            return replace(failure or Failure(str(error)), can_keep=False)
        return failure

    def close(self) -> None:
        """End what is written."""
        if self._out is not None:
            self._out.close()

    def keep(self) -> None:
        """Write the checkpoint, if one was asked for and there is something to keep."""
        self._looked = time.monotonic()
        if self.wish.checkpoint is None or self.learner is None or self._table is None:
            return
        place = Place(
            source=self._source,
            passed=self._passed,
            table=self._table.state() if self._memory is None else self._memory,
            sink=None if self._out is None else self._out.position(),
            counts=self.counts,
            skipped=self.skipped,
            seconds=self._seconds + time.monotonic() - self._began,
        )
        keep(self.wish.checkpoint, self.wish, self.learner, place)
        self.rows.commit(Position.of(self._source))
        self.kept_at = time.monotonic()


def rows_at_once(wish: Wish, taken: Taken) -> int:
    """Rows between two looks: of what was asked for alone, so that every run writes the same."""
    units = 4 * wish.cells
    products = units * (wish.cells + len(taken.columns) + 1)
    if wish.gradient not in ("truncated", "snap:1", "uoro"):
        products *= units
    return max(1, min(ROWS_AT_ONCE, int(PRODUCTS_AT_ONCE / products)))


def schema_of(wish: Wish, batch: Batch) -> tuple[Schema, str]:
    """What the fields are and what task that makes."""
    column, task = wish.column, wish.task
    if column not in batch.fields:
        near = suggestion(column, batch.fields)
        option = "target" if wish.target else "predict-next"
        raise UnknownNameError(f"{option}: {batch.name} has no field {column!r}; {near}")
    numbers = (column,) if task == "regression" else ()
    categories = list(names(wish.categories))
    if task in ("binary", "multiclass", "next") and column not in categories:
        categories.append(column)
    schema = Schema.of(
        batch,
        target=wish.target,
        key=wish.key,
        time=wish.time,
        numbers=numbers,
        categories=categories,
        ignore=wish.ignored,
        inputs=(column,) if task == "next" else None,
    )
    if task == "auto":
        ahead = wish.predict_next is not None
        number = column in schema.numbers if ahead else schema.target_kind == "number"
        alone = ahead and schema.inputs == (column,)
        task = "regression" if number else "next" if alone else "multiclass"
    return schema, task
