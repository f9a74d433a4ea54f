"""CSV files of a sensor for tests of streams, and readers of what is written."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def write_sensor(folder: Path) -> Path:
    """Write rows.csv, with an oscillating level, and bad.csv, the same with a bad row."""
    rng = np.random.default_rng(1)
    n = 600
    level = np.sin(0.2 * np.arange(n)) + 0.05 * rng.normal(size=n)
    colour = ["red" if each > 0 else "blue" for each in level]
    lines = [f"{i},{level[i]:.4f},{rng.normal():.4f},{colour[i]}" for i in range(n)]
    head = "at,level,noise,colour"
    (folder / "rows.csv").write_text("\n".join([head, *lines]) + "\n")
    bad = [*lines[:300], "300,oops,0,red", *lines[301:]]
    (folder / "bad.csv").write_text("\n".join([head, *bad]) + "\n")
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def numbers(rows: list[dict[str, str]], name: str) -> np.ndarray:
    return np.array([float(row[name] or "nan") for row in rows])
