"""Files: atomic writes, and safetensors files with a header and a checksum of ours."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from carrousel.errors import CheckpointError, UnwritableError

_MAX_HEADER = 100_000_000  # bytes; other readers of the format reject longer headers too


def same_file(one: Path, other: Path) -> bool:
    """Return whether two paths, of files that may not exist yet, lead to the same file.

    >>> same_file(Path("a/../rows.csv"), Path("rows.csv")), same_file(Path("a"), Path("b"))
    (True, False)
    """
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, ValueError):  # one does not exist, or is the address of something else
        return False


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
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # report the first error, not this one
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UnwritableError(
                f"{path} cannot be written: {error.strerror or error}",
                fix="name a file in a folder that exists, may be written to, and has room",
            ) from error
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # makes the new name durable as well
    finally:
        os.close(folder)


def checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> int:
    """Return the CRC-32 of a header without its ``"crc32"``, then of the arrays sorted by name."""
    covered = {key: value for key, value in header.items() if key != "crc32"}
    check = zlib.crc32(json.dumps(covered).encode())
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8)
        check = zlib.crc32(values.data, check)
    return check


def header_key(path: str | os.PathLike[str], known: Iterable[str]) -> str | None:
    """Return which of the known keys a safetensors file has in its metadata; None: none of them.

    Only the beginning of the file is read.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: it cannot be read.

    >>> import tempfile
    >>> header = b'{"__metadata__": {"mine": "{}"}}'
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "weights.safetensors")
    ...     write_whole(path, len(header).to_bytes(8, "little") + header)
    ...     header_key(path, ["yours", "mine"]), header_key(path, ["yours"])
    ('mine', None)
    """
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            beginning = file.read(length) if length <= _MAX_HEADER else b""
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    try:
        metadata = json.loads(beginning)["__metadata__"]
        return next((key for key in known if key in metadata), None)
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def read_whole(
    path: str | os.PathLike[str], key: str, version: int, *, writer: str, instead: str
) -> tuple[dict[str, Any], bytes]:
    """Read a safetensors file whose metadata contain a JSON header of ours.

    Only the beginning of a foreign file is read, and nothing in a file is executed.

    Args:
        path: the file.
        key: key of the header in the file's metadata.
        version: greatest value of ``"format"`` in the header that can be read; the least is 1.
        writer: function that writes such files, named in the error about foreign files.
        instead: what to do with a foreign file, as a clause.

    Returns:
        The header, and all bytes of the file.

    Raises:
        CheckpointError: the file is ``"foreign"``, ``"newer"`` or ``"damaged"`` (see its
            ``reason``), or cannot be read.
        FileNotFoundError: there is no such file.
    """
    try:
        with open(path, "rb") as file:
            return _parse(file, path, key, version, writer, instead)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror}", argument="path", got=os.fspath(path)
        ) from error


def _parse(
    file: BinaryIO,
    path: str | os.PathLike[str],
    key: str,
    version: int,
    writer: str,
    instead: str,
) -> tuple[dict[str, Any], bytes]:
    start, size = file.read(8), os.fstat(file.fileno()).st_size
    length = int.from_bytes(start, "little")
    try:
        if len(start) < 8 or length > _MAX_HEADER:
            raise ValueError(f"{size} bytes that are not in the safetensors format")
        beginning = file.read(length)
        if beginning.startswith(b"{") and len(beginning) < length:
            raise _refused(
                "damaged",
                f"{path} is cut short: {size} bytes, of which {length + 8} would be its header",
                path,
            )
        metadata = json.loads(beginning)["__metadata__"]
        header = json.loads(metadata[key])
        found = header["format"]
    except CheckpointError:
        raise
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        problem = f"{path} was not written by {writer}: {type(error).__name__}: {error}"
        raise _refused("foreign", problem, path, instead) from error
    if found not in range(1, version + 1):
        problem = f"{path} has format {found!r}, expected {version}"
        raise _refused("newer", problem, path, "update carrousel to read it")
    return header, start + beginning + file.read()


def _refused(
    reason: str, problem: str, path: str | os.PathLike[str], fix: str | None = None
) -> CheckpointError:
    error = CheckpointError(problem, argument="path", got=os.fspath(path), fix=fix)
    error.reason = reason
    return error
