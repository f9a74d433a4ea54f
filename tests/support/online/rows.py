"""Rows of a small stream, a model for them, and comparisons of evaluations."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from carrousel.online import Evaluation, OnlineLSTM

N = 600
RNG = np.random.default_rng(1)
LEVEL = (np.sin(0.2 * np.arange(N)) + 0.05 * RNG.normal(size=N)).round(4)
PUMP = ["ab"[n % 2] for n in range(N)]
COLUMNS = {"level": LEVEL, "noise": RNG.normal(size=N).round(4), "pump": PUMP}


def model(task: Any = "regression", **how: Any) -> OnlineLSTM:
    return OnlineLSTM(task, **{"cells": 4, "unseen": "grow", "random_state": 1, **how})


def dicts() -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def same(one: Evaluation, other: Evaluation) -> None:
    assert one.status.errors == other.status.errors
    assert one.status.recent_errors == other.status.recent_errors
    assert (one.status.rows, one.status.skipped) == (other.status.rows, other.status.skipped)
