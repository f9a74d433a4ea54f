"""Atomic writes: at any moment a file is the old one or the new one."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from carrousel.errors import CarrouselError, UnwritableError

_PART = ".part."
"""Between the number of the process and the name of the file in the name of a temporary file."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically: at any moment ``path`` is the old file or the new one.

    The data are written to a temporary file in the same folder, which then replaces ``path``. If
    ``path`` is a symbolic link, its target is replaced.

    Raises:
        UnwritableError: the folder does not exist, is full or read-only, or ``path`` is a folder
            or a device.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder, "model"), b"weights")
    ...     Path(folder, "model").read_bytes()
    b'weights'
    """
    if not path.name or "\0" in path.name or (path.exists() and not path.is_file()):
        kind = "a folder" if path.is_dir() else "no name of a file"
        raise UnwritableError(f"{path!s:.200} cannot be written: it is {kind}", fix="name a file")
    with replaced(path) as temporary, open(temporary, "xb") as file:
        file.write(data)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a name for a temporary file, which replaces ``path`` at the end of the block.

    It is in the folder of ``path`` and has its suffix. After an exception it is removed, and
    ``path`` is left as it was. The permissions of a file that is replaced stay. Temporary files of
    processes that were killed are removed.

    Raises:
        UnwritableError: the folder does not exist, is full or read-only.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replaced(Path(folder, "rows.csv")) as temporary:
    ...         _ = temporary.write_text("a,b")
    ...     Path(folder, "rows.csv").read_text()
    'a,b'
    """
    path = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        _remove_left_over(path)
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(8)}{_PART}{path.name}")
    try:
        yield temporary
        with contextlib.suppress(FileNotFoundError):  # a new file has the usual permissions
            os.chmod(temporary, stat.S_IMODE(path.stat().st_mode))
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # report the first error, not this one
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, CarrouselError):
            raise UnwritableError(
                f"{path} cannot be written: {error.strerror or error}",
                fix="name a file in a folder that exists, may be written to, and has room",
            ) from error
        raise
    _sync(path.parent)  # makes the new name durable as well


def _remove_left_over(path: Path) -> None:
    """Remove temporary files of the same name whose process was killed, on this machine."""
    for one in path.parent.glob(f".*{_PART}{glob.escape(path.name)}"):
        number = one.name[1:].partition("-")[0]
        if number.isascii() and number.isdecimal() and not _is_running(int(number)):
            one.unlink(missing_ok=True)


def _is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
