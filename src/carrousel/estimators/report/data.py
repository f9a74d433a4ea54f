"""Section on the data: lengths, channels, gaps."""

from __future__ import annotations

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.estimators.report.parts import (
    MOST_CHANNELS,
    Figure,
    Section,
    Table,
    figure_of,
    name_of,
    plain,
    share_of,
)
from carrousel.words import count, number

BINS = 24


def data_section(series: Series, *others: Figure) -> Section:
    """Return lengths of the series, and range and gaps of every channel.

    Args:
        series: the evaluated series.
        others: figures that follow that of the lengths.
    """
    lengths = series.lengths
    text = (
        f"{number(len(series))} series with {count(series.n_steps, 'step')}; lengths "
        f"{number(int(lengths.min()))} to {number(int(lengths.max()))}, median "
        f"{number(float(np.median(lengths)))}."
    )
    figures = (*_lengths(lengths, text), *others)
    if series.symbols is not None:
        missing = float((series.values < 0).mean())
        text += f" An alphabet of {count(len(series.symbols), 'symbol')}; missing or unknown: "
        return Section("data", "Data", f"{text}{share_of(missing)}.", figures)
    text += f" Missing values: {share_of(float(np.isnan(series.values).mean()))}."
    if series.times is not None:
        text += _times(series)
    return Section("data", "Data", text, figures, (_channels(series),))


def _lengths(lengths: np.ndarray, text: str) -> tuple[Figure, ...]:
    if lengths.min() == lengths.max():
        return ()
    bins = int(min(BINS, lengths.max() - lengths.min() + 1))
    counts, edges = np.histogram(lengths, bins)
    data = {
        "values": counts.tolist(),
        "positions": plain((edges[1:] + edges[:-1]) / 2),
        "x": {"title": "steps of a series"},
        "y": {"title": "series"},
    }
    return (Figure("bars", data, f"Distribution of lengths. {text}"),)


def _channels(series: Series) -> Table:
    rows = []
    for k, name in enumerate(series.channels[:MOST_CHANNELS]):
        values = np.asarray(series.values[:, k], np.float64)
        seen = values[np.isfinite(values)]
        figures = (seen.min(), seen.mean(), seen.max(), seen.std()) if len(seen) else (None,) * 4
        gaps = share_of(1 - len(seen) / max(len(values), 1))
        rows.append((name_of(name), gaps, *map(figure_of, figures)))
    heads = ("channel", "missing", "minimum", "mean", "maximum", "standard deviation")
    return Table(heads, tuple(rows))


def _times(series: Series) -> str:
    assert series.times is not None
    inner = np.ones(series.n_steps, bool)
    inner[series.offsets[:-1]] = False
    steps = np.diff(series.times, prepend=0.0)[inner]
    if not len(steps):
        return ""
    low, middle, high = np.quantile(steps, (0.05, 0.5, 0.95))
    return (
        f" Time between two steps: median {figure_of(middle)}, nine of ten between "
        f"{figure_of(low)} and {figure_of(high)}."
    )
