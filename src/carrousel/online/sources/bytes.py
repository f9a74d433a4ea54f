"""Bytes of a file, a pipe or standard input, returned as soon as they are available."""

from __future__ import annotations

import difflib
import enum
import gzip
import os
import select
import stat
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import IO

from carrousel.checks import check_number
from carrousel.errors import DataError, SettingError, StoreError, escaped
from carrousel.online.sources.types import Stop

BLOCK = 1 << 20
"""Most bytes returned at once."""

_POLL = 0.05  # seconds between two checks of a growing file, or of a request to stop


class SourceEvent(enum.Enum):
    """Results of :meth:`ByteSource.read` other than bytes."""

    END = "the source has ended"
    STOPPED = "a stop was requested, or no bytes arrived for too long"
    TICK = "no bytes arrived for one tick"
    REPLACED = "the file was replaced or truncated; reading continues at its new beginning"


class WaitPolicy:
    """Limits of the time that a source waits for data.

    Args:
        stop: a function or an event that requests the end of the source.
        idle: seconds of waiting without data after which the source ends; None: no limit.
        tick: seconds of waiting after which :data:`SourceEvent.TICK` is returned; None: never.

    Raises:
        SettingError: a number of seconds is out of range.
    """

    def __init__(
        self, stop: Stop | None = None, idle: float | None = None, tick: float | None = None
    ) -> None:
        self._stop = stop.is_set if isinstance(stop, threading.Event) else stop
        self._idle = None if idle is None else check_number("idle", idle, least=0.0)
        self._tick = None if tick is None else check_number("tick", tick, above=0.0)
        self._since_data = self._since_tick = 0.0

    def stop_requested(self) -> bool:
        """Return whether the source should end."""
        return self._stop is not None and self._stop()

    def timeout(self) -> float | None:
        """Return the seconds to wait before the next call of :meth:`waited`; None: no limit."""
        left = [] if self._stop is None else [_POLL]
        left += [] if self._idle is None else [self._idle - self._since_data]
        left += [] if self._tick is None else [self._tick - self._since_tick]
        return max(0.0, min(left)) if left else None

    def waited(self, seconds: float) -> SourceEvent | None:
        """Count seconds without data; return the event to report, or None to continue waiting."""
        self._since_data += seconds
        self._since_tick += seconds
        if self._idle is not None and self._since_data >= self._idle:
            return SourceEvent.STOPPED
        if self._tick is not None and self._since_tick >= self._tick:
            self._since_tick = 0.0
            return SourceEvent.TICK
        return None

    def reset(self) -> None:
        """Restart all limits, because data arrived."""
        self._since_data = self._since_tick = 0.0


