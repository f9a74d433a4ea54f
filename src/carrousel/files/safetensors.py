"""Safetensors files with a JSON header and a checksum of ours."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from carrousel.errors import CheckpointError

_MAX_HEADER = 100_000_000  # bytes; other readers of the format reject longer headers too


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
    >>> from pathlib import Path
    >>> from carrousel.files import write_whole
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
