"""Rows of Arrow data: IPC files and streams (``.arrow``, ``.feather``)."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from carrousel.errors import CarrouselError, DataError, MissingExtraError, SettingError, StoreError
from carrousel.online.closing import Closing
from carrousel.online.sources.types import (
    MAX_ROWS,
    Batch,
    Column,
    Position,
    Stop,
    check_fields,
    check_same_fields,
)

_HEAD = 2**16
"""Most bytes at the beginning of a file that identify it."""


def pyarrow() -> Any:
    """Return the package ``pyarrow``.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        fix = "install it with: pip install 'carrousel[stream]'"
        raise MissingExtraError("Arrow data need pyarrow", fix=fix) from error
    return pyarrow


def open_arrow(
    path: Path | None,
    *,
    fields: Sequence[str] | None,
    start: Position | None,
    stop: Stop | None,
) -> ArrowSource:
    """Open an IPC file or stream.

    Args:
        path: the file; None: standard input, an IPC stream.
        fields: other names for the columns, in their order.
        start, stop: see :func:`carrousel.online.sources.open.open_rows`; a stop takes effect
            between batches.

    Raises:
        StoreError: the file does not exist, is a folder, or cannot be read.
        DataError: the file holds no Arrow data, or ends before ``start``.
        MissingExtraError: pyarrow is not installed.
    """
    pa = pyarrow()
    name = "standard input" if path is None else str(path)
    if path is not None and path.is_dir():
        raise StoreError(f"{name} is a folder", fix="name one file in it")
    try:
        file = sys.stdin.buffer if path is None else path.open("rb")
    except FileNotFoundError as error:
        raise StoreError(f"{name} does not exist", fix="check its name") from error
    except OSError as error:
        raise StoreError(f"{name} cannot be read: {error.strerror}") from error
    try:
        batches, names = _opened(pa, path, file)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        if path is not None:
            file.close()
        raise DataError(
            f"these are not Arrow IPC data: {_first_line(error)}", source=name
        ) from error
    try:
        mark = "" if path is None else _mark(path, start)
        known = check_fields(name, names if fields is None else fields)
        if len(known) != len(names):
            raise SettingError(
                f"fields has {len(known)} names, expected {len(names)}, one for each column",
                source=name,
                argument="fields",
                got=fields,
                expected=f"{len(names)} names",
            )
        known = check_same_fields(known, start) or known
    except CarrouselError:
        if path is not None:
            file.close()
        raise
    return ArrowSource(name, batches, known, start, stop, file if path is not None else None, mark)


def _mark(path: Path, start: Position | None) -> str:
    """Return a digest of the beginning of a file, and the number of bytes that it covers.

    It covers half of a small file, because the end of an IPC file changes if rows are added.

    Raises:
        DataError: the beginning is not that of the file in which ``start`` was reached.
    """
    if not path.is_file():  # a pipe or a device
        return ""
    size = min(_HEAD, path.stat().st_size // 2)
    number = "" if start is None else start.mark.partition(":")[0]
    if number.isdecimal() and len(number) < 9:
        size = min(_HEAD, int(number))
    with path.open("rb") as file:
        found = f"{size}:{hashlib.sha256(file.read(size)).hexdigest()[:32]}"
    if start is not None and start.mark not in ("", found):
        raise DataError(
            "the file has changed: its beginning differs",
            source=str(path),
            fix="resume with the same file, or start from the beginning",
        )
    return found


def _opened(pa: Any, path: Path | None, file: Any) -> tuple[Iterator[Any], list[str]]:
    if path is not None and file.read(6) == b"ARROW1":
        # Not mapped into memory: a mapped file that is truncated kills the process.
        reader = pa.ipc.open_file(file)
        each = (reader.get_batch(number) for number in range(reader.num_record_batches))
        return _valid(each), reader.schema.names
    if path is not None and file.seekable():
        file.seek(0)
    reader = pa.ipc.open_stream(file)
    return _valid(reader), reader.schema.names


def _valid(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield record batches after a check of all their offsets, lengths and texts.

    Arrow trusts these numbers: a damaged one would make it read foreign memory.
    """
    for batch in batches:
        batch.validate(full=True)
        yield batch


class ArrowSource(Closing):
    """Rows of Arrow record batches; see :class:`carrousel.online.sources.types.RowSource`."""

    def __init__(
        self,
        name: str,
        batches: Iterator[Any],
        fields: tuple[str, ...],
        start: Position | None,
        stop: Stop | None,
        file: Any,
        mark: str,
    ) -> None:
        self.name, self.fields, self._mark = name, fields, mark
        self._batches, self._file = batches, file
        self._stop = stop.is_set if isinstance(stop, threading.Event) else stop
        self._skip = 0
        self._left: Any = None  # rest of the current record batch
        self.position = Position(fields=fields, mark=mark)
        if start is not None:
            self._skip, self.position = start.line - 1, start

    def commit(self, position: Position) -> None:
        """No-op: a file stores no consumer offset."""

    def close(self) -> None:
        self._batches, self._left = iter(()), None
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> ArrowSource:
        return self

    def __next__(self) -> Batch:
        if self._stop is not None and self._stop():
            self._batches, self._left = iter(()), None
        while self._left is None or not self._left.num_rows:
            self._left = self._following()
            if self._skip:
                passed = min(self._skip, self._left.num_rows)
                self._skip -= passed
                self._left = self._left.slice(passed)
        taken, self._left = self._left.slice(0, MAX_ROWS), self._left.slice(MAX_ROWS)
        first, count = self.position.line, taken.num_rows
        self.position = Position(
            line=first + count,
            row=self.position.row + count,
            fields=self.fields,
            mark=self._mark,
        )
        columns = [
            self._plain(name, column)
            for name, column in zip(self.fields, taken.columns, strict=True)
        ]
        lines = range(first, first + count)
        return Batch(lines, self.fields, columns, (), self.position, self.name, unit="row")

    def _plain(self, name: str, column: Any) -> Column:
        pa = pyarrow()
        try:
            return _plain(column)
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise DataError(
                f"column {name!r} of type {column.type} cannot be read: {_first_line(error)}",
                source=self.name,
                fix="convert it to numbers or text",
            ) from error

    def _following(self) -> Any:
        pa = pyarrow()
        try:
            return next(self._batches)
        except StopIteration:
            stopped = self._stop is not None and self._stop()
            self.close()
            if self._skip and not stopped:
                raise DataError(
                    f"the data end {self._skip} rows before the position to resume from",
                    source=self.name,
                    fix="resume with the same data",
                ) from None
            raise
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            row = self.position.line
            self.close()
            problem = f"the Arrow data after row {row - 1} are broken: {_first_line(error)}"
            raise DataError(problem, source=self.name) from error


def _plain(column: Any) -> Column:
    """Return numbers without nulls as an array, times as ISO texts, everything else as a list."""
    pa = pyarrow()
    kind = column.type
    if pa.types.is_decimal(kind):
        column, kind = column.cast(pa.float64()), pa.float64()
    if not column.null_count and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return column.to_numpy(zero_copy_only=False)
    values = column.to_pylist()
    if pa.types.is_temporal(kind):
        values = [each.isoformat() if hasattr(each, "isoformat") else each for each in values]
    return values


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
