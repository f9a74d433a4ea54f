"""Bytes of a file, a pipe or standard input, as soon as they are there."""

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
from carrousel.errors import DataError, SettingError, StoreError
from carrousel.online.sources.types import Stop

BLOCK = 1 << 20
"""At most so many bytes come at once."""

_POLL = 0.05  # seconds between two looks at a file that may grow, or at what tells to stop


class News(enum.Enum):
    """What may come instead of bytes."""

    END = "the source has ended"
    STOPPED = "told to stop, or nothing came for too long"
    QUIET = "nothing came for one tick"
    ANEW = "the file was replaced or cut short; what comes next is its new beginning"


class Patience:
    """How long a source waits: until told to stop, or until nothing came for ``idle`` seconds.

    Args:
        stop: a function or an event that says when to end.
        idle: seconds; None: for ever. Only time spent waiting counts.
        tick: seconds of waiting after which :data:`News.QUIET` is returned; None: never.
    """

    def __init__(
        self, stop: Stop | None = None, idle: float | None = None, tick: float | None = None
    ) -> None:
        self._stop = stop.is_set if isinstance(stop, threading.Event) else stop
        self._idle = None if idle is None else check_number("idle", idle, least=0.0)
        self._tick = None if tick is None else check_number("tick", tick, above=0.0)
        self._waited = self._silent = 0.0

    def stopped(self) -> bool:
        """Whether somebody said stop."""
        return self._stop is not None and self._stop()

    def slice(self) -> float | None:
        """Seconds that may be waited before :meth:`after` must be asked; None: no limit."""
        left = [] if self._stop is None else [_POLL]
        left += [] if self._idle is None else [self._idle - self._waited]
        left += [] if self._tick is None else [self._tick - self._silent]
        return max(0.0, min(left)) if left else None

    def after(self, seconds: float) -> News | None:
        """What to report after another wait in vain; None: wait on."""
        self._waited += seconds
        self._silent += seconds
        if self._idle is not None and self._waited >= self._idle:
            return News.STOPPED
        if self._tick is not None and self._silent >= self._tick:
            self._silent = 0.0
            return News.QUIET
        return None

    def news(self) -> None:
        """Something came: waiting starts anew."""
        self._waited = self._silent = 0.0


