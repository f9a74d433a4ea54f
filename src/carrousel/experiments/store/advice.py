"""Errors of SQLite as :class:`StoreError` with a remedy."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carrousel.errors import StoreError

_ADVICE = {
    sqlite3.SQLITE_FULL: (
        "the disk is full",
        "free some space and start again; trials that had ended are kept",
    ),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "choose a writable folder"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened for writing", "choose a writable folder"),
    sqlite3.SQLITE_PERM: ("access is denied", "choose a writable folder"),
    sqlite3.SQLITE_NOTADB: ("it is not a store of trials", "choose another folder"),
    sqlite3.SQLITE_CORRUPT: (
        "it is damaged",
        "move it away and start again (the command 'sqlite3 trials.sqlite .recover' may save "
        "trials from it)",
    ),
    sqlite3.SQLITE_BUSY: (
        "another process keeps it locked",
        "wait for that process, or choose another folder",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk failed to read or write it",
        "check the disk, or choose another folder",
    ),
}
"""Problem and remedy by SQLite's error code."""
_UNFINISHED = (
    "an interrupted write must be rolled back before it can be read, but its folder is read-only",
    "copy the folder to a writable place",
)
_READONLY_ROLLBACK = sqlite3.SQLITE_READONLY | (3 << 8)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of SQLite about the file at a path into a :class:`StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        raise store_error(path, code, str(error)) from error


def store_error(path: Path, code: int, message: str = "") -> StoreError:
    """Return the error for an error code of SQLite; ``message`` is for unknown codes."""
    problem, fix = _ADVICE.get(code & 0xFF, (message, "choose another folder"))
    if code == _READONLY_ROLLBACK:
        problem, fix = _UNFINISHED
    return StoreError(problem, source=str(path), fix=fix)
