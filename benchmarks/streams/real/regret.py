"""Error of the mixture of ``OnlineLSTM`` beside that of each rule in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmarks.streams.real.stream import START, Stream

TASKS = ("forecast",)
POINTS, FIRST = 100, 30
"""Points of a curve of regret, and the number of rows at the first."""


def regret(stream: Stream, seed: int = 0) -> dict[str, Any]:
    """Run the model a row at a time, and read the forecasts of its rules.

    Returns:
        Mean absolute errors over all rows but the first: ``rules`` by name; ``base`` of their
        mixture; ``full`` of that plus what the net adds; ``mixed`` of the forecast, a mixture of
        these two. ``running`` has the numbers of ``rows``, and the sum of errors so far of the
        forecast (``mixed``) and of the rule that is the best of all in the end (``best``).
    """
    names, forecasts = forecasts_of(stream, seed)
    errors = np.abs(forecasts - stream.y[:, None])
    scored = np.isfinite(errors).all(1) & (np.arange(len(stream)) >= START)
    errors = errors[scored]
    means = dict(zip(names, errors.mean(0).tolist(), strict=True))
    rules = {name: means.pop(name) for name in names[3:]}
    best = min(rules, key=rules.__getitem__)
    at = np.unique(np.geomspace(min(FIRST, len(errors)), len(errors), POINTS).round().astype(int))
    sums = np.cumsum(errors, 0)[at - 1]
    running = {"mixed": sums[:, 2].tolist(), "best": sums[:, names.index(best)].tolist()}
    return {**means, "rules": rules, "running": {"rows": at.tolist(), **running}}


def forecasts_of(stream: Stream, seed: int) -> tuple[list[str], np.ndarray]:
    """Return names and forecasts ``[N, n]`` of each row's target; NaN where there are none."""
    from carrousel import OnlineLSTM
    from carrousel.online.model.encoding.tables import as_table
    from carrousel.online.model.encoding.targets import Targets

    model = OnlineLSTM(**stream.needs, random_state=seed)
    columns = {name: column.tolist() for name, column in stream.columns.items()}
    y, keys = np.asarray(stream.y, float), stream.keys
    series = np.zeros(len(y), int) if keys is None else np.unique(keys, return_inverse=True)[1]
    model._engine = model._start_with(as_table(columns, False), Targets(y))  # with all categories
    names: list[str] = []
    found, last = [], {}
    for row in range(len(y)):
        here = slice(row, row + 1)
        x = {name: column[here] for name, column in columns.items()}
        key = None if keys is None else keys[here].tolist()
        made = model.run(x, y[here], key, late=True)
        names, now = _latest(model, None if key is None else key[0])
        assert now[2] == made[0], "the kernel keeps its rows in another way"
        found.append(last.get(series[row], np.full(len(now), np.nan)))
        last[series[row]] = now
    return names, np.array(found)


def _latest(model: Any, key: Any) -> tuple[list[str], np.ndarray]:
    """Return the forecasts at the last row of a key.

    The kernel keeps of a row with one target, see ``Rules::Waiting`` in ``native/stream/rules.h``:
    the number of values, their mean, the mean change, the mean error, the three mixtures, the
    rules, and inputs.
    """
    engine = model._engine
    how = engine.kernel.streaming.rules
    row = engine.kernel._read("rules_rows", engine.keys.find(key, engine.n_rows))[0]
    seasons = [f"{what} {n + 1}" for n in range(how.n_periods) for what in ("season", "change")]
    fits = ["lags", "lags and inputs", "inputs"][: how.n_fits]
    names = ["base", "full", "mixed", "last", "mean", "recent mean", *fits, *seasons]
    return names, row[4 : 4 + len(names)].copy()
