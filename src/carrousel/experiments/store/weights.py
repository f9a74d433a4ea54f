"""Weights of ended trials, as they are stored: one compressed archive of arrays for each trial."""

from __future__ import annotations

import io
import sqlite3
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from carrousel.experiments.store import schema

Key = tuple[str, int, int, int, str]
"""Fingerprint of the settings, seed of the run, number of the trial, version of kernels, code."""


def encoded(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as a compressed ``.npz`` archive; equal arrays give equal bytes.

    >>> decoded(encoded({"weights": np.array([0.5], np.float32)}))
    {'weights': array([0.5], dtype=float32)}
    """
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **dict(arrays))
    return file.getvalue()


def decoded(archive: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an archive.

    Raises:
        ValueError: it is not an archive of arrays, or damaged.
    """
    try:
        with np.load(io.BytesIO(archive), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise ValueError(str(error)) from error


def put(db: sqlite3.Connection, key: Key, arrays: Mapping[str, np.ndarray]) -> None:
    """Store the weights of a trial, unless it has some; inside a transaction."""
    if not schema.has_weights(db):
        db.execute(schema.WEIGHTS_TABLE)
    db.execute("INSERT OR IGNORE INTO weights VALUES (?, ?, ?, ?, ?, ?)", (*key, encoded(arrays)))


def get(db: sqlite3.Connection, key: Key) -> bytes | None:
    """Return the archive of a trial; None: its weights are not stored."""
    if not schema.has_weights(db):
        return None
    row = db.execute(
        "SELECT arrays FROM weights WHERE fingerprint = ? AND seed = ? AND number = ?"
        " AND kernel = ? AND code = ?",
        key,
    ).fetchone()
    return None if row is None else bytes(row[0])


def copy_from(db: sqlite3.Connection, other: str) -> None:
    """Add the weights of an attached database; those of the main one are kept."""
    if schema.has_weights(db, other):
        db.execute(schema.WEIGHTS_TABLE)
        columns = schema.WEIGHT_COLUMNS
        db.execute(
            f"INSERT OR IGNORE INTO main.weights ({columns}) SELECT {columns} FROM {other}.weights"
        )
