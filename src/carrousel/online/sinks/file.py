"""Where rows of predictions go: CSV, JSON lines or Arrow, to a file, standard output or a topic.

Whatever is written leaves the program before :meth:`Sink.write` returns. A run that was killed and
goes on from a checkpoint opens its file with the position stored there: what was written after the
checkpoint is cut off and written again, so that the file ends up like that of an undisturbed run.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, runtime_checkable

from carrousel.errors import DataError, SettingError, StoreError
from carrousel.online.closing import Closing
from carrousel.online.sinks.forms import FORMS, check_columns
from carrousel.online.sinks.forms import Columns as Columns

_NOTHING_TO_SYNC = (errno.EINVAL, errno.ESPIPE, errno.ENOTSUP)  # pipes, devices

Mark = int | dict[str, int]
"""How far a sink has been written: bytes of a file, or messages of each partition of a topic."""


@runtime_checkable
class Sink(Protocol):
    """Takes rows, batch by batch, and is a context that closes it.

    Attributes:
        name: for messages.
        format: ``"csv"``, ``"jsonl"`` or ``"arrow"``.
        keyed: whether rows may have keys, as the messages of a topic.
        write: append rows; they have left the program when it returns. All calls name the same
            columns in the same order. Rows of a topic may have keys, others must not.
        position: how far it has been written, for a checkpoint; everything up to there is on disk.
        close: end the data and close the file; standard output stays open.
    """

    name: str
    format: str
    keyed: bool

    def write(self, columns: Columns, keys: Sequence[str | None] | None = None) -> None: ...
    def position(self) -> Mark: ...
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
        self._path, self._begun = path, bool(start)
        self._names: tuple[str, ...] | None = None
        self.format, self._form = format, FORMS[format]()
        self._size = start or 0
        self._fd = -1
        if path is None:
            sys.stdout.flush()
        else:
            self._fd = self._open(path, start)

    def _open(self, path: Path, start: int | None) -> int:
        try:
            way = os.O_RDWR if start else os.O_WRONLY
            opened = os.open(path, way | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from error
        try:
            size = os.fstat(opened).st_size
            if start is not None and size < start:
                raise DataError(
                    f"{path} has {size} bytes, but the checkpoint was made after {start}; "
                    "give the file that belongs to it, or start over"
                )
            if start:
                self._names = self._form.names(os.pread(opened, min(start, 1 << 20), 0))
            _cut_off(opened, start or 0)
        except OSError as error:
            os.close(opened)
            raise StoreError(f"{path} cannot be written: {error.strerror}") from error
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
            raise SettingError(f"{self.name} is no topic: its rows have no keys")
        n_rows = check_columns(self.name, columns, self._names)
        self._names = tuple(columns)
        if not n_rows:
            return
        data = self._form.written(columns)
        if not self._begun:
            data = self._form.beginning(columns) + data
            self._begun = True
        self._put(data)

    def _put(self, data: bytes) -> None:
        if self._fd < 0:
            if self._path is not None:
                raise StoreError(f"{self.name} has been closed")
            _put_out(data)
        else:
            left = memoryview(data)
            try:
                while left:
                    left = left[os.write(self._fd, left) :]
            except BrokenPipeError:
                raise
            except OSError as error:
                raise StoreError(f"{self.name} cannot be written: {error.strerror}") from error
        self._size += len(data)

    def position(self) -> int:
        """Bytes written so far; a file's are on disk when this returns."""
        if self._fd >= 0:
            try:
                os.fsync(self._fd)
            except OSError as error:  # a pipe or a device has nothing to keep
                if error.errno not in _NOTHING_TO_SYNC:
                    raise StoreError(f"{self.name} cannot be written: {error.strerror}") from error
        return self._size

    def close(self) -> None:
        """End the data (Arrow) and close the file."""
        if self._begun and (self._fd >= 0 or self._path is None):
            self._put(self._form.end)
            self._begun = self._path is not None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _cut_off(opened: int, size: int) -> None:
    """Make a file so long; what cannot be cut off, such as a pipe, is written from where it is."""
    try:
        os.ftruncate(opened, size)
        os.lseek(opened, size, os.SEEK_SET)
    except OSError as error:
        if error.errno not in _NOTHING_TO_SYNC:
            raise


def _put_out(data: bytes) -> None:
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # stands for another stream, one of text
        sys.stdout.write(data.decode("utf-8"))
        sys.stdout.flush()
    else:
        buffer.write(data)
        buffer.flush()
