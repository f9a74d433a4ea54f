"""A stream of rows with what is predicted, and how predictions are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from benchmarks.streams.tables import area

Task = Literal["forecast", "regression", "binary", "multiclass", "next", "anomaly"]
"""What is predicted: the next value of a column; a number or a class of the row; the next symbol;
whether the row is unusual (scores, learned without labels)."""
START = 100
"""Rows at the beginning that are predicted and learned, but not scored."""
MEASURES: Mapping[Task, str] = {
    "forecast": "mean absolute error",
    "regression": "mean absolute error",
    "binary": "share wrong",
    "multiclass": "share wrong",
    "next": "bits a symbol",
    "anomaly": "1 - ROC AUC",
}


@dataclass(frozen=True)
class Stream:
    """Rows in their order, with the target of each.

    Args:
        name: short name, for the command line.
        title: name on the page.
        source: package and file, or the equation of a made-up stream.
        task: what is predicted.
        columns: inputs by name, ``[N]`` each: numbers (NaN: missing) or texts.
        y: targets ``[N]``: numbers (NaN: unknown), classes, symbols ``0 .. n - 1``, or 1 for
            unusual rows. With ``"forecast"``, one of the columns.
        unit: of ``y``; empty where it has none.
        time: when each row was recorded, ``[N]`` datetime64; None if unknown.
        keys: the series of each row, ``[N]``; None: all rows belong to one.
        seasons: periods in rows of the same series, chosen by the spacing of the rows: a day and a
            week of hours, a year of days or months, a working week.
        needs: settings of ``OnlineLSTM`` without which it refuses the data.
    """

    name: str
    title: str
    source: str
    task: Task
    columns: Mapping[str, np.ndarray]
    y: np.ndarray
    unit: str = ""
    time: np.ndarray | None = None
    keys: np.ndarray | None = None
    seasons: tuple[int, ...] = ()
    needs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.task in get_args(Task), self.task
        parts = [*self.columns.values(), self.time, self.keys]
        assert {len(part) for part in parts if part is not None} == {len(self.y)}, self.name

    def __len__(self) -> int:
        return len(self.y)

    @property
    def forecast(self) -> bool:
        """Whether a row's prediction is made at the row before of its series."""
        return self.task in ("forecast", "next")

    @property
    def target(self) -> str | None:
        """The name of the column that is forecast; None for other tasks."""
        if self.task != "forecast":
            return None
        numbers = {name: part for name, part in self.columns.items() if part.dtype == self.y.dtype}
        return next(n for n, part in numbers.items() if np.array_equal(part, self.y, True))

    @property
    def places(self) -> list[np.ndarray]:
        """The row numbers of each series, in order."""
        if self.keys is None:
            return [np.arange(len(self))]
        _, which = np.unique(self.keys, return_inverse=True)
        return [np.flatnonzero(which == n) for n in range(which.max() + 1)]

    def at(self, rows: np.ndarray | slice) -> Stream:
        """Choose rows."""
        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            y=self.y[rows],
            time=None if self.time is None else self.time[rows],
            keys=None if self.keys is None else self.keys[rows],
        )


Predict = Callable[[Stream, int], np.ndarray]
"""Returns ``[N]`` for a stream and a seed: predictions, each made before its target was used; bits
of each symbol for task ``"next"``; scores for task ``"anomaly"``. NaN: none."""


def scores(stream: Stream, predicted: np.ndarray) -> dict[str, float]:
    """Compute the error, lower is better, over all rows but the first, and over the second half.

    The second half is that of all rows. Rows without a target are not scored. A row without a
    prediction must be the first of its series.
    """
    half = max(START, len(stream) // 2)
    if stream.task == "anomaly":
        return _of_anomalies(stream.y, predicted, half)
    if stream.task == "next":
        off = predicted.astype(float)
    elif stream.task in ("binary", "multiclass"):
        off = (predicted != stream.y).astype(float)
    else:
        off = np.abs(predicted.astype(float) - stream.y)
        first = np.isin(np.arange(len(stream)), [rows[0] for rows in stream.places])
        lost = np.isnan(off) & ~np.isnan(stream.y) & ~first
        assert not lost.any(), f"{stream.name}: {lost.sum()} rows without a prediction"
    return {"error": float(np.nanmean(off[START:])), "later": float(np.nanmean(off[half:]))}


def _of_anomalies(labels: np.ndarray, found: np.ndarray, half: int) -> dict[str, float]:
    from sklearn.metrics import average_precision_score

    return {
        "error": 1 - area(labels[START:], found[START:]),
        "later": 1 - area(labels[half:], found[half:]),
        "precision": float(average_precision_score(labels[START:], found[START:])),
    }
