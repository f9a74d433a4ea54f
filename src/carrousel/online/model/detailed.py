"""Predictions of many rows, with all that is needed to score them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DivergedError, RowError, SettingError, ShapeError
from carrousel.online.model.batch import Said
from carrousel.online.model.engine import Engine
from carrousel.online.model.forecasts import LastForecasts
from carrousel.online.model.heads import Labels
from carrousel.online.model.targets import Goals
from carrousel.shapes import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class DetailedRun:
    """Predictions of ``N`` rows, and what is needed to score them.

    Attributes:
        outputs: predictions made at each row: numbers ``[N, O]``, or probabilities ``[N, K]``.
            Numbers are NaN until a target has been learned: before that, they have no scale.
        forecasts: predictions of each row's own target, of the same shape: ``outputs``, or with
            ``late`` those of the stream's row before; NaN or probability 0 where there is none.
        classes: the ``K`` classes met so far; empty where targets are numbers.
        streams: the place of each row's stream, from 0.
        begins: whether a row is the first of its stream.
        error: why the row after these was not learned; None: all rows were.
    """

    outputs: Annotated[Floats, "N K"]
    forecasts: Annotated[Floats, "N K"]
    classes: tuple[Hashable, ...]
    streams: Annotated[Ints, "N"]
    begins: Annotated[Bools, "N"]
    error: RowError | DivergedError | None

    def __len__(self) -> int:
        return len(self.outputs)

    @classmethod
    def of_no_rows(cls, error: RowError | DivergedError | None) -> DetailedRun:
        """The result of a call that ended before its first row."""
        none = np.empty((0, 0))
        return cls(none, none, (), np.zeros(0, np.intp), np.zeros(0, bool), error)


class DetailedRuns:
    """The part of :class:`OnlineLSTM` that returns what is needed to score its predictions."""

    task: str
    _engine: Engine | None
    _taken: Callable[..., tuple[Engine, Said, RowError | DivergedError | None]]

    def run_detailed(
        self, X: Any, y: Any = None, keys: Any = None, late: bool = False
    ) -> DetailedRun:
        """Take many rows in order, as :meth:`run` does; return all that is needed to score them.

        Args:
            X, y, keys, late: as for :meth:`run`; ``late`` is implied by task ``"next"``.

        Returns:
            Predictions, the stream of each row, and the error that ended the call early, which is
            returned instead of raised.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM(cells=2, random_state=1)
        >>> found = model.run_detailed([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], late=True)
        >>> bool((found.forecasts[1:] == found.outputs[:-1])[1:].all()), found.begins.tolist()
        (True, [True, False, False])
        """
        late = late or self.task == "next"
        numbers, begun = self.task == "regression", self._engine
        learned = numbers and begun is not None and begun.has_learned
        try:
            engine, said, error = self._taken(X, y, keys, True, late)
        except (RowError, DivergedError) as refused:
            return DetailedRun.of_no_rows(refused)
        targets = Goals(y) if numbers and y is not None and not learned else None
        return _detailed(engine, said, targets, learned, late, error)

    def restore_forecasts(self, values: np.ndarray, classes: Sequence[Hashable]) -> None:
        """Set the last forecast of each stream, as ``run_detailed`` with ``late`` would have.

        Args:
            values: numbers ``[streams, O]``, NaN where there is none, or probabilities
                ``[streams, K]``, 0 where there are none.
            classes: the ``K`` classes.
        """
        engine = self._engine
        if engine is None:
            raise SettingError("a model that has met no row has no forecasts")
        if len(values) != engine.settings.streams:
            raise ShapeError(f"values has {len(values)} rows, expected {engine.settings.streams}")
        engine.forecasts = LastForecasts(values.copy(), tuple(classes), engine.now)


def _detailed(
    engine: Engine,
    said: Said,
    targets: Goals | None,
    learned: bool,
    late: bool,
    error: RowError | DivergedError | None,
) -> DetailedRun:
    """Put a run's outputs together.

    Args:
        engine: after the run.
        said: the outputs.
        targets: numbers that were given as targets.
        learned: whether a target had been learned before the run.
        late: whether targets are one row late.
        error: why the run ended early.
    """
    streams, begins = said.streams()
    if not len(streams):
        return DetailedRun.of_no_rows(error)
    head = engine.head
    if head.kind == "linear":
        classes, none = (), np.nan
        outputs = said.predictions().reshape(len(streams), -1)
        if not learned:
            outputs[: _unscaled(targets, begins, late)] = none
    else:
        unknown = isinstance(head, Labels) and not head.classes  # its two names are placeholders
        classes, none = () if unknown else head.named, 0.0
        outputs = said.probabilities(head)[:, : len(classes)]
    forecasts = outputs
    if late:
        last = engine.forecasts
        if last is None or last.made_at != engine.now - len(streams):
            width = outputs.shape[1]
            last = LastForecasts(np.full((engine.settings.streams, width), none), classes, 0)
        forecasts = last.shift(outputs, classes, streams, begins, none)
        last.made_at, engine.forecasts = engine.now, last
    return DetailedRun(outputs, forecasts, classes, streams, begins, error)


def _unscaled(targets: Goals | None, begins: Annotated[Bools, "N"], late: bool) -> int:
    """Count the rows whose outputs were made before any target had been learned."""
    for row, first in enumerate(begins.tolist()):
        if targets is not None and targets.one(row) is not None and not (late and first):
            return row if late else row + 1
    return len(begins)
