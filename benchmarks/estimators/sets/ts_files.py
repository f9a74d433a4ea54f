"""Reader of the ``.ts`` files of the time series archives, without the package that ships them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
from benchmarks.estimators.sets.problem import Split, classes_of
from benchmarks.streams.real.packages import file_of


def read_ts(lines: Iterable[str]) -> tuple[list[np.ndarray], np.ndarray]:
    """Read series ``[T, I]`` and their labels.

    After ``@data``, a line is a series: channels of comma-separated numbers and the label, with
    colons between them. ``?`` is a missing value. Lines with times are not supported.
    """
    series, labels, data = [], [], False
    for raw in lines:
        line = raw.strip()
        if not data:
            key, _, value = line.lower().partition(" ")
            if key == "@timestamps" and value.strip() == "true":
                raise ValueError("the file has times, which are not supported")
            data = key == "@data"
        elif line:
            *channels, label = line.split(":")
            rows = [[np.nan if v == "?" else float(v) for v in c.split(",")] for c in channels]
            series.append(np.ascontiguousarray(np.array(rows, np.float32).T))
            labels.append(label)
    return series, np.array(labels)


@cache
def archive_split(name: str) -> Split:
    """Read both parts of a data set in aeon's package."""
    parts = []
    for part in ("TRAIN", "TEST"):
        path = file_of("aeon", f"aeon/datasets/data/{name}/{name}_{part}.ts")
        with path.open(encoding="utf-8") as file:
            parts.append(read_ts(file))
    (learned, labels), (tested, others) = parts
    y, wanted = classes_of(labels, others)
    return Split(learned, y, tested, wanted)