class ByteSource:
    """Bytes of one source.

    Args:
        path: a file or a named pipe; None: standard input.
        follow: at the end of a file wait for it to grow, and detect when it is truncated or
            replaced by another of its name, like ``tail -F``.
        wait: limits of waiting.

    Raises:
        StoreError: the file does not exist, is a folder, or cannot be read.
        SettingError: the file is compressed and cannot be followed.
    """

    def __init__(self, path: Path | None, *, follow: bool, wait: WaitPolicy) -> None:
        self.path, self._follow, self._wait = path, follow, wait
        self._file: IO[bytes] | gzip.GzipFile | None = None  # gzip, or a replaced sys.stdin
        self.offset = 0
        if path is None:
            self._fd = self._standard_input()
        else:
            self._fd = _open(path)
            if path.suffix == ".gz":
                if follow:
                    os.close(self._fd)
                    raise SettingError(
                        "a compressed file cannot be followed",
                        source=str(path),
                        argument="follow",
                        got=follow,
                        fix="unpack it",
                    )
                self._packed = os.fdopen(self._fd, "rb")
                self._file = gzip.GzipFile(fileobj=self._packed)
        self.is_file = self._file is None and stat.S_ISREG(os.fstat(self._fd).st_mode)

    def _standard_input(self) -> int:
        if sys.stdin is None:  # Python was started without it
            raise StoreError("standard input is closed", fix="name a file, or pipe rows into it")
        try:
            return sys.stdin.fileno()
        except (OSError, ValueError, AttributeError):  # sys.stdin was replaced and has no file
            self._file = sys.stdin.buffer
            return -1

    @property
    def can_seek(self) -> bool:
        """Whether reading can start at any offset; standard input only continues."""
        return self.path is not None and (self.is_file or self._file is not None)

    def seek(self, offset: int) -> bytes:
        """Continue at an offset.

        Returns:
            Up to 512 bytes from the beginning and up to 512 before the offset; none if the source
            is shorter.
        """
        if self._file is not None:
            return self._seek_by_reading(offset)
        head = os.pread(self._fd, min(512, offset), 0)
        last = os.pread(self._fd, min(512, offset), max(0, offset - 512))
        if os.fstat(self._fd).st_size < offset:
            return b""
        self.offset = os.lseek(self._fd, offset, os.SEEK_SET)
        return head + last

    def _seek_by_reading(self, offset: int) -> bytes:
        head = last = b""
        while self.offset < offset:
            data = self._read_file(min(BLOCK, offset - self.offset))
            if not data:
                return b""
            self.offset += len(data)
            head = (head + data)[:512] if len(head) < 512 else head
            last = (last + data)[-512:]
        return head + last

    def rewind(self) -> None:
        """Return to the beginning of the file."""
        self.offset = os.lseek(self._fd, 0, os.SEEK_SET)

    def read(self) -> bytes | SourceEvent:
        """Return the available bytes, at most :data:`BLOCK`, or the event that ended the wait."""
        while True:
            if self._wait.stop_requested():
                return SourceEvent.STOPPED
            data = self._available()
            if data:
                self.offset += len(data)
                self._wait.reset()
                return data
            if data is not None:
                if not self._follow or self._ends_for_good():
                    return SourceEvent.END
                if self._replaced():
                    return SourceEvent.REPLACED
                seconds = min(_POLL, _or(self._wait.timeout(), _POLL))
                time.sleep(seconds)
            else:
                seconds = _or(self._wait.timeout(), 0.0)  # spent in :meth:`_available`
            event = self._wait.waited(seconds)
            if event is not None:
                return event

    def _ends_for_good(self) -> bool:
        """Return whether nothing can follow: an unnamed pipe without a writer gets no other."""
        return self._file is not None or (self.path is None and not self.is_file)

    def _available(self) -> bytes | None:
        """Return bytes, no bytes at an end, or None if none arrived within the timeout."""
        if self._file is not None:
            return self._read_file(BLOCK)
        try:
            if self.is_file:
                return os.read(self._fd, BLOCK)
            if not select.select([self._fd], [], [], self._wait.timeout())[0]:
                return None
            data = os.read(self._fd, BLOCK)
            parts = [data]  # a pipe holds little, and its writer may have added more
            size = len(data)
            while data and size < BLOCK and select.select([self._fd], [], [], 0)[0]:
                data = os.read(self._fd, BLOCK - size)
                parts.append(data)
                size += len(data)
            return b"".join(parts)
        except OSError as error:
            raise _unreadable(self._name(), error) from error

    def _read_file(self, size: int) -> bytes:
        assert self._file is not None
        try:
            return getattr(self._file, "read1", self._file.read)(size)
        except EOFError as error:
            problem = "the compressed data are cut off"
            raise DataError(problem, source=self._name()) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"this is not a gzip file: {error}", source=self._name()) from error

    def _name(self) -> str:
        return "standard input" if self.path is None else str(self.path)

    def _replaced(self) -> bool:
        """Return whether the file was truncated, or replaced by another, which is then open.

        The old file stays open until the new one is, so that they have different inode numbers.
        Bytes that were appended to the old file before the replacement have been read by then.
        """
        if not self.is_file:
            return False
        old = os.fstat(self._fd)
        if self.path is not None:
            try:
                new = os.stat(self.path)
            except OSError:
                return False  # moved away, and the new one does not exist yet
            if (new.st_dev, new.st_ino) != (old.st_dev, old.st_ino):
                if os.fstat(self._fd).st_size > self.offset:
                    return False  # bytes were appended before the replacement
                try:
                    other = _open(self.path)
                except StoreError:
                    return False
                os.close(self._fd)
                self._fd, self.offset = other, 0
                return True
        if old.st_size < self.offset:
            self.rewind()
            return True
        return False

    def close(self) -> None:
        """Close the file; standard input stays open."""
        if self.path is None or self._fd < 0:
            return
        if self._file is not None:
            self._file.close()
            self._packed.close()
        else:
            os.close(self._fd)
        self._fd = -1


def _open(path: Path) -> int:
    try:
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError as error:
        near = [each.name for each in path.parent.glob("*")] if path.parent.is_dir() else []
        fix = escaped(_suggestion(path.name, near))
        raise StoreError(f"{path} does not exist", fix=fix) from error
    except OSError as error:
        raise _unreadable(str(path), error) from error
    if stat.S_ISDIR(os.fstat(opened).st_mode):
        os.close(opened)
        raise StoreError(f"{path} is a folder", fix="name one file in it")
    return opened


def _unreadable(name: str, error: OSError) -> StoreError:
    return StoreError(f"{name} cannot be read: {error.strerror}")


def _suggestion(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else "check its name"


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
