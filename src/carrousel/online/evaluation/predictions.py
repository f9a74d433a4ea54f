"""Write formatted predictions to a sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from carrousel.errors import SettingError, UnwritableError
from carrousel.files import same_file
from carrousel.online.evaluation.check import check_other_file, not_a_sink, other_file
from carrousel.online.sinks.file import Sink, SinkPosition

DIGITS = 9
"""Significant digits of predictions; float32 carries no more."""


class LazySink:
    """A sink that is opened when the first row is about to be learned.

    Args:
        sink: an open sink, which the caller closes; or a function that opens one. None: none.
        checkpoint: a file that the sink must not be.

    Raises:
        SettingError: the sink is the file of the checkpoint, or has a wrong format.
    """

    what = "sink"
    """Name of the argument, for messages."""
    formats: tuple[str, ...] = ()
    """Formats that the sink may have; empty: any."""

    def __init__(
        self, sink: Sink | Callable[[], Sink] | None, checkpoint: Path | None = None
    ) -> None:
        self._sink = sink if isinstance(sink, Sink) else None
        self._open = None if isinstance(sink, Sink) else sink
        self._opened_here, self._checkpoint = False, checkpoint
        self._check()

    @property
    def is_open(self) -> bool:
        """Whether :meth:`open` has nothing to do."""
        return self._sink is not None or self._open is None

    def open(self) -> None:
        """Open the sink if it is not open yet.

        To be called before the first row is learned: a file is replaced only once there is a row,
        and nothing is learned if it cannot be opened.
        """
        if self._sink is None and self._open is not None:
            opened = self._opened()
            if not isinstance(opened, Sink):
                raise not_a_sink(opened, self.what)
            self._sink, self._opened_here = opened, True
            self._check()

    def _opened(self) -> object:
        assert self._open is not None
        try:
            return self._open()
        except UnwritableError as error:
            path = self._checkpoint
            if path is not None and error.source and same_file(path, Path(error.source)):
                raise other_file(path, error.source, "written to") from error
            raise

    def _check(self) -> None:
        if self._sink is not None and self.formats and self._sink.format not in self.formats:
            raise SettingError(
                argument=self.what,
                got=self._sink.name,
                expected=f"a sink of format {' or '.join(map(repr, self.formats))}",
                fix=f"open it by open_sink(path, {self.formats[0]!r})",
            )
        if self._sink is not None and self._checkpoint is not None:
            check_other_file(self._checkpoint, self._sink)

    def position(self) -> SinkPosition | None:
        """Return the position after the last row, all of it on disk; None: nothing is open."""
        return None if self._sink is None else self._sink.position()

    def close(self) -> None:
        """Close the sink if it was opened here."""
        if self._sink is not None and self._opened_here:
            self._sink.close()


class PredictionWriter(LazySink):
    """Writes rows of predictions."""

    def write(self, columns: Mapping[str, Any], keys: Sequence[str | None] | None) -> None:
        """Write rows to the open sink: rounded numbers; missing values are empty."""
        if self._sink is None:
            return
        # A column of only None has no type in Arrow data.
        no_label = "" if self._sink.format == "arrow" else None
        shown = {name: _formatted(name, values, no_label) for name, values in columns.items()}
        self._sink.write(shown, keys if self._sink.keyed else None)


def _formatted(name: str, values: Any, no_label: str | None) -> Any:
    if not isinstance(values, np.ndarray):
        label = name in ("target", "prediction", "next", "departed", "expected")
        return [no_label if v is None else v for v in values] if label else values
    if name == "anomaly":
        values = np.round(values, 4)
    elif name.endswith("probability"):
        values = np.round(values, 6)
    elif name == "deviations":
        values = np.round(values, 2)
    elif name == "expected" or name.startswith(("prediction", "next", "lower", "upper")):
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
