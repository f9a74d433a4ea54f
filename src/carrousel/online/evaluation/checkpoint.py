"""Checkpoint of an evaluation: the model, its errors, and the positions in source and sink."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carrousel.errors import CheckpointError
from carrousel.online.evaluation.prequential import ScoredModel
from carrousel.online.model.checkpoint import read_extra
from carrousel.online.model.model import OnlineLSTM
from carrousel.online.sinks.file import SinkPosition
from carrousel.online.sources.types import Position

FORMAT = 1


@dataclass(frozen=True)
class StreamState:
    """Progress in a stream, in values that JSON can hold.

    Attributes:
        source: position of the batch to read next.
        passed: number of its rows that have been handled already.
        table: state of the cleaner before that batch.
        sink: position after the last row written; None: none is written.
        counts: rows learned, rows without a target, values held.
        skipped: number of rows left out, by reason.
        seconds: time spent.
        metrics: position after the last record of metrics; None: none is written.
        unusual: the most unusual rows.
    """

    source: Mapping[str, Any]
    passed: int
    table: Mapping[str, Any]
    sink: Any
    counts: Counter[str]
    skipped: Counter[str]
    seconds: float
    metrics: Any = None
    unusual: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint; see :func:`read_checkpoint`.

    Attributes:
        model: as it was when the checkpoint was written.
        settings: what the evaluation was called with: name -> a value that JSON can hold.
        task: of the model.
        state: progress in the stream.
        arrays, scores: state of errors and calibration.
    """

    model: OnlineLSTM
    settings: Mapping[str, Any]
    task: str
    state: StreamState
    arrays: Mapping[str, np.ndarray]
    scores: Mapping[str, Any]

    @property
    def position(self) -> Position:
        """Where to open the source: ``open_rows(..., start=checkpoint.position)``."""
        return Position.of(self.state.source)

    @property
    def sink_position(self) -> SinkPosition | None:
        """Where to open the sink: ``open_sink(..., start=checkpoint.sink_position)``."""
        return self.state.sink

    @property
    def metrics_position(self) -> SinkPosition | None:
        """Where to open the sink of metrics."""
        return self.state.metrics


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint that :func:`carrousel.online.evaluate` wrote.

    ``OnlineLSTM.load`` reads the model alone from the same file.

    Raises:
        FileNotFoundError: the file does not exist.
        CheckpointError: the file is damaged, or is not a checkpoint of an evaluation.
    """
    try:
        extra = read_extra(path)
    except CheckpointError as error:
        if error.reason != "foreign":
            raise
        raise _foreign(path) from error
    if extra is None or extra[1].get("format") != FORMAT:
        raise _foreign(path)
    arrays, plain = extra
    state = dict(plain["place"])
    state |= {name: Counter(state[name]) for name in ("counts", "skipped")}
    model = OnlineLSTM.load(path)
    return Checkpoint(
        model, plain["wish"], plain["task"], StreamState(**state), arrays, plain["learner"]
    )


def _foreign(path: str | os.PathLike[str]) -> CheckpointError:
    return CheckpointError(
        f"{os.fspath(path)} is not a checkpoint of a stream, or of another version",
        reason="foreign",
        fix="name another {checkpoint}",
    )


class CheckpointWriter:
    """Writes checkpoints at intervals.

    Args:
        path: the file; None: none is written.
        every: seconds between two checkpoints.
        settings: what to keep as :attr:`Checkpoint.settings`.
    """

    def __init__(self, path: Path | None, every: float, settings: Mapping[str, Any]) -> None:
        self.path, self._every, self._settings = path, every, settings
        self._tried_at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the time for the next checkpoint has come."""
        return self.path is not None and time.monotonic() - self._tried_at >= self._every

    def postpone(self) -> None:
        """Count the interval from now."""
        self._tried_at = time.monotonic()

    def write(self, scored: ScoredModel, state: StreamState) -> None:
        """Write a checkpoint atomically.

        Raises:
            DivergedError: the model is no longer finite; the file keeps the last checkpoint.
            UnwritableError: the file cannot be written.
        """
        assert self.path is not None
        arrays, scores = scored.state()
        plain = {
            "format": FORMAT,
            "wish": dict(self._settings),
            "task": scored.model.task,
            "place": vars(state).copy(),
            "learner": scores,
        }
        scored.model.save(self.path, extra=(arrays, plain))
