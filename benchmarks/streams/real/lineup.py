"""The contenders of a stream, by name."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.streams.real import deep, least_squares, ours, rivers, rules
from benchmarks.streams.real.stream import Predict, Stream

OURS, CALENDAR = "OnlineLSTM", "OnlineLSTM, calendar columns"
RLS, RIDGE = "recursive least squares, 24 lags", "recursive ridge regression, all features"


class Contender(NamedTuple):
    """A way to predict a stream, and the seeds that it is run with."""

    predict: Predict
    seeds: int
    package: str = ""


def contenders(stream: Stream) -> dict[str, Contender]:
    """Return all contenders of a stream in the order of the page."""
    found = {OURS: Contender(ours.defaults, ours.SEEDS, "carrousel")}
    if ours.calendar_columns(stream):
        found[CALENDAR] = Contender(ours.calendar, ours.SEEDS, "carrousel")
    found |= {name: Contender(rule, 1) for name, rule in rules.rules(stream).items()}
    if stream.task == "forecast":
        found[RLS] = Contender(least_squares.on_lags, 1)
    if stream.task in ("forecast", "regression"):
        found[RIDGE] = Contender(least_squares.on_all_features, 1)
    if stream.task == "regression":
        found["recursive ridge regression, the row alone"] = Contender(least_squares.on_columns, 1)
    found |= {name: Contender(run, 1, "river") for name, run in rivers.models(stream).items()}
    found |= {name: Contender(run, 1, "deep_river") for name, run in deep.models(stream).items()}
    return found
