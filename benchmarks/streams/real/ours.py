"""``carrousel.OnlineLSTM`` through its public functions, by its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from benchmarks.streams.real.stream import Predict, Stream

SEEDS = 3
TASKS: Mapping[str, str] = {"forecast": "regression", "anomaly": "regression"}
"""Tasks of the model where the stream's have other names."""
_DAY = 86_400


def defaults(stream: Stream, seed: int, settings: Mapping[str, Any] | None = None) -> np.ndarray:
    """Run the model once over a stream; it gets the columns of each row, the target and the key.

    Args:
        stream, seed: see :data:`benchmarks.streams.real.stream.Predict`.
        settings: of the model, in addition to those without which it refuses the data.
    """
    from carrousel import OnlineLSTM

    task = TASKS.get(stream.task, stream.task)
    model = OnlineLSTM(
        task,  # pyright: ignore[reportArgumentType]
        **{**stream.needs, **(settings or {})},
        random_state=seed,
    )
    if stream.task == "next":
        return _bits(model, stream)
    x = {name: column.tolist() for name, column in stream.columns.items()}
    if stream.task == "anomaly":
        value = next(iter(stream.columns.values()))
        found = model.run(x, value, keys=stream.keys, late=True)
        return np.abs(value - np.nan_to_num(_before(stream, np.asarray(found).ravel())))
    found = np.asarray(model.run(x, stream.y, keys=stream.keys, late=stream.forecast)).ravel()
    return _before(stream, found) if stream.forecast else found


def calendar(stream: Stream, seed: int) -> np.ndarray:
    """Run the model with the hour, the weekday and the day of the year as further columns."""
    added = calendar_columns(stream)
    assert added, stream.name
    return defaults(replace(stream, columns={**stream.columns, **added}), seed)


def with_settings(settings: Mapping[str, Any]) -> Predict:
    """Return a contender with other settings than the defaults."""
    return lambda stream, seed: defaults(stream, seed, settings)


def calendar_columns(stream: Stream) -> dict[str, np.ndarray]:
    """Return sine and cosine of the hour, the weekday and the day of the year, ``[N]`` each.

    A cycle that is not longer than the spacing of the rows is left out.
    """
    if stream.time is None or stream.task == "next":
        return {}
    seconds = stream.time.astype("datetime64[s]").astype(np.int64)
    step = np.median(np.diff(np.unique(seconds)))
    found = {}
    for name, period in (("hour", _DAY), ("weekday", 7 * _DAY), ("month", 365.2425 * _DAY)):
        if step < period:
            angle = 2 * np.pi * (seconds % period) / period
            found |= {f"{name}, sine": np.sin(angle), f"{name}, cosine": np.cos(angle)}
    return found


def _bits(model: Any, stream: Stream) -> np.ndarray:
    """Return the bits of each symbol; for the first of a series, all are equally likely."""
    n = stream.needs["symbols"]
    shares = np.asarray(model.run(stream.y, keys=stream.keys, proba=True))
    p = _before(stream, shares)[np.arange(len(stream)), stream.y]
    with np.errstate(divide="ignore"):
        return -np.log2(np.where(np.isnan(p), 1 / n, p))


def _before(stream: Stream, made: np.ndarray) -> np.ndarray:
    """Move forecasts to the next rows of their series; NaN at the first row of each."""
    found = np.full(made.shape, np.nan)
    for rows in stream.places:
        found[rows[1:]] = made[rows[:-1]]
    return found
