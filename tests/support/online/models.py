"""Small online models, streams for them, and their complete state for comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from carrousel import OnlineLSTM

COLOURS = ("red", "green", "blue")


def inside(model: OnlineLSTM) -> Any:
    """Return the engine of a model that has seen a row."""
    assert model._engine is not None
    return model._engine


def knowledge(model: OnlineLSTM) -> Any:
    """Return the complete state of a model, to be compared with ``==``."""
    engine = model._engine
    if engine is None:
        return None
    kernel = {name: (a.shape, a.tobytes()) for name, a in engine.kernel.state().items()}
    features = {k: v for k, v in vars(engine.features).items() if k != "_get"}
    columns = list(features.get("columns", {}).items())
    head = vars(engine.head)
    keys = (engine.keys.places(), sorted(engine.keys.seen.items()), engine.keys.free)
    return kernel, features, columns, head, keys, engine.n_rows, engine.kernel.rate, engine.settings


def draw_columns(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Draw named features: two numbers and a category."""
    return {
        "b": rng.normal(size=n) * 3 + 10,
        "a": rng.normal(size=n),
        "colour": rng.choice(COLOURS, n),
    }


def as_rows(table: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Convert columns to rows."""
    names = list(table)
    return [
        dict(zip(names, row, strict=True)) for row in zip(*map(list, table.values()), strict=True)
    ]


def stream(kind: str, rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Draw rows and targets of a kind, ``"rows/task"``."""
    rows, task = kind.split("/")
    X: Any = {
        "numbers": lambda: rng.normal(size=(n, 2)),
        "named": lambda: draw_columns(rng, n),
        "symbols": lambda: rng.choice(list("abcd"), n).tolist(),
    }[rows]()
    signal = rng.normal(size=n)
    y: Any = {
        "regression": lambda: signal * 20 - 7,
        "vectors": lambda: rng.normal(size=(n, 3)),
        "binary": lambda: signal > 0,
        "multiclass": lambda: np.array(["lo", "mid", "hi"])[np.digitize(signal, (-0.5, 0.5))],
        "next": lambda: None,
    }[task]()
    return X, y


KINDS = (
    "numbers/regression",
    "numbers/vectors",
    "named/binary",
    "named/multiclass",
    "symbols/regression",
    "symbols/next",
)


def model(kind: str, **settings: Any) -> OnlineLSTM:
    """Create a small model for a kind of stream."""
    rows, task = kind.split("/")
    if rows == "named":  # the same categories in single steps as in a whole table
        settings.setdefault("unseen", "grow")
    if rows == "symbols" and (settings.get("unseen") != "grow" or task != "next"):
        settings.setdefault("symbols", "abcd")
    chosen: Any = "regression" if task == "vectors" else task
    return OnlineLSTM(chosen, **{"cells": 4, "random_state": 3, **settings})


def each(X: Any) -> list[Any]:
    """Return the rows of a table, one by one as ``step`` accepts them."""
    return as_rows(X) if isinstance(X, dict) else list(X)


def rows_of(X: Any, start: int, stop: int | None = None) -> Any:
    """Return some rows of a table in the same form."""
    if isinstance(X, dict):
        return {name: column[start:stop] for name, column in X.items()}
    return X[start:stop]


def saved_in(folder: Path) -> bytes:
    """Save a small model with categories, classes and two keys as ``good``; return the file."""
    learner = OnlineLSTM("multiclass", cells=2, streams=2, unseen="grow", random_state=1)
    rows = [{"a": 1.0, "c": "x"}, {"a": 2.0, "c": "y"}]
    learner.run(rows, ["u", "v"], keys=["k", None])
    learner.save(folder / "good")
    return (folder / "good").read_bytes()
