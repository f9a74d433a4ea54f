"""Errors of a net that learns by each gradient."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from benchmarks.gradients.tasks import REAL, baseline, names, rows_of

from carrousel import OnlineLSTM
from carrousel.errors import DivergedError

GRADIENTS = ("truncated", "immediate", "sparse:4", "snap:1", "uoro", "rtrl")
SIZES = (16, 32, 64, 128)
SEEDS = 10
ROWS = {16: 8000, 32: 3000, 64: 1500, 128: 1500}
LAG_ROWS = {16: 8000, 32: 5000, 64: 1500, 128: 1500}
"""All gradients of a size learn the same rows; there are fewer where ``rtrl`` is expensive."""
TASKS = {
    16: tuple(names()),
    32: (*REAL, "copy, lag 2", "copy, lag 5", "copy, lag 10", "product, lag 1"),
    64: ("electricity", "solar power", "copy, lag 2"),
    128: ("electricity", "solar power", "copy, lag 2"),
}
FEWER = {("rtrl", 32): 3, ("rtrl", 64): 2, ("sparse:4", 64): 4}
"""Seeds of gradients that are expensive at a size."""
SIZED = ("electricity", "solar power", "airport temperature", "copy, lag 2", "product, lag 1")
CHEAP = ("truncated", "immediate", "snap:1")
"""Tasks and gradients of larger nets with the rows of 16 cells."""
TOO_SLOW = {("rtrl", 128), ("sparse:4", 128)}
RATES = (0.001, 0.01)
"""Further learning rates, with 16 cells."""


def units(quick: bool) -> Iterator[tuple[tuple[str, ...], Callable[[], Any]]]:
    """Yield the units of work: one for each net, task and gradient."""
    if quick:
        yield (
            ("16", "copy, lag 2", "immediate"),
            partial(figures, "copy, lag 2", 16, "immediate", 200, 2),
        )
        return
    for cells in SIZES:
        for name in TASKS[cells]:
            for gradient in GRADIENTS:
                if (gradient, cells) in TOO_SLOW:
                    continue
                n = (ROWS if name in REAL else LAG_ROWS)[cells]
                seeds = FEWER.get((gradient, cells), SEEDS)
                place = (str(cells), name, gradient)
                yield place, partial(figures, name, cells, gradient, n, seeds)
    for rate in RATES:
        for name in TASKS[16]:
            for gradient in GRADIENTS:
                place = (f"16 at {rate}", name, gradient)
                n = (ROWS if name in REAL else LAG_ROWS)[16]
                yield place, partial(figures, name, 16, gradient, n, 5, rate)


def sizes(quick: bool) -> Iterator[tuple[tuple[str, ...], Callable[[], Any]]]:
    """Yield units with the rows of 16 cells: larger nets that cost as much as an exact gradient."""
    for cells in () if quick else SIZES[1:]:
        for name in SIZED:
            for gradient in GRADIENTS[:-1] if cells == 32 else CHEAP:
                n = (ROWS if name in REAL else LAG_ROWS)[16]
                place = (str(cells), name, gradient)
                yield place, partial(figures, name, cells, gradient, n, 5)


def figures(
    name: str, cells: int, gradient: str, n: int, seeds: int, rate: float = 0.003
) -> dict[str, Any]:
    """Return the errors of each seed, and the baseline's."""
    found = []
    rows = rows_of(name, n, 0)
    for seed in range(seeds):
        rows = rows_of(name, n, seed)
        found.append(error(OnlineLSTM(**settings(cells, gradient, seed, rate)), rows))
    return {"rows": len(rows.y), "errors": found, "baseline": baseline(name, rows)}


def settings(cells: int, gradient: str, seed: int, rate: float = 0.003) -> dict[str, Any]:
    """Return the settings of a net; a version with expert rules gets none of them."""
    found: dict[str, Any] = {"cells": cells, "gradient": gradient, "random_state": seed}
    found["learning_rate"] = rate
    if "experts" in inspect.signature(OnlineLSTM).parameters:
        found["experts"] = None
    return found


def error(model: OnlineLSTM, rows: Any) -> float | None:
    """Return the mean absolute error in the second half; None if learning diverged."""
    try:
        predicted = model.run(rows.x, rows.y)
    except DivergedError:
        return None
    half = len(rows.y) // 2
    return float(np.abs(predicted - rows.y)[half:].mean())
