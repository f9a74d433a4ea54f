"""Errors of forecasts of several rows, beside those of naive rules at the same leads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from benchmarks.streams.real.stream import START, Stream

AHEAD = 24
LEADS = (1, 6, 12, 24)
STREAMS = ("electricity", "solar", "traffic")


def leads(stream: Stream, seed: int = 0, ahead: int = AHEAD) -> dict[str, Any]:
    """Return the mean absolute errors of ``LEADS``, by contender, of one series.

    Each forecast is made at a row, and its target is 1 to ``ahead`` rows later. Rows before
    ``START`` make no scored forecasts.
    """
    from carrousel import OnlineLSTM

    assert stream.keys is None, stream.name
    assert stream.forecast, stream.name
    x = {name: column.tolist() for name, column in stream.columns.items()}
    y = np.asarray(stream.y, float)
    model = OnlineLSTM(**stream.needs, ahead=ahead, random_state=seed)
    made = np.asarray(model.run(x, y, late=True))  # [N, ahead], at each row
    contenders = {"OnlineLSTM": made, **dict(naive(y, stream.seasons, ahead))}
    kept = [lead for lead in LEADS if lead <= ahead]
    return {
        "leads": kept,
        "errors": {name: [error(y, f, lead) for lead in kept] for name, f in contenders.items()},
    }


def naive(y: np.ndarray, seasons: tuple[int, ...], ahead: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield rules by name, with their forecasts ``[N, ahead]`` at each row.

    A seasonal rule repeats the latest known season.
    """
    rows, lead = np.arange(len(y))[:, None], np.arange(1, ahead + 1)
    yield "last value", np.repeat(y[:, None], ahead, 1)
    for season in seasons:
        then = rows + lead - -(-lead // season) * season
        yield f"{season} rows before", np.where(then < 0, y[rows], y[np.maximum(then, 0)])


def error(y: np.ndarray, forecasts: np.ndarray, lead: int) -> float:
    """Return the mean absolute error of one lead over all rows but the first."""
    off = np.abs(forecasts[:-lead, lead - 1] - y[lead:])
    return float(np.nanmean(off[START:]))
