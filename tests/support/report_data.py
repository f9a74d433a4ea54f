"""Files of series, and predictions whose measures are known, for tests of reports and commands."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.estimators.report.predictions import ClassPredictions

HOSTILE = "</script><script>console.error('broken out')</script> & <b>"
CLASSES = ("walk", HOSTILE, "sit & stay")


def write_series(path: Path, n: int = 24, seed: int = 0) -> Path:
    """Write ``n`` short series, with a label and a size each, and a phase for each step."""
    rng = np.random.default_rng(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["who", "t", "x", "y", "label", "size", "phase"])
        for k in range(n):
            kind, size = k % 3, rng.uniform(0.5, 2.0)
            for t in range(int(rng.integers(6, 14))):
                x = "" if rng.random() < 0.1 else f"{size * np.sin(t * (kind + 1)):.3f}"
                phase = "up" if np.cos(t * (kind + 1)) > 0 else "down"
                noise = f"{rng.normal():.3f}"
                rows.writerow([f"<i>{k}</i>", t, x, noise, CLASSES[kind], f"{size:.4f}", phase])
    return path


def class_predictions(n: int = 40, seed: int = 0, *, per_step: bool = False) -> ClassPredictions:
    """Return random predictions of three classes, some of whose truths are missing."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(rng.integers(1, 9), 2)) for _ in range(n)]
    series = Series.of(arrays, channels=("x", HOSTILE), ids=tuple(f"s{k}" for k in range(n)))
    outputs = rng.dirichlet(np.ones(3), series.n_steps)
    truth = rng.integers(-1, 3, series.n_steps if per_step else n)
    return ClassPredictions(series, outputs, truth, CLASSES, per_step)
