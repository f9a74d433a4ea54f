"""Models on streams for tests: all kinds of rows and tasks, streams for them, what they know."""

from __future__ import annotations

from typing import Any

import numpy as np

from carrousel import OnlineLSTM

COLOURS = ("red", "green", "blue")


def inside(model: OnlineLSTM) -> Any:
    """What a model that has begun drives."""
    assert model._engine is not None
    return model._engine


def knowledge(model: OnlineLSTM) -> Any:
    """Everything a model goes on from, to be compared with ``==``."""
    engine = model._engine
    if engine is None:
        return None
    kernel = {name: (a.shape, a.tobytes()) for name, a in engine.kernel.state().items()}
    reader = {k: v for k, v in vars(engine.reader).items() if k != "_get"}
    places = list(reader.get("places", {}).items())
    head = vars(engine.head)
    keys = (engine.keys.places(), sorted(engine.keys.seen.items()), engine.keys.free)
    return kernel, reader, places, head, keys, engine.now, engine.kernel.rate, engine.settings


def columns(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    """Named features: two numbers and a category."""
    return {
        "b": rng.normal(size=n) * 3 + 10,
        "a": rng.normal(size=n),
        "colour": rng.choice(COLOURS, n),
    }


def as_rows(table: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The same, row by row."""
    names = list(table)
    return [
        dict(zip(names, row, strict=True)) for row in zip(*map(list, table.values()), strict=True)
    ]


def stream(kind: str, rng: np.random.Generator, n: int) -> tuple[Any, Any]:
    """Rows and targets of a kind: ``rows/task``."""
    rows, task = kind.split("/")
    X: Any = {
        "numbers": lambda: rng.normal(size=(n, 2)),
        "named": lambda: columns(rng, n),
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
    """A small model for a kind of stream."""
    rows, task = kind.split("/")
    if rows == "named":  # categories as they come, whether in steps or in runs
        settings.setdefault("unseen", "grow")
    if rows == "symbols" and (settings.get("unseen") != "grow" or task != "next"):
        settings.setdefault("symbols", "abcd")
    task = "regression" if task == "vectors" else task
    return OnlineLSTM(task, **{"cells": 4, "random_state": 3, **settings})


def each(X: Any) -> list[Any]:
    """A table row by row, as steps get it."""
    return as_rows(X) if isinstance(X, dict) else list(X)


def taken(X: Any, start: int, stop: int | None = None) -> Any:
    """Some rows of a table."""
    if isinstance(X, dict):
        return {name: column[start:stop] for name, column in X.items()}
    return X[start:stop]
