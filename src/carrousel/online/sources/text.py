"""Rows of a stream, as soon as they are there: files, pipes, standard input, topics.

``open_rows`` opens a source; iterating over it gives batches of raw columns
(:class:`Batch`), which :mod:`carrousel.online.clean.cleaner` makes numbers of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from carrousel.errors import CarrouselError, DataError, SettingError
from carrousel.online.closing import Closing
from carrousel.online.sources.bytes import Inflow, News
from carrousel.online.sources.records import Format, Records
from carrousel.online.sources.types import MAX_ROWS as MAX_ROWS
from carrousel.online.sources.types import Batch as Batch
from carrousel.online.sources.types import Fault as Fault
from carrousel.online.sources.types import Position as Position
from carrousel.online.sources.types import Rows as Rows
from carrousel.online.sources.types import Stop as Stop
from carrousel.online.sources.types import check_fields

_BOM = b"\xef\xbb\xbf"
_AROUND = 512  # bytes at the beginning and before a position that tell one file from another
_LONGEST = 1 << 24  # bytes; a longer line is no line
_HOPELESS = 1000  # broken rows at the beginning, after which no name of a field is expected


class TextRows(Closing):
    """Rows of CSV or JSON lines; see :class:`Rows` and :func:`open_rows`."""

    def __init__(
        self,
        name: str,
        inflow: Inflow,
        format: Format,
        fields: tuple[str, ...] | None,
        start: Position | None,
        *,
        follow: bool,
    ) -> None:
        self.name = name
        self._inflow, self._format, self._fields = inflow, format, fields
        self._buffer = b""
        self._head = self._last = b""  # of what has been taken: its beginning, its end
        self._header_due = format.header  # the next record names the fields
        self._header_again = False  # the next record may be the header once more
        self._ended = False
        self._skip = 0  # lines of a replayed source to pass over
        self._here = Position(fields=fields)
        if start is not None:
            self._resume(start, follow=follow)

    @property
    def fields(self) -> tuple[str, ...] | None:
        return self._fields

    @property
    def position(self) -> Position:
        return self._here

    def commit(self, position: Position) -> None:
        """Nothing: a file remembers nobody."""

    def close(self) -> None:
        self._inflow.close()
        self._ended = True

    def __iter__(self) -> TextRows:
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
            batch = self._cut(final=False)
            if batch is not None:
                return batch
            news = self._inflow.read()
            if isinstance(news, bytes):
                self._buffer += self._after_skipped(news)
            elif news is News.QUIET:
                columns = [() for _ in self._fields or ()]
                return Batch(range(0), self._fields or (), columns, (), self._here, self.name)
            elif news is News.STOPPED:
                self._ended = True
            else:  # the source, or this file of it, has ended: its last line counts too
                batch = self._cut(final=True)
                if news is News.ANEW:
                    self._begin_anew()
                else:
                    self._ended = True
                    self._check_ended()
                if batch is not None:
                    return batch
        return None

    # --- records -----------------------------------------------------------------------------

    def _cut(self, *, final: bool) -> Batch | None:
        """The next rows of the buffer; None: it holds no complete record, or none but a header."""
        if self._here.offset == 0 and self._buffer.startswith(_BOM):
            self._take(Records([], (), {}, len(_BOM), 0))
        while True:
            records = self._records(final=final)
            if records is None or not (records.n_bytes or records.rows):
                return None
            begins = self._here.line
            self._name_fields(records, final=final)
            if self._fields is None and records.rows:
                return None  # not taken: broken rows wait for one that names the fields
            self._take(records)
            if records.rows:
                assert self._fields is not None
                columns, faults = self._format.columns(records, self._fields)
                lines = _shifted(records.lines, begins)
                end, known = self._here, self._fields
                return Batch(lines, known, columns, tuple(faults), end, self.name)

    def _records(self, *, final: bool) -> Records | None:
        if not self._buffer:
            return None
        if final:
            return self._format.cut(self._buffer, final=True)
        n_lines = MAX_ROWS
        while True:
            part = _first_lines(self._buffer, n_lines)
            records = self._format.cut(part, final=False)
            if records.n_bytes:
                return records
            if len(part) == len(self._buffer):
                if len(part) > _LONGEST:
                    where = f"{self.name}: line {self._here.line}"
                    raise DataError(f"{where} is longer than {_LONGEST} bytes; is this text?")
                return None
            n_lines *= 2  # a record of very many lines

    def _name_fields(self, records: Records, *, final: bool) -> None:
        """Learn the names of the fields from the first record, and pass over a header."""
        if not records.rows:
            return
        if self._header_due:
            if 0 in records.bad:
                where = f"{self.name}: line {self._here.line + records.lines[0]}, the header"
                raise DataError(f"{where}: {records.bad[0][1]}")
            self._fields = check_fields(self.name, self._format.names(records.rows[0]))
            self._header_due = False
            _drop_first(records)
        elif self._header_again:
            self._header_again = False
            names = tuple(map(str.strip, self._format.names(records.rows[0])))
            if names == self._fields:
                _drop_first(records)
            elif set(names) == set(self._fields or ()):
                raise DataError(f"{self.name} was replaced, and its columns have another order now")
        elif self._fields is None:
            good = (row for i, row in enumerate(records.rows) if row and i not in records.bad)
            first = next(good, None)
            if first is not None:
                self._fields = check_fields(self.name, self._format.names(first))
            elif final or len(records.rows) >= _HOPELESS:
                line = self._here.line + records.lines[0]
                why = records.bad.get(0, ("", "it is empty"))[1]
                raise DataError(
                    f"{self.name}: none of its first {len(records.rows)} rows can be read; "
                    f"line {line}: {why}"
                )

    def _take(self, records: Records) -> None:
        """Move on behind records."""
        taken, self._buffer = self._buffer[: records.n_bytes], self._buffer[records.n_bytes :]
        if len(self._head) < _AROUND:
            self._head = (self._head + taken[:_AROUND])[:_AROUND]
        self._last = (self._last + taken[-_AROUND:])[-_AROUND:]
        self._here = Position(
            line=self._here.line + records.n_lines,
            offset=self._here.offset + records.n_bytes,
            row=self._here.row + len(records.rows),
            fields=self._fields,
            mark=_digest(self._head + self._last),
        )

    # --- beginnings and ends -----------------------------------------------------------------

    def _begin_anew(self) -> None:
        """Another file, from its beginning; it may repeat the header."""
        self._head = self._last = self._buffer = b""
        self._header_again = self._format.header and not self._header_due
        self._here = Position(row=self._here.row, fields=self._fields)

    def _check_ended(self) -> None:
        if self._skip:
            raise DataError(
                f"{self.name} ended {self._skip} lines before the place to go on from; "
                "replay it from its beginning"
            )
        if self._header_due:
            raise DataError(f"{self.name} is empty; expected a first line with the fields' names")

    def _resume(self, start: Position, *, follow: bool) -> None:
        if None not in (self._fields, start.fields) and self._fields != start.fields:
            raise SettingError(
                f"fields are {self._fields}, but the place to go on from has {start.fields}"
            )
        self._fields = start.fields or self._fields
        self._here = Position(row=start.row, fields=self._fields)
        if start.offset == 0 and start.line == 1:
            self._header_again = self._header_due and self._fields is not None
            self._header_due = self._header_due and self._fields is None
            return
        self._header_due = False
        if not self._inflow.can_seek:
            self._skip, self._here = start.line - 1, start
            return
        around = self._inflow.seek(start.offset)
        if around and _digest(around) == start.mark:
            size = min(_AROUND, start.offset)
            self._head, self._last, self._here = around[:size], around[-size:], start
            return
        if not follow:
            raise DataError(
                f"{self.name} does not hold what it held: its beginning or the bytes before "
                f"line {start.line} differ; go on with the same file, or start over"
            )
        self._inflow.rewind()  # replaced while nobody looked, as it might have been while followed
        self._begin_anew()

    def _after_skipped(self, data: bytes) -> bytes:
        if self._skip:
            there = data.count(b"\n")
            if there < self._skip:
                self._skip -= there
                return b""
            data = data[len(_first_lines(data, self._skip)) :]
            self._skip = 0
        return data


def _first_lines(data: bytes, n_lines: int) -> bytes:
    """Up to so many lines."""
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
