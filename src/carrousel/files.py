"""Files as a whole: written or not, whole or refused; headers and checksums of safetensors."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from carrousel.errors import CheckpointError, UnwritableError

_LONGEST = 100_000_000  # bytes of a header that readers of the format accept


def write_whole(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` as a whole or not at all.

    It is written beside its place and then moved there: whatever happens meanwhile, ``path`` holds
    the old file or the new one. Where ``path`` is a link, that is what it leads to.

    Raises:
        UnwritableError: there is no such folder, no room in it, or no right to write there; the
            path is a folder or a device, which nothing may be moved over.
    """
    if not path.name or "\0" in path.name or (path.exists() and not path.is_file()):
        kind = "a folder" if path.is_dir() else "no name of a file"
        raise UnwritableError(f"{path!s:.200} cannot be written: it is {kind}; name a file")
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # what went wrong first is what counts
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UnwritableError(
                f"{path} cannot be written: {error.strerror or error}; name a file in a folder "
                "that exists, may be written to, and has room"
            ) from error
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name is on disk too
    finally:
        os.close(folder)


def checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> int:
    """CRC-32 of a header, less its own ``"crc32"``, and of the bytes of all arrays, by name."""
    told = {key: value for key, value in header.items() if key != "crc32"}
    check = zlib.crc32(json.dumps(told).encode())
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8)
        check = zlib.crc32(values.data, check)
    return check


def read_whole(
    path: str | os.PathLike[str], key: str, version: int, *, writer: str, instead: str
) -> tuple[dict[str, Any], bytes]:
    """Read a safetensors file that holds a header of ours, and the header.

    Only the beginning of a foreign file is read, and nothing in it is ever run.

    Args:
        path: the file.
        key: under which the header stands in the file's metadata.
        version: what the header must have as ``"format"``.
        writer: what writes such files, for the message about others.
        instead: what to do with others.

    Raises:
        CheckpointError: the file is of another kind or version, damaged or cut short at its
            beginning, or cannot be read.
        FileNotFoundError: there is no such file.
    """
    try:
        with open(path, "rb") as file:
            return _taken_apart(file, path, key, version, writer, instead)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error


def _taken_apart(
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
        if len(start) < 8 or length > _LONGEST:
            raise ValueError(f"{size} bytes that are not in the safetensors format")
        beginning = file.read(length)
        if beginning.startswith(b"{") and len(beginning) < length:
            raise CheckpointError(
                f"{path} is cut short: {size} bytes, of which {length + 8} would be its header",
                reason="damaged",
            )
        metadata = json.loads(beginning)["__metadata__"]
        header = json.loads(metadata[key])
        found = header["format"]
    except CheckpointError:
        raise
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} was not written by {writer}: {type(error).__name__}: {error}; {instead}",
            reason="foreign",
        ) from error
    if found != version:
        raise CheckpointError(
            f"{path} has format {found!r}, expected {version}; update carrousel to read it",
            reason="newer",
        )
    return header, start + beginning + file.read()
