"""Sinks of predictions, and the sink that writes to a file or to standard output.

Rows are flushed to the operating system when :meth:`Sink.write` returns. A run that resumes from a
checkpoint opens its file with the position stored there. Rows after it are removed and written
again, so that the file ends up like that of an uninterrupted run.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, TextIO, runtime_checkable

from carrousel.errors import DataError, SettingError, StoreError
from carrousel.files import held
from carrousel.online.closing import Closing
from carrousel.online.sinks.forms import FORMATS, check_columns
from carrousel.online.sinks.forms import Columns as Columns
from carrousel.words import printable

_NOT_A_FILE = (errno.EINVAL, errno.ESPIPE, errno.ENOTSUP)  # fsync on a pipe or a device

SinkPosition = int | dict[str, int]
"""End of the rows written: bytes of a file, or the next offset of each partition of a topic."""


@runtime_checkable
class Sink(Protocol):
    """A sink of rows, written batch by batch, and a context manager that closes it.

    Attributes:
        name: the file, ``standard output`` or the topic, for messages.
        format: ``"csv"``, ``"jsonl"`` or ``"arrow"``.
        keyed: whether rows may have keys, as the messages of a topic.
        write: append rows; they are flushed to the operating system when it returns. All calls name
            the same columns in the same order. Only rows of a topic may have keys.
        position: the end of the rows written, for a checkpoint; all of them are on disk.
        close: end the data and close the file; standard output stays open.
    """

    name: str
    format: str
    keyed: bool

    def write(self, columns: Columns, keys: Sequence[str | None] | None = None) -> None: ...
    def position(self) -> SinkPosition: ...
    def close(self) -> None: ...
    def __enter__(self) -> Sink: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class FileSink(Closing):
    """A file, or standard output; see :func:`open_sink`."""

    keyed = False

    def __init__(self, path: Path | None, format: str, start: int | None) -> None:
        self.name = "standard output" if path is None else str(path)
        self._path, self._started = path, bool(start)
        self._names: tuple[str, ...] | None = None
        self.format, self._format = format, FORMATS[format]()
        self._size = start or 0
        self._fd = -1
        self._lock = ExitStack()
        if path is None:
            sys.stdout.flush()
        else:
            self._fd = self._open(path, start)

    def _open(self, path: Path, start: int | None) -> int:
        if path.is_file() or not path.exists():  # several may write to a pipe or a device
            self._lock.enter_context(held(path))
        try:
            return self._opened(path, start)
        except BaseException:
            self._lock.close()
            raise

    def _opened(self, path: Path, start: int | None) -> int:
        try:
            mode = os.O_RDWR if start else os.O_WRONLY
            opened = os.open(path, mode | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            raise _unwritable(str(path), error) from error
        try:
            size = os.fstat(opened).st_size
            if start is not None and size < start:
                raise DataError(
                    f"the file has {size} bytes, but had {start} at the checkpoint",
                    source=str(path),
                    fix="use the file of this checkpoint, or start from the beginning",
                )
            if start:
                self._names = self._format.names(os.pread(opened, min(start, 1 << 20), 0))
            _truncate(opened, start or 0)
        except OSError as error:
            os.close(opened)
            raise _unwritable(str(path), error) from error
        except BaseException:
            os.close(opened)
            raise
        return opened

    def write(self, columns: Columns, keys: Sequence[str | None] | None = None) -> None:
        """Append rows.

        Raises:
            ShapeError: columns have unequal lengths, or other names than before.
            StoreError: the file cannot be written.
        """
        if keys is not None:
            problem = "only the rows of a topic have keys"
            raise SettingError(problem, source=self.name, argument="keys")
        n_rows = check_columns(self.name, columns, self._names)
        self._names = tuple(columns)
        if not n_rows:
            return
        data = self._format.rows(columns)
        if not self._started:
            data = self._format.header(columns) + data
            self._started = True
        self._send(data)

    def _send(self, data: bytes) -> None:
        if self._fd < 0:
            if self._path is not None:
                raise StoreError("the sink is closed", source=self.name)
            _write_to_stdout(data)
        else:
            left = memoryview(data)
            try:
                while left:
                    left = left[os.write(self._fd, left) :]
            except BrokenPipeError:
                raise
            except OSError as error:
                raise _unwritable(self.name, error) from error
        self._size += len(data)

    def position(self) -> int:
        """Return the number of bytes written; those of a file are on disk."""
        if self._fd >= 0:
            try:
                os.fsync(self._fd)
            except OSError as error:  # a pipe or a device
                if error.errno not in _NOT_A_FILE:
                    raise _unwritable(self.name, error) from error
        return self._size

    def close(self) -> None:
        """End the data (Arrow) and close the file."""
        if self._started and (self._fd >= 0 or self._path is None):
            self._send(self._format.end)
            self._started = self._path is not None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._lock.close()


def _unwritable(name: str, error: OSError) -> StoreError:
    return StoreError(f"{name} cannot be written: {error.strerror}")


def _truncate(opened: int, size: int) -> None:
    """Truncate a file; pipes and devices are written from their current position."""
    try:
        os.ftruncate(opened, size)
        os.lseek(opened, size, os.SEEK_SET)
    except OSError as error:
        if error.errno not in _NOT_A_FILE:
            raise


class _Encoded:
    """A text stream as a stream of bytes in UTF-8."""

    def __init__(self, text: TextIO) -> None:
        self._text, self.flush = text, text.flush

    def write(self, data: bytes) -> None:
        self._text.write(data.decode("utf-8"))


def _write_to_stdout(data: bytes) -> None:
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # sys.stdout was replaced by a text stream
        buffer = _Encoded(sys.stdout)
    if sys.stdout.isatty():  # data may hold sequences that a terminal executes
        lines = data.decode("utf-8", "replace").split("\n")
        data = "\n".join(map(printable, lines)).encode()
    try:
        buffer.write(data)
        buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritable("standard output", error) from error
