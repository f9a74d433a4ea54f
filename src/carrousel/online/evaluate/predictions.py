"""Rows of predictions on their way out: opened when there is one, and written to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carrousel.online.sinks.file import SinkPosition
from carrousel.online.sinks.open import open_sink

if TYPE_CHECKING:
    from carrousel.online.evaluate.checkpoint import Kept
    from carrousel.online.evaluate.settings import Wish

DIGITS = 9
"""Significant digits of predictions: a float32 net knows no more."""


class Output:
    """Where a stream's rows go.

    It is opened when the first row comes, so that a call that is wrong replaces no old file.

    Args:
        wish: says where and how.
        kept: a checkpoint to go on from, which is opened at once.
    """

    def __init__(self, wish: Wish, kept: Kept | None) -> None:
        self._wish, self._sink = wish, None
        self._topic = wish.out is not None and wish.out.startswith("kafka://")
        suffix = Path(wish.out or "").suffix.lower()
        arrow = "arrow" in (wish.out_format, suffix.strip("."), suffix.strip(".").rstrip("s"))
        self._no_label = "" if arrow else None  # a column of nothing but None would have no type
        if kept is not None and kept.place.sink is not None:
            self._sink = open_sink(wish.out, wish.out_format, start=kept.place.sink)

    def write(self, columns: Mapping[str, Any], keys: Sequence[str | None] | None) -> None:
        """Write rows: numbers as short as they are exact, nothing where there is none."""
        if self._sink is None:
            self._sink = open_sink(self._wish.out, self._wish.out_format)
        shown = {name: self._shown(name, values) for name, values in columns.items()}
        self._sink.write(shown, keys if self._topic else None)

    def _shown(self, name: str, values: Any) -> Any:
        if not isinstance(values, np.ndarray):
            label = name in ("target", "prediction", "next")
            return [self._no_label if v is None else v for v in values] if label else values
        if name == "anomaly":
            values = np.round(values, 4)
        elif name.endswith("probability"):
            values = np.round(values, 6)
        elif name in ("prediction", "next"):
            values = rounded(values)
        absent = np.isnan(values) if values.dtype.kind == "f" else np.zeros(0, bool)
        return [None if v != v else v for v in values.tolist()] if absent.any() else values

    def position(self) -> SinkPosition | None:
        """How far it is written, all of it on disk; None: not at all."""
        return None if self._sink is None else self._sink.position()

    def close(self) -> None:
        """End it."""
        if self._sink is not None:
            self._sink.close()


def rounded(values: np.ndarray) -> np.ndarray:
    """Numbers to nine significant digits; those of a billion and more as they are.

    >>> rounded(np.array([1 / 3, 20.123456789012, -0.0, np.nan, 2e9 / 3])).tolist()
    [0.333333333, 20.1234568, 0.0, nan, 666666666.667]
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        before = np.floor(np.log10(np.abs(values)))
        scale = 10.0 ** np.maximum(DIGITS - 1 - before, 3)
        short = np.round(values * scale) / scale
    exact = np.isfinite(short) & (scale <= 1e22)  # larger powers of ten are no float64
    return np.where(exact, short, values + 0.0)
