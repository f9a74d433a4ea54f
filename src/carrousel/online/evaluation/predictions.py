"""Write formatted predictions to a sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from carrousel.online.sinks.file import Sink, SinkPosition

DIGITS = 9
"""Significant digits of predictions; float32 carries no more."""


class PredictionWriter:
    """Writes rows of predictions.

    Args:
        sink: an open sink, which the caller closes; or a function that opens one, called at the
            first row, so that a call that fails before it replaces no file. None: writes nothing.
    """

    def __init__(self, sink: Sink | Callable[[], Sink] | None) -> None:
        self._sink = sink if isinstance(sink, Sink) else None
        self._open = None if isinstance(sink, Sink) else sink
        self._opened_here = False

    def write(self, columns: Mapping[str, Any], keys: Sequence[str | None] | None) -> None:
        """Write rows: rounded numbers; missing values are empty."""
        if self._sink is None:
            if self._open is None:
                return
            self._sink, self._opened_here = self._open(), True
        # A column of only None has no type in Arrow data.
        no_label = "" if self._sink.format == "arrow" else None
        shown = {name: _formatted(name, values, no_label) for name, values in columns.items()}
        self._sink.write(shown, keys if self._sink.keyed else None)

    def position(self) -> SinkPosition | None:
        """Return the position after the last row, all of it on disk; None: nothing is open."""
        return None if self._sink is None else self._sink.position()

    def close(self) -> None:
        """Close the sink if it was opened here."""
        if self._sink is not None and self._opened_here:
            self._sink.close()


def _formatted(name: str, values: Any, no_label: str | None) -> Any:
    if not isinstance(values, np.ndarray):
        label = name in ("target", "prediction", "next")
        return [no_label if v is None else v for v in values] if label else values
    if name == "anomaly":
        values = np.round(values, 4)
    elif name.endswith("probability"):
        values = np.round(values, 6)
    elif name in ("prediction", "next"):
        values = rounded(values)
    absent = np.isnan(values) if values.dtype.kind == "f" else np.zeros(0, bool)
    return [None if v != v else v for v in values.tolist()] if absent.any() else values


def rounded(values: np.ndarray) -> np.ndarray:
    """Round to nine significant digits; numbers from a billion on keep three decimals.

    >>> rounded(np.array([1 / 3, 20.123456789012, -0.0, np.nan, 2e9 / 3])).tolist()
    [0.333333333, 20.1234568, 0.0, nan, 666666666.667]
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        before = np.floor(np.log10(np.abs(values)))
        scale = 10.0 ** np.maximum(DIGITS - 1 - before, 3)
        short = np.round(values * scale) / scale
    exact = np.isfinite(short) & (scale <= 1e22)  # larger powers of ten are not exact in float64
    return np.where(exact, short, values + 0.0)