class Inflow:
    """Bytes of one source.

    Args:
        path: a file or a named pipe; None: standard input.
        follow: at the end of a file wait for it to grow, and notice when it is cut short or
            replaced by another of its name, like ``tail -F``.
        patience: how long to wait.

    Raises:
        StoreError: the file is not there, is a folder, or cannot be read.
        SettingError: a compressed file cannot be followed.
    """

    def __init__(self, path: Path | None, *, follow: bool, patience: Patience) -> None:
        self.path, self._follow, self._patience = path, follow, patience
        self._file: IO[bytes] | gzip.GzipFile | None = (
            None  # what is read through Python: gzip, a replaced stdin
        )
        self.offset = 0
        if path is None:
            self._fd = self._standard_input()
        else:
            self._fd = _open(path)
            if path.suffix == ".gz":
                if follow:
                    os.close(self._fd)
                    raise SettingError(f"{path}: a compressed file cannot be followed; unpack it")
                self._packed = os.fdopen(self._fd, "rb")
                self._file = gzip.GzipFile(fileobj=self._packed)
        self.is_file = self._file is None and stat.S_ISREG(os.fstat(self._fd).st_mode)

    def _standard_input(self) -> int:
        try:
            return sys.stdin.fileno()
        except (OSError, ValueError, AttributeError):  # stands for another stream, without a file
            self._file = sys.stdin.buffer
            return -1

    @property
    def can_seek(self) -> bool:
        """Whether reading can begin anywhere; standard input is always read from where it is."""
        return self.path is not None and (self.is_file or self._file is not None)

    def seek(self, offset: int) -> bytes:
        """Go on at ``offset``; returns up to 512 bytes each of the beginning and before it."""
        if self._file is not None:
            return self._seek_through(offset)
        head = os.pread(self._fd, min(512, offset), 0)
        last = os.pread(self._fd, min(512, offset), max(0, offset - 512))
        if os.fstat(self._fd).st_size < offset:
            return b""
        self.offset = os.lseek(self._fd, offset, os.SEEK_SET)
        return head + last

    def _seek_through(self, offset: int) -> bytes:
        head = last = b""
        while self.offset < offset:
            data = self._through(min(BLOCK, offset - self.offset))
            if not data:
                return b""
            self.offset += len(data)
            head = (head + data)[:512] if len(head) < 512 else head
            last = (last + data)[-512:]
        return head + last

    def rewind(self) -> None:
        """Go back to the beginning of the file."""
        self.offset = os.lseek(self._fd, 0, os.SEEK_SET)

    def read(self) -> bytes | News:
        """What is there, at most :data:`BLOCK` bytes, or why there is nothing."""
        while True:
            if self._patience.stopped():
                return News.STOPPED
            data = self._available()
            if data:
                self.offset += len(data)
                self._patience.news()
                return data
            if data is not None:
                if not self._follow or self._ends_for_good():
                    return News.END
                if self._anew():
                    return News.ANEW
                seconds = min(_POLL, _or(self._patience.slice(), _POLL))
                time.sleep(seconds)
            else:
                seconds = _or(self._patience.slice(), 0.0)  # :meth:`_available` waited for so long
            news = self._patience.after(seconds)
            if news is not None:
                return news

    def _ends_for_good(self) -> bool:
        """A pipe that lost its writer gets no other, unless it has a name."""
        return self._file is not None or (self.path is None and not self.is_file)

    def _available(self) -> bytes | None:
        """Bytes; none at all at an end; None if none came in a slice of patience."""
        if self._file is not None:
            return self._through(BLOCK)
        try:
            if self.is_file:
                return os.read(self._fd, BLOCK)
            if not select.select([self._fd], [], [], self._patience.slice())[0]:
                return None
            data = os.read(self._fd, BLOCK)
            parts = [data]  # a pipe holds little; what its writer adds meanwhile comes along
            size = len(data)
            while data and size < BLOCK and select.select([self._fd], [], [], 0)[0]:
                data = os.read(self._fd, BLOCK - size)
                parts.append(data)
                size += len(data)
            return b"".join(parts)
        except OSError as error:
            raise StoreError(f"{self._name()} cannot be read: {error.strerror}") from error

    def _through(self, size: int) -> bytes:
        assert self._file is not None
        try:
            return getattr(self._file, "read1", self._file.read)(size)
        except EOFError as error:
            raise DataError(
                f"{self._name()} ends early: its compressed data are cut off"
            ) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{self._name()} is no gzip file: {error}") from error

    def _name(self) -> str:
        return "standard input" if self.path is None else str(self.path)

    def _anew(self) -> bool:
        """Whether the file that was read to its end has given way to another, which is then open.

        The file that was open is kept open until then, so that its number cannot be given to the
        new one; what was added to it before it gave way has been read (``_available`` came back
        empty after the new one was there, or this is called once more).
        """
        if not self.is_file:
            return False
        mine = os.fstat(self._fd)
        if self.path is not None:
            try:
                there = os.stat(self.path)
            except OSError:
                return False  # moved away; the new one is not there yet
            if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
                if os.fstat(self._fd).st_size > self.offset:
                    return False  # added before it gave way: read on, its next end is the last
                try:
                    other = _open(self.path)
                except StoreError:
                    return False
                os.close(self._fd)
                self._fd, self.offset = other, 0
                return True
        if mine.st_size < self.offset:
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
        raise StoreError(f"{path} is not there; {_offer(path.name, near)}") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(os.fstat(opened).st_mode):
        os.close(opened)
        raise StoreError(f"{path} is a folder; name one file in it")
    return opened


def _offer(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else "check its name"


def _or(value: float | None, other: float) -> float:
    return other if value is None else value
