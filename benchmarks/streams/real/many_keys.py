"""Errors of ``OnlineLSTM`` on 1 to 10,000 interleaved series of one kind."""

from __future__ import annotations

from typing import Any

import numpy as np

KEYS = (1, 30, 200, 1000, 10_000)
LENGTH, LEAST = 300, 6000
"""Rows of a series, and least number of rows of all together."""
NOISE = 0.1


def many_keys(n: int, experts: str | None, seed: int = 0) -> dict[str, Any]:
    """Forecast ``n`` interleaved series ``sin(t / 5 + phase) + noise``; each has its own phase.

    Returns:
        The number of ``rows``, and mean absolute errors over all rows with a forecast (``error``)
        and over the second half (``later``), and that of the last value (``last``).
    """
    from carrousel import OnlineLSTM

    y, keys = series(n)
    model = OnlineLSTM(streams=n, experts=experts, random_state=seed)  # pyright: ignore
    made = np.asarray(model.run(y[:, None], y, keys, late=True)).ravel()
    off = np.abs(made[:-n] - y[n:])
    return {
        "rows": len(y),
        "error": float(off.mean()),
        "later": float(off[len(y) // 2 - n :].mean()),
        "last": float(np.abs(y[:-n] - y[n:]).mean()),
    }


def series(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values and keys ``[N]`` of interleaved series."""
    rng = np.random.default_rng(7)
    t, keys = np.divmod(np.arange(max(LENGTH, LEAST // n) * n), n)
    phase = rng.uniform(0, 2 * np.pi, n)
    return np.sin(t / 5 + phase[keys]) + rng.normal(0, NOISE, len(t)), keys
