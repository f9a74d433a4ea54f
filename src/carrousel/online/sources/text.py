"""Rows of CSV or JSON lines from a file, a pipe or standard input, as soon as they are complete."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from carrousel.errors import CarrouselError, DataError
from carrousel.online.closing import Closing
from carrousel.online.sources.bytes import ByteSource, SourceEvent
from carrousel.online.sources.records import RecordFormat, Records
from carrousel.online.sources.types import MAX_ROWS as MAX_ROWS
from carrousel.online.sources.types import Batch as Batch
from carrousel.online.sources.types import Fault as Fault
from carrousel.online.sources.types import Position as Position
from carrousel.online.sources.types import RowSource as RowSource
from carrousel.online.sources.types import Stop as Stop
from carrousel.online.sources.types import check_fields, check_same_fields

_BOM = b"\xef\xbb\xbf"
_AROUND = 512  # bytes at the beginning and before a position that identify a file
_LONGEST = 1 << 24  # most bytes of a line; a longer one is not text
_MOST_BROKEN = 1000  # rows at the beginning without a valid one, after which reading fails
_REPLAY = (
    "send the same data from their beginning; to learn new data only, begin another stream with "
    "this checkpoint as its start (start=..., --start-from)"
)


class TextSource(Closing):
    """Rows of CSV or JSON lines; see :class:`RowSource` and :func:`open_rows`."""

    def __init__(
        self,
        name: str,
        data: ByteSource,
        format: RecordFormat,
        fields: tuple[str, ...] | None,
        start: Position | None,
        *,
        follow: bool,
    ) -> None:
        self.name = name
        self._data, self._format, self._fields = data, format, fields
        self._buffer = b""
        self._head = self._last = b""  # first and last bytes of the records returned so far
        self._header_due = format.header  # the next record names the fields
        self._header_again = False  # the next record may repeat the header
        self._ended = False
        self._skip = 0  # bytes of a replayed source to skip
        self._position = Position(fields=fields)
        if start is not None:
            self._resume(start, follow=follow)

    @property
    def fields(self) -> tuple[str, ...] | None:
        return self._fields

    @property
    def position(self) -> Position:
        return self._position

    def commit(self, position: Position) -> None:
        """No-op: a file stores no consumer offset."""

    def close(self) -> None:
        self._data.close()
        self._ended = True

    def __iter__(self) -> TextSource:
        return self

    def __next__(self) -> Batch:
        try:
            batch = self._next()
        except CarrouselError:
            self.close()
            raise
        if batch is None:
            self.close()
            raise StopIteration
        return batch

    def _next(self) -> Batch | None:
        while not self._ended:
            batch = self._next_batch(final=False)
            if batch is not None:
                return batch
            event = self._data.read()
            if isinstance(event, bytes):
                self._buffer += self._after_skipped(event)
            elif event is SourceEvent.TICK:
                columns = [() for _ in self._fields or ()]
                return Batch(range(0), self._fields or (), columns, (), self._position, self.name)
            elif event is SourceEvent.STOPPED:
                self._ended = True
            else:  # the source or this file has ended, so its last line is complete
                batch = self._next_batch(final=True)
                if event is SourceEvent.REPLACED:
                    self._start_new_file()
                else:
                    self._ended = True
                    self._check_ended()
                if batch is not None:
                    return batch
        return None

    # --- records -----------------------------------------------------------------------------

    def _next_batch(self, *, final: bool) -> Batch | None:
        """Return the next rows of the buffer; None if there are none besides a header."""
        if self._position.offset == 0 and self._buffer.startswith(_BOM):
            self._advance(Records([], (), {}, len(_BOM), 0))
        while True:
            records = self._records(final=final)
            if records is None or not (records.n_bytes or records.rows):
                return None
            first = self._position.line
            self._name_fields(records, final=final)
            if self._fields is None and records.rows:
                return None  # keep broken rows until a valid one names the fields
            self._advance(records)
            if records.rows:
                assert self._fields is not None
                columns, faults = self._format.columns(records, self._fields)
                lines = _shifted(records.lines, first)
                end, known = self._position, self._fields
                return Batch(lines, known, columns, tuple(faults), end, self.name)

    def _records(self, *, final: bool) -> Records | None:
        if not self._buffer:
            return None
        if final:
            return self._format.split(self._buffer, final=True)
        n_lines = MAX_ROWS
        while True:
            part = _first_lines(self._buffer, n_lines)
            records = self._format.split(part, final=False)
            if records.n_bytes:
                return records
            if len(part) == len(self._buffer):
                if len(part) > _LONGEST:
                    raise DataError(
                        f"the line is longer than {_LONGEST} bytes",
                        source=self.name,
                        line=self._position.line,
                        fix="check that the source is text",
                    )
                return None
            n_lines *= 2  # one record with many lines

    def _name_fields(self, records: Records, *, final: bool) -> None:
        """Read the names of the fields from the first record, and skip a header."""
        if not records.rows:
            return
        if self._header_due:
            if 0 in records.bad:
                line = self._position.line + records.lines[0]
                why = f"the header cannot be read: {records.bad[0][1]}"
                raise DataError(why, source=self.name, line=line)
            self._fields = check_fields(self.name, self._format.names(records.rows[0]))
            self._header_due = False
            _drop_first(records)
        elif self._header_again:
            self._header_again = False
            names = tuple(map(str.strip, self._format.names(records.rows[0])))
            if names == self._fields:
                _drop_first(records)
            elif set(names) == set(self._fields or ()):
                raise DataError("the new file has its columns in another order", source=self.name)
        elif self._fields is None:
            good = (row for i, row in enumerate(records.rows) if row and i not in records.bad)
            first = next(good, None)
            if first is not None:
                self._fields = check_fields(self.name, self._format.names(first))
            elif final or len(records.rows) >= _MOST_BROKEN:
                line = self._position.line + records.lines[0]
                why = records.bad.get(0, ("", "it is empty"))[1]
                n = len(records.rows)
                raise DataError(
                    f"none of the first {n} rows can be read; line {line}: {why}", source=self.name
                )

    def _advance(self, records: Records) -> None:
        """Remove records from the buffer, and update the position."""
        taken, self._buffer = self._buffer[: records.n_bytes], self._buffer[records.n_bytes :]
        if len(self._head) < _AROUND:
            self._head = (self._head + taken[:_AROUND])[:_AROUND]
        self._last = (self._last + taken[-_AROUND:])[-_AROUND:]
        self._position = Position(
            line=self._position.line + records.n_lines,
            offset=self._position.offset + records.n_bytes,
            row=self._position.row + len(records.rows),
            fields=self._fields,
            mark=_digest(self._head + self._last),
        )

    # --- beginnings and ends -----------------------------------------------------------------

    def _start_new_file(self) -> None:
        """Continue with another file, which may repeat the header."""
        self._head = self._last = self._buffer = b""
        self._header_again = self._format.header and not self._header_due
        self._position = Position(row=self._position.row, fields=self._fields)

    def _check_ended(self) -> None:
        if self._skip:
            raise DataError(
                f"the source ended {self._skip} bytes before the position to resume from",
                source=self.name,
                fix=_REPLAY,
            )
        if self._header_due:
            expected = "a first line with the names of the fields"
            problem = f"the source is empty, expected {expected}"
            raise DataError(problem, source=self.name, expected=expected)

    def _resume(self, start: Position, *, follow: bool) -> None:
        self._fields = check_same_fields(self._fields, start)
        self._position = Position(row=start.row, fields=self._fields)
        if start.offset == 0 and start.line == 1:
            self._header_again = self._header_due and self._fields is not None
            self._header_due = self._header_due and self._fields is None
            return
        self._header_due = False
        if not self._data.can_seek:
            self._skip, self._position = start.offset, start
            return
        around = self._data.seek(start.offset)
        if around and _digest(around) == start.mark:
            size = min(_AROUND, start.offset)
            self._head, self._last, self._position = around[:size], around[-size:], start
            return
        if not follow:
            raise DataError(
                f"the file has changed: its beginning or the bytes before line {start.line} differ",
                source=self.name,
                fix="resume with the same file, or start from the beginning",
            )
        self._data.rewind()  # the file was replaced in the meantime
        self._start_new_file()

    def _after_skipped(self, data: bytes) -> bytes:
        """Return the bytes after those to skip, which must be those that were read before."""
        if not self._skip:
            return data
        taken, data = data[: self._skip], data[self._skip :]
        self._skip -= len(taken)
        self._head = (self._head + taken[:_AROUND])[:_AROUND]
        self._last = (self._last + taken[-_AROUND:])[-_AROUND:]
        mark = self._position.mark
        if not self._skip and mark and _digest(self._head + self._last) != mark:
            raise DataError(
                f"its first {self._position.line - 1} lines are not those that were read before",
                source=self.name,
                fix=_REPLAY,
            )
        return data


def _first_lines(data: bytes, n_lines: int) -> bytes:
    """Return up to a number of lines."""
    if data.count(b"\n") <= n_lines:
        return data
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
    return data[: int(ends[n_lines - 1]) + 1]


def _shifted(lines: Sequence[int], by: int) -> Sequence[int]:
    if isinstance(lines, range):
        return range(lines.start + by, lines.stop + by)
    return [line + by for line in lines]


def _drop_first(records: Records) -> None:
    del records.rows[0]
    records.lines = records.lines[1:]
    records.bad = {index - 1: wrong for index, wrong in records.bad.items()}


def _digest(around: bytes) -> str:
    return hashlib.sha256(around).hexdigest()[:32]
