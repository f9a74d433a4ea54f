"""Naive rules: they need no settings, and one line of arithmetic a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from benchmarks.streams.real.features import filled
from benchmarks.streams.real.stream import Predict, Stream
from benchmarks.streams.text import ngrams

ORDERS = 5
"""The longest context of n-grams."""


def rules(stream: Stream) -> dict[str, Predict]:
    """Return the rules for the task of a stream, by name."""
    if stream.task == "next":
        return {f"n-grams of order {n}": _ngrams(n) for n in range(ORDERS + 1)}
    if stream.task == "anomaly":
        seasons = {
            f"distance from the value {n} rows before": _distance(_before(n))
            for n in stream.seasons
        }
        return {
            "distance from the running mean": _distance(_mean),
            "distance from the last value": _distance(_before(1)),
            **seasons,
        }
    if stream.task in ("binary", "multiclass"):
        return {"last class": _last_class, "most frequent class": _most_frequent}
    seasons = {f"value {n} rows before": _before(n) for n in stream.seasons}
    return {"last value": _before(1), **seasons, "running mean": _mean}


def _series(stream: Stream, column: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for rows in stream.places:
        yield rows, column[rows]


def _values(stream: Stream) -> np.ndarray:
    """Return what is compared with a prediction: targets, or the first column of a stream."""
    if stream.task == "anomaly":
        return next(iter(stream.columns.values()))
    return stream.y


def _before(rows_back: int) -> Predict:
    """Predict the value of some rows before; the last value where there is no such row."""

    def predict(stream: Stream, seed: int = 0) -> np.ndarray:
        found = np.full(len(stream), np.nan)
        for rows, y in _series(stream, filled(stream, _values(stream))):
            found[rows[1:]] = y[:-1]
            found[rows[rows_back:]] = y[:-rows_back]
        return found if stream.task == "forecast" else np.nan_to_num(found)

    return predict


def _mean(stream: Stream, seed: int = 0) -> np.ndarray:
    """Predict the mean of all earlier values of the series."""
    found = np.full(len(stream), np.nan)
    for rows, y in _series(stream, _values(stream)):
        known = ~np.isnan(y)
        sums, n = np.cumsum(np.nan_to_num(y)), np.cumsum(known)
        found[rows[1:]] = sums[:-1] / np.maximum(n[:-1], 1)
    return found if stream.task == "forecast" else np.nan_to_num(found)


def _distance(predict: Predict) -> Predict:
    """Score a row by its distance from a prediction."""

    def score(stream: Stream, seed: int = 0) -> np.ndarray:
        return np.abs(_values(stream) - predict(stream, seed))

    return score


def _last_class(stream: Stream, seed: int = 0) -> np.ndarray:
    found = np.roll(stream.y, 1)
    found[0] = _first_class(stream)
    return found


def _most_frequent(stream: Stream, seed: int = 0) -> np.ndarray:
    """Predict the most frequent class so far; of equals, the one that reached the count first."""
    found, counts, best = stream.y.copy(), Counter(), _first_class(stream)
    for n, label in enumerate(stream.y.tolist()):
        found[n] = best
        counts[label] += 1
        best = max(best, label, key=counts.__getitem__) if counts[best] else label
    return found


def _first_class(stream: Stream) -> object:
    """Return a prediction for the first row, before any class is known."""
    return "" if stream.y.dtype.kind == "U" else 0


def _ngrams(order: int) -> Predict:
    """Compute the bits of each symbol under n-grams that learn online, each series by itself."""

    def bits(stream: Stream, seed: int = 0) -> np.ndarray:
        found = np.zeros(len(stream))
        for rows, y in _series(stream, stream.y):
            found[rows] = dict(ngrams(y, stream.needs["symbols"], order))[order]
        return found

    return bits
