"""Coverage and width of the prediction intervals of ``OnlineLSTM`` by its defaults."""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmarks.streams.real.stream import START, Stream

LEVELS = (0.8, 0.9, 0.95)
"""Levels that are tracked by default."""
TASKS = ("forecast", "regression")


def intervals(stream: Stream, seed: int = 0) -> dict[str, Any]:
    """Measure how often intervals contain the target, over all rows but the first.

    Returns:
        ``targets``, their number; ``error``, the mean absolute error of the forecasts; and for each
        of ``levels`` the ``coverage`` and the mean ``width``, relative to ``error``.
    """
    from carrousel import OnlineLSTM

    x = {name: column.tolist() for name, column in stream.columns.items()}
    y = np.asarray(stream.y, float)
    found: dict[str, Any] = {"levels": list(LEVELS), "coverage": [], "width": []}
    for level in LEVELS:
        model = OnlineLSTM(**stream.needs, random_state=seed)
        run = model.run_detailed(x, y, stream.keys, late=stream.forecast, level=level)
        assert run.own_bounds is not None
        low, high = run.own_bounds[:, :, 0]
        known = np.isfinite(low + y) & (np.arange(len(y)) >= START)
        inside, wide = (low <= y) & (y <= high), high - low
        error = float(np.abs(run.forecasts[:, 0] - y)[known].mean())
        found |= {"targets": int(known.sum()), "error": error}
        found["coverage"].append(float(inside[known].mean()))
        found["width"].append(float(wide[known].mean()) / error)
    return found
