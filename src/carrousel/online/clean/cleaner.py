"""Raw rows as columns of numbers and labels, and what to do about those that are wrong.

Wrong is: a row that is broken as a whole, an input that is missing, not a number, not finite or not
among its fixed categories, a missing key, a time that is missing, unreadable or runs backwards, and
a target that is there but is no number. A target that is *not* there is never wrong: labels often
come later or never; such rows are predicted, not learned, and counted as ``"no target"``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np

from carrousel.checks import check_choice, check_int
from carrousel.errors import DataError
from carrousel.online.clean.cleaned import Problem as Problem
from carrousel.online.clean.cleaned import Taken as Taken
from carrousel.online.clean.schema import Schema as Schema
from carrousel.online.clean.values import MISSING, Wrong, labels, numbers, shown, times
from carrousel.online.sources.types import MAX_ROWS, Batch, Column
from carrousel.shapes import Ints

OnError = Literal["fail", "skip", "hold"]
ON_ERROR = ("fail", "skip", "hold")


class Table:
    """Turns batches of one stream into numbers, and remembers what later rows must be held against.

    Args:
        schema: what the fields are.
        forget_after: a key that was not met for so many rows is forgotten: its clock starts anew,
            and nothing of it is held. This bounds the memory of streams whose keys never end.
        missing: ``"error"``: an input that is missing is wrong; ``"mean"``: it is not, and stays
            NaN or None.

    >>> from carrousel.online.sources.text import Batch, Position
    >>> batch = Batch(range(2, 5), ("x", "y"), [("1", "oops", "3"), ("0.5", "1", "")], (),
    ...               Position(), "rows.csv")
    >>> table = Table(Schema.of(batch, target="y"))
    >>> taken = table.take(batch)
    >>> taken.columns, taken.failure.at("rows.csv")
    ({'x': array([1.])}, "rows.csv: line 3, column 'x': value 'oops' is not a number")
    >>> taken = table.take(batch, on_error="skip")
    >>> taken.rows.tolist(), taken.targets.tolist(), taken.counts["no target"]
    ([0, 2], [0.5, nan], 1)
    >>> table.take(batch, on_error="hold").columns
    {'x': array([1., 1., 3.])}
    """

    def __init__(
        self, schema: Schema, *, forget_after: int = 100_000, missing: str = "error"
    ) -> None:
        self.schema = schema
        self.missing = check_choice("missing", missing, ("error", "mean"))
        self.counts: Counter[str] = Counter()
        self._forget_after = check_int("forget_after", forget_after, minimum=MAX_ROWS)
        self._seen: dict[str | None, int] = {}  # key -> number of the row it was last met in
        self._clocks: dict[str | None, float] = {}  # key -> time of its last row
        self._held: dict[str | None, list[Any]] = {}  # key -> its last good inputs
        self._roomy = MAX_ROWS  # keys above which it is worth looking for some to forget

    def take(self, batch: Batch, on_error: str = "fail") -> Taken:
        """The rows of a batch that can be used.

        Args:
            batch: the next of the stream; its fields are those of the schema.
            on_error: what becomes of wrong rows.

                ``"fail"``: the rows before the first wrong one are returned, and ``failure`` says
                what is wrong with it.
                ``"skip"``: they are left out.
                ``"hold"``: an input that is wrong is replaced by the last good one of its field and
                key, an unreadable time likewise; a wrong target becomes no target. Left out are
                rows that are broken as a whole, have no key, run backwards, or have nothing to be
                replaced by.

        Raises:
            DataError: the batch has other fields.
            UnknownNameError: there is no such ``on_error``.
        """
        check_choice("on_error", on_error, ON_ERROR)
        if batch.fields != self.schema.fields:
            raise DataError(
                f"{batch.name} has fields {batch.fields}, expected {self.schema.fields}"
            )
        return _Taking(self, batch, on_error).taken()

    def state(self) -> dict[str, Any]:
        """What is remembered, as JSON can hold it."""
        keys = list(self._seen)
        return {
            "schema": self.schema.as_dict(),
            "forget_after": self._forget_after,
            "missing": self.missing,
            "counts": dict(self.counts),
            "keys": keys,
            "seen": [self._seen[key] for key in keys],
            "clocks": [self._clocks.get(key) for key in keys],
            "held": [self._held.get(key) for key in keys],
        }

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Table:
        """A table that goes on where :meth:`state` was called.

        Raises:
            DataError: this is no such state.
        """
        try:
            table = Table(
                Schema.from_dict(state["schema"]),
                forget_after=state["forget_after"],
                missing=state["missing"],
            )
            table.counts.update(state["counts"])
            keys = state["keys"]
            table._seen = dict(zip(keys, state["seen"], strict=True))
            clocks = zip(keys, state["clocks"], strict=True)
            table._clocks = {key: time for key, time in clocks if time is not None}
            held = zip(keys, state["held"], strict=True)
            table._held = {key: list(row) for key, row in held if row is not None}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("this is no state of a table of rows") from error
        return table

    def _forget(self) -> None:
        """Drop the keys that were not met for too long; they count no more in any case."""
        if len(self._seen) <= self._roomy:
            return
        now = self.counts["rows"]
        for key in [key for key, row in self._seen.items() if now - row > self._forget_after]:
            del self._seen[key]
            self._clocks.pop(key, None)
            self._held.pop(key, None)
        self._roomy = max(MAX_ROWS, 2 * len(self._seen))


class _Taking:
    """One batch on its way through a table."""

    def __init__(self, table: Table, batch: Batch, on_error: str) -> None:
        self.table, self.batch, self.schema = table, batch, table.schema
        self.on_error = on_error
        self.first = table.counts["rows"]  # the number of the batch's first row in the stream
        self.out = np.zeros(len(batch), bool)
        self.found: list[tuple[int, int, Problem]] = []  # row, rank in the row, problem
        self.n_held = 0

    def taken(self) -> Taken:
        batch, schema = self.batch, self.schema
        raw = dict(zip(batch.fields, batch.columns, strict=True))
        for fault in batch.faults:
            self._note(fault.row, None, None, (fault.kind, fault.why))
        self.out[[fault.row for fault in batch.faults]] = True
        keys = self._keys(raw)
        columns: dict[str, Any] = {}
        wrong: dict[str, Wrong] = {}
        for name in schema.inputs:
            if name in schema.categories:
                known = schema.categories[name]
                fixed = None if known is None else frozenset(known)
                columns[name], wrong[name] = labels(raw[name], fixed)
            else:
                columns[name], wrong[name] = numbers(raw[name])
            if self.table.missing == "mean":
                wrong[name] = _present(wrong[name])
            self._note_all(name, raw[name], wrong[name])
        targets = self._targets(raw)
        if self.on_error != "hold":
            for each in wrong.values():
                self.out[list(each)] = True
        if self.on_error == "fail":
            self.out[self._first_bad() :] = True
        known_times = self._times(raw, keys)
        if self.on_error == "fail":
            self.out[self._first_bad() :] = True
        elif self.on_error == "hold":
            self._hold(columns, wrong, keys)
        return self._finish(columns, targets, keys, known_times)

    # --- one role after the other ------------------------------------------------------------

    def _note(self, row: int, field: str | None, value: Any, wrong: tuple[str, str]) -> None:
        rank = -1 if field is None else self.schema.fields.index(field)
        line = self.batch.lines[row]
        problem = Problem(line, field, value, wrong[1], wrong[0], self.batch.unit)
        self.found.append((row, rank, problem))

    def _note_all(self, name: str, raw: Column, wrong: Wrong) -> None:
        """Note what is wrong in one column; values of rows that are out mean nothing."""
        for row in [row for row in wrong if self.out[row]]:
            del wrong[row]
        for row, reason in wrong.items():
            self._note(row, name, raw[row], reason)

    def _keys(self, raw: Mapping[str, Column]) -> list[str | None] | None:
        if self.schema.key is None:
            return None if self.batch.keys is None else list(self.batch.keys)
        keys, wrong = labels(raw[self.schema.key])
        self._note_all(self.schema.key, raw[self.schema.key], wrong)
        self.out[list(wrong)] = True
        return keys

    def _targets(self, raw: Mapping[str, Column]) -> Any:
        schema = self.schema
        if schema.target is None:
            return None
        if schema.target_kind == "number":
            targets, wrong = numbers(raw[schema.target])
        else:
            fixed = None if schema.target_labels is None else frozenset(schema.target_labels)
            targets, wrong = labels(raw[schema.target], fixed)
        wrong = _present(wrong)
        self._note_all(schema.target, raw[schema.target], wrong)
        if self.on_error != "hold":
            self.out[list(wrong)] = True
        return targets

    def _times(self, raw: Mapping[str, Column], keys: Sequence[str | None] | None) -> Any:
        """Times of rows; those that run backwards, by key, are out."""
        name = self.schema.time
        if name is None:
            return None
        values, wrong = times(raw[name], timestamps=self.schema.clock == "timestamp")
        self._note_all(name, raw[name], wrong)
        hold = self.on_error == "hold"
        last: dict[str | None, float] = {}
        for row in np.flatnonzero(~self.out).tolist():
            key = None if keys is None else keys[row]
            before = last[key] if key in last else self._recalled(self.table._clocks, key, row)
            if row in wrong:
                if not hold or before is None:
                    self.out[row] = True
                    if self.on_error == "fail":
                        break
                    continue
                values[row] = before
                self.n_held += 1
            elif before is not None and values[row] < before:
                why = f"time {shown(_plain(raw[name][row]))} lies before that of the row before it"
                self._note(row, name, raw[name][row], ("runs backwards", why))
                self.out[row] = True
                if self.on_error == "fail":
                    break
                continue
            last[key] = float(values[row])
        self.table._clocks.update(last)
        return values

    def _hold(
        self, columns: dict[str, Any], wrong: Mapping[str, Wrong], keys: Sequence[str | None] | None
    ) -> None:
        """Put the last good value of the same key in the place of each wrong input."""
        rows = np.flatnonzero(~self.out).tolist()
        gaps: set[int] = set()
        for place, name in enumerate(columns):
            if not wrong[name]:
                continue
            array = isinstance(columns[name], np.ndarray)
            column = columns[name].tolist() if array else columns[name]
            last: dict[str | None, Any] = {}
            for row in rows:
                key = None if keys is None else keys[row]
                if row in wrong[name]:
                    if key not in last:
                        held = self._recalled(self.table._held, key, row)
                        last[key] = None if held is None else held[place]
                    if last[key] is None:
                        gaps.add(row)
                    else:
                        self.n_held += 1
                    column[row] = last[key]
                else:
                    last[key] = column[row]
            columns[name] = np.array(column, dtype=np.float64) if array else column
        self._remember_held(columns, keys, rows)
        self.out[list(gaps)] = True

    def _recalled(self, kept: Mapping[str | None, Any], key: str | None, row: int) -> Any:
        """What earlier batches left of a key, unless that is too long ago."""
        seen = self.table._seen.get(key)
        if seen is None or self.first + row - seen > self.table._forget_after:
            return None
        return kept.get(key)

    def _remember_held(
        self, columns: Mapping[str, Any], keys: Sequence[str | None] | None, rows: Sequence[int]
    ) -> None:
        last = {None if keys is None else keys[row]: row for row in rows}
        held: list[list[Any]] = []
        for column in columns.values():
            values = [column[row] for row in last.values()]
            if isinstance(column, np.ndarray):  # NaN: there has been no good value yet
                values = [None if math.isnan(each) else float(each) for each in values]
            held.append(values)
        for place, (key, row) in enumerate(last.items()):
            self.table._held[key] = [values[place] for values in held]
            self.table._seen[key] = self.first + row

    # --- the end -----------------------------------------------------------------------------

    def _first_bad(self) -> int:
        return min((row for row, _, _ in self.found), default=len(self.batch))

    def _finish(self, columns: Mapping[str, Any], targets: Any, keys: Any, known: Any) -> Taken:
        batch, table = self.batch, self.table
        self.found.sort(key=lambda each: each[:2])
        failure = None
        if self.on_error == "fail" and self.found:
            self.found, failure = self.found[:1], self.found[0][2]
        rows = np.flatnonzero(~self.out)
        whole = len(rows) == len(batch)
        kept = [] if whole else rows.tolist()
        picked = {name: _picked(column, rows, whole) for name, column in columns.items()}
        targets, keys = _picked(targets, rows, whole), _picked(keys, rows, whole)
        known = _picked(known, rows, whole)
        n_looked = len(batch) if failure is None else self.found[0][0]
        counts = Counter(rows=n_looked, kept=len(rows), skipped=n_looked - len(rows))
        counts["held"] = self.n_held
        if targets is not None:
            absent = np.isnan(targets).sum() if isinstance(targets, np.ndarray) else 0
            counts["no target"] = int(absent) or sum(each is None for each in targets)
        counts.update(problem.kind for _, _, problem in self.found)
        if keys is None:
            if len(rows):
                table._seen[None] = self.first + int(rows[-1])
        else:
            table._seen.update(zip(keys, (rows + self.first).tolist(), strict=True))
        table.counts.update(counts)
        table._forget()
        lines = batch.lines if whole else [batch.lines[row] for row in kept]
        problems = [problem for _, _, problem in self.found]
        return Taken(rows, lines, picked, targets, keys, known, problems, failure, counts)


def _present(wrong: Wrong) -> Wrong:
    """What is wrong with values that are there."""
    return {row: reason for row, reason in wrong.items() if reason != MISSING}


def _picked(column: Any, rows: Annotated[Ints, "kept"], whole: bool) -> Any:
    if whole or column is None:
        return column
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
