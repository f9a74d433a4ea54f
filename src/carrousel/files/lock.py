"""Locks of files that a process writes for a long time."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carrousel.errors import UnwritableError

try:
    import fcntl
except ImportError:  # a system without these locks
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Lock a file for this process, so that no other of this package writes it.

    The lock is a hidden file next to it with the process number and the command. The system
    releases it when the process ends, however it ends.

    There is no lock in a folder that may not be written to, nor on a file system without locks.

    Raises:
        UnwritableError: another process, or another call in this process, holds it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, held(Path(folder, "out.csv")):
    ...     sorted(os.listdir(folder))
    ['.out.csv.lock']
    """
    path = Path(os.path.realpath(path))
    place = path.with_name(f".{path.name}.lock")
    opened = _acquired(place, path)
    try:
        yield
    finally:
        if opened is not None:
            with contextlib.suppress(OSError):
                place.unlink()  # while it is locked: a process that has opened it tries again
            os.close(opened)


def _acquired(place: Path, path: Path) -> int | None:
    while True:
        try:
            opened = os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError:  # writing the file itself reports what is wrong
            return None
        if fcntl is None:
            return opened
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = _holder(opened)
            os.close(opened)
            raise UnwritableError(
                f"it is being written by {holder}",
                source=str(path),
                fix="wait until it ends, or name another file",
            ) from error
        except OSError:  # a file system without locks
            return opened
        if _is_current(opened, place):
            os.ftruncate(opened, 0)
            command = " ".join(sys.argv)[:200]
            os.write(opened, f"process {os.getpid()} ({command})".encode(errors="replace"))
            return opened
        os.close(opened)  # its holder has removed it in the meantime
        time.sleep(0.001)


def _is_current(opened: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), place.stat())
    except OSError:
        return False


def _holder(opened: int) -> str:
    with contextlib.suppress(OSError):
        text: Any = os.pread(opened, 300, 0).decode(errors="replace")
        return text.strip() or "another process"
    return "another process"
