"""Conversion of raw rows to columns of numbers and labels, and the handling of bad rows.

A row is bad if it is broken as a whole; if an input is missing, not a number, not finite or not
among the fixed categories; if the key is missing; if the time is missing, unreadable or earlier
than that of the row before; or if a target is present but not a number. A *missing* target is never
a problem, because labels often arrive late or never. Such rows are predicted but not learned, and
counted as ``"no target"``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import numpy as np

from carrousel.checks import check_choice, check_int
from carrousel.errors import DataError
from carrousel.online.clean.calendar import calendar_columns
from carrousel.online.clean.rows import CleanRows, RowProblem, count_absent, is_absent
from carrousel.online.clean.schema import Schema
from carrousel.online.clean.values import MISSING, Problems, labels, numbers, shown, times
from carrousel.online.sources.types import MAX_ROWS, Batch, Column
from carrousel.shapes import Floats, Ints

OnError = Literal["fail", "skip", "hold"]
ON_ERROR: tuple[OnError, ...] = get_args(OnError)


class Cleaner:
    """Converts the batches of one stream, and keeps each key's last time and last good values.

    Args:
        schema: the roles of the fields.
        forget_after: rows after which a key that has not occurred is dropped, with its last time
            and values. This bounds the memory if new keys keep appearing.
        missing: ``"error"``: a missing input is a problem; ``"mean"``: it stays NaN or None.

    >>> from carrousel.online.sources.text import Batch, Position
    >>> batch = Batch(range(2, 5), ("x", "y"), [("1", "oops", "3"), ("0.5", "1", "")], (),
    ...               Position(), "rows.csv")
    >>> cleaner = Cleaner(Schema.of(batch, target="y"))
    >>> clean = cleaner.clean(batch)
    >>> clean.columns, str(clean.failure.error("rows.csv"))
    ({'x': array([1.])}, "rows.csv: line 3, column 'x': value 'oops' is not a number")
    >>> clean = cleaner.clean(batch, on_error="skip")
    >>> clean.rows.tolist(), clean.targets.tolist(), clean.counts["no target"]
    ([0, 2], [0.5, nan], 1)
    >>> cleaner.clean(batch, on_error="hold").columns
    {'x': array([1., 1., 3.])}
    """

    def __init__(
        self, schema: Schema, *, forget_after: int = 100_000, missing: str = "error"
    ) -> None:
        self.schema = schema
        self.missing = check_choice("missing", missing, ("error", "mean"))
        self.counts: Counter[str] = Counter()
        self._forget_after = check_int("forget_after", forget_after, minimum=MAX_ROWS)
        self._seen: dict[str | None, int] = {}  # key -> number of its last row
        self._clocks: dict[str | None, float] = {}  # key -> time of its last row
        self._held: dict[str | None, list[Any]] = {}  # key -> its last good inputs
        self._gap = 0.0  # time between the last row and that before of its key
        self._prune_above = MAX_ROWS  # number of keys at which old ones are looked for

    def clean(self, batch: Batch, on_error: str = "fail") -> CleanRows:
        """Convert the usable rows of the stream's next batch.

        Args:
            batch: its fields are those of the schema.
            on_error: how bad rows are handled.

                ``"fail"``: only the rows before the first bad one are returned; ``failure`` is its
                problem.
                ``"skip"``: bad rows are left out.
                ``"hold"``: a bad input, or an unreadable time, is replaced by the last good value
                of its field and key; a bad target counts as missing. Rows that are broken as a
                whole, have no key, go back in time, or have no last good value are left out.

        Raises:
            DataError: the batch has other fields than the schema.
            UnknownNameError: ``on_error`` is none of these.
        """
        check_choice("on_error", on_error, ON_ERROR)
        if batch.fields != self.schema.fields:
            raise DataError(
                f"{batch.name} has fields {batch.fields}, expected {self.schema.fields}"
            )
        return _BatchCleaner(self, batch, on_error).clean()

    def state(self) -> dict[str, Any]:
        """Return the state as a value that JSON can hold."""
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
            "gap": self._gap,
        }

    @staticmethod
    def from_state(state: Mapping[str, Any]) -> Cleaner:
        """Create a cleaner in the state that :meth:`state` returned.

        Raises:
            DataError: the state is invalid.
        """
        try:
            cleaner = Cleaner(
                Schema.from_dict(state["schema"]),
                forget_after=state["forget_after"],
                missing=state["missing"],
            )
            cleaner.counts.update(state["counts"])
            cleaner._gap = float(state.get("gap", 0.0))
            keys = state["keys"]
            cleaner._seen = dict(zip(keys, state["seen"], strict=True))
            clocks = zip(keys, state["clocks"], strict=True)
            cleaner._clocks = {key: time for key, time in clocks if time is not None}
            held = zip(keys, state["held"], strict=True)
            cleaner._held = {key: list(row) for key, row in held if row is not None}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("this is not the state of a cleaner of rows") from error
        return cleaner

    def _prune(self) -> None:
        """Drop the keys that have not occurred for ``forget_after`` rows."""
        if len(self._seen) <= self._prune_above:
            return
        now = self.counts["rows"]
        for key in [key for key, row in self._seen.items() if now - row > self._forget_after]:
            del self._seen[key]
            self._clocks.pop(key, None)
            self._held.pop(key, None)
        self._prune_above = max(MAX_ROWS, 2 * len(self._seen))


class _BatchCleaner:
    """Cleans one batch, one role of fields after the other."""

    def __init__(self, cleaner: Cleaner, batch: Batch, on_error: str) -> None:
        self.cleaner, self.batch, self.schema = cleaner, batch, cleaner.schema
        self.on_error = on_error
        self.first = cleaner.counts["rows"]  # number of the batch's first row in the stream
        self.left_out = np.zeros(len(batch), bool)
        self.found: list[tuple[int, int, RowProblem]] = []  # row, rank in the row, problem
        self.n_held = 0
        self.label_times: Any = None
        self.gaps = np.full(len(batch), np.nan)  # time since the row before of the same key

    def clean(self) -> CleanRows:
        batch, schema = self.batch, self.schema
        raw = dict(zip(batch.fields, batch.columns, strict=True))
        for fault in batch.faults:
            self._note(fault.row, None, None, (fault.kind, fault.why))
        self.left_out[[fault.row for fault in batch.faults]] = True
        keys = self._keys(raw)
        columns: dict[str, Any] = {}
        problems: dict[str, Problems] = {}
        for name in schema.inputs:
            if name in schema.categories:
                known = schema.categories[name]
                fixed = None if known is None else frozenset(known)
                columns[name], problems[name] = labels(raw[name], fixed)
            else:
                columns[name], problems[name] = numbers(raw[name])
            if self.cleaner.missing == "mean":
                problems[name] = _present(problems[name])
            self._note_all(name, raw[name], problems[name])
        targets = self._targets(raw)
        if self.on_error != "hold":
            for each in problems.values():
                self.left_out[list(each)] = True
        if self.on_error == "fail":
            self.left_out[self._first_bad() :] = True
        self.label_times = self._label_times(raw, targets)
        row_times = self._times(raw, keys)
        if self.on_error == "fail":
            self.left_out[self._first_bad() :] = True
        elif self.on_error == "hold":
            self._hold(columns, problems, keys)
        return self._finish(columns, targets, keys, row_times)

    def _note(self, row: int, field: str | None, value: Any, reason: tuple[str, str]) -> None:
        rank = -1 if field is None else self.schema.fields.index(field)
        line = self.batch.lines[row]
        problem = RowProblem(line, field, value, reason[1], reason[0], self.batch.unit)
        self.found.append((row, rank, problem))

    def _note_all(self, name: str, raw: Column, problems: Problems) -> None:
        """Note the problems of one column, except in rows that are left out already."""
        for row in [row for row in problems if self.left_out[row]]:
            del problems[row]
        for row, reason in problems.items():
            self._note(row, name, raw[row], reason)

    def _keys(self, raw: Mapping[str, Column]) -> list[str | None] | None:
        if self.schema.key is None:
            return None if self.batch.keys is None else list(self.batch.keys)
        keys, problems = labels(raw[self.schema.key])
        self._note_all(self.schema.key, raw[self.schema.key], problems)
        self.left_out[list(problems)] = True
        return keys

    def _targets(self, raw: Mapping[str, Column]) -> Any:
        schema = self.schema
        columns: list[Any] = []
        for name in schema.targets:
            if schema.target_kind == "number":
                column, problems = numbers(raw[name])
            else:
                fixed = None if schema.target_labels is None else frozenset(schema.target_labels)
                column, problems = labels(raw[name], fixed)
            problems = _present(problems)
            self._note_all(name, raw[name], problems)
            if self.on_error != "hold":
                self.left_out[list(problems)] = True
            columns.append(column)
        if len(columns) > 1:
            return np.column_stack(columns)
        return columns[0] if columns else None

    def _label_times(self, raw: Mapping[str, Column], targets: Any) -> Any:
        """Convert the times at which targets become known; a target without one is bad."""
        name = self.schema.label_time
        if name is None:
            return None
        values, problems = times(raw[name], timestamps=self.schema.clock == "timestamp")
        problems = {row: why for row, why in problems.items() if not is_absent(targets, row)}
        self._note_all(name, raw[name], problems)
        bad = list(problems)
        if self.on_error != "hold":
            self.left_out[bad] = True
        elif isinstance(targets, list):
            for row in bad:
                targets[row] = None
        else:
            targets[bad] = np.nan
        return values

    def _times(self, raw: Mapping[str, Column], keys: Sequence[str | None] | None) -> Any:
        """Convert the times; leave out rows that go back in time within their key."""
        name = self.schema.time
        if name is None:
            return None
        values, problems = times(raw[name], timestamps=self.schema.clock == "timestamp")
        self._note_all(name, raw[name], problems)
        hold = self.on_error == "hold"
        last: dict[str | None, float] = {}
        for row in np.flatnonzero(~self.left_out).tolist():
            key = None if keys is None else keys[row]
            before = last[key] if key in last else self._stored(self.cleaner._clocks, key, row)
            if row in problems:
                if not hold or before is None:
                    self.left_out[row] = True
                    if self.on_error == "fail":
                        break
                    continue
                values[row] = before
                self.n_held += 1
            elif before is not None and values[row] < before:
                why = f"time {shown(_plain(raw[name][row]))} is earlier than that of the row before"
                self._note(row, name, raw[name][row], ("runs backwards", why))
                self.left_out[row] = True
                if self.on_error == "fail":
                    break
                continue
            self.gaps[row] = math.nan if before is None else values[row] - before
            last[key] = float(values[row])
        self.cleaner._clocks.update(last)
        return values

    def _hold(
        self,
        columns: dict[str, Any],
        problems: Mapping[str, Problems],
        keys: Sequence[str | None] | None,
    ) -> None:
        """Replace each bad input by the last good value of the same key."""
        rows = np.flatnonzero(~self.left_out).tolist()
        gaps: set[int] = set()
        for place, name in enumerate(columns):
            if not problems[name]:
                continue
            array = isinstance(columns[name], np.ndarray)
            column = columns[name].tolist() if array else columns[name]
            last: dict[str | None, Any] = {}
            for row in rows:
                key = None if keys is None else keys[row]
                if row in problems[name]:
                    if key not in last:
                        held = self._stored(self.cleaner._held, key, row)
                        last[key] = None if held is None else held[place]
                    if last[key] is None:
                        gaps.add(row)
                    else:
                        self.n_held += 1
                    column[row] = last[key]
                else:
                    last[key] = column[row]
            columns[name] = np.array(column, dtype=np.float64) if array else column
        self._update_held(columns, keys, rows)
        self.left_out[list(gaps)] = True

    def _stored(self, stored: Mapping[str | None, Any], key: str | None, row: int) -> Any:
        """Return a key's value from earlier batches, unless it is too old."""
        seen = self.cleaner._seen.get(key)
        if seen is None or self.first + row - seen > self.cleaner._forget_after:
            return None
        return stored.get(key)

    def _update_held(
        self, columns: Mapping[str, Any], keys: Sequence[str | None] | None, rows: Sequence[int]
    ) -> None:
        last = {None if keys is None else keys[row]: row for row in rows}
        held: list[list[Any]] = []
        for column in columns.values():
            values = [column[row] for row in last.values()]
            if isinstance(column, np.ndarray):  # NaN: no good value so far
                values = [None if math.isnan(each) else float(each) for each in values]
            held.append(values)
        for place, (key, row) in enumerate(last.items()):
            self.cleaner._held[key] = [values[place] for values in held]
            self.cleaner._seen[key] = self.first + row

    def _calendar(
        self, row_times: Annotated[Floats, "N"], gaps: Annotated[Floats, "N"]
    ) -> dict[str, Annotated[Floats, "N"]]:
        """Return the inputs from times; the first row of a key repeats the last gap of any key."""
        unit, name = self.schema.calendar or 0.0, self.schema.time or ""
        known = np.concatenate([[self.cleaner._gap], gaps])
        last = np.maximum.accumulate(np.where(np.isnan(known), 0, np.arange(len(known))))
        filled = known[last]
        self.cleaner._gap = float(filled[-1])
        return calendar_columns(name, row_times * unit, filled[1:] * (unit or 1.0), bool(unit))

    def _first_bad(self) -> int:
        return min((row for row, _, _ in self.found), default=len(self.batch))

    def _finish(
        self, columns: Mapping[str, Any], targets: Any, keys: Any, row_times: Any
    ) -> CleanRows:
        batch, cleaner, schema = self.batch, self.cleaner, self.schema
        self.found.sort(key=lambda each: each[:2])
        failure = None
        if self.on_error == "fail" and self.found:
            self.found, failure = self.found[:1], self.found[0][2]
        rows = np.flatnonzero(~self.left_out)
        whole = len(rows) == len(batch)
        kept = [] if whole else rows.tolist()
        picked = {name: _picked(column, rows, whole) for name, column in columns.items()}
        targets, keys = _picked(targets, rows, whole), _picked(keys, rows, whole)
        row_times = _picked(row_times, rows, whole)
        label_times = _picked(self.label_times, rows, whole)
        if schema.calendar is not None and row_times is not None:
            picked |= self._calendar(row_times, self.gaps[rows])
        n_read = len(batch) if failure is None else self.found[0][0]
        counts = Counter(rows=n_read, kept=len(rows), skipped=n_read - len(rows))
        counts["held"] = self.n_held
        if targets is not None:
            counts["no target"] = count_absent(targets)
        counts.update(problem.kind for _, _, problem in self.found)
        if keys is None:
            if len(rows):
                cleaner._seen[None] = self.first + int(rows[-1])
        else:
            cleaner._seen.update(zip(keys, (rows + self.first).tolist(), strict=True))
        cleaner.counts.update(counts)
        cleaner._prune()
        lines = batch.lines if whole else [batch.lines[row] for row in kept]
        problems = [problem for _, _, problem in self.found]
        return CleanRows(
            *(rows, lines, picked, targets, keys, row_times, problems, failure, counts, label_times)
        )


def _present(problems: Problems) -> Problems:
    """The problems of values that are present."""
    return {row: reason for row, reason in problems.items() if reason != MISSING}


def _picked(column: Any, rows: Annotated[Ints, "N"], whole: bool) -> Any:
    if whole or column is None:
        return column
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
