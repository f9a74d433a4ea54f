"""Predictions of many rows, with everything that is needed to score them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from carrousel.errors import DivergedError, RowError, SettingError, ShapeError
from carrousel.online.model.batch import RunOutputs
from carrousel.online.model.delays import LabelTimes
from carrousel.online.model.encoding.heads import BinaryHead, RegressionHead
from carrousel.online.model.engine import Engine
from carrousel.online.model.forecasts import LastForecasts
from carrousel.online.model.horizons import check_level
from carrousel.online.model.settings import Settings
from carrousel.shapes import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class DetailedRun:
    """Predictions of ``N`` rows, and what is needed to score them.

    Attributes:
        outputs: predictions made at each row: numbers ``[N, O]``, or probabilities
            ``[N, classes]``. Numbers are NaN until a target has been learned, since they have no
            scale before.
        forecasts: predictions of each row's own target, of the same shape: ``outputs``, or with
            ``late`` those of the stream's row before; NaN or probability 0 where there is none.
        classes: the known classes; empty where targets are numbers.
        streams: the place of each row's stream, from 0.
        begins: whether a row is the first of its stream.
        error: why the row after these was not learned; None: all rows were.
        leads: numbers ``[N, ahead, O]``: predictions of the target of ``outputs`` and of those of
            the next rows of the stream; None: ``ahead`` is 1.
        lower, upper: bounds of intervals around ``leads`` (or ``outputs``), ``[N, ahead, O]``;
            None: no level was given.
        own_bounds: bounds ``[2, N, O]`` of ``forecasts``.
    """

    outputs: Annotated[Floats, "N classes"]
    forecasts: Annotated[Floats, "N classes"]
    classes: tuple[Hashable, ...]
    streams: Annotated[Ints, "N"]
    begins: Annotated[Bools, "N"]
    error: RowError | DivergedError | None
    leads: Annotated[Floats, "N ahead O"] | None = None
    lower: Annotated[Floats, "N ahead O"] | None = None
    upper: Annotated[Floats, "N ahead O"] | None = None
    own_bounds: Annotated[Floats, "2 N O"] | None = None

    def __len__(self) -> int:
        return len(self.outputs)

    @classmethod
    def of_no_rows(cls, error: RowError | DivergedError | None) -> DetailedRun:
        """Return the result of a run that ended before its first row."""
        none = np.empty((0, 0))
        return cls(none, none, (), np.zeros(0, np.intp), np.zeros(0, bool), error)


class DetailedRuns:
    """The part of :class:`OnlineLSTM` that returns what is needed to score its predictions."""

    task: str
    _engine: Engine | None
    _settings: Callable[[], Settings]
    _run_rows: Callable[..., tuple[Engine, RunOutputs, RowError | DivergedError | None]]

    def run_detailed(
        self,
        X: Any,
        y: Any = None,
        keys: Any = None,
        late: bool = False,
        *,
        level: float | None = None,
        label_times: LabelTimes | None = None,
    ) -> DetailedRun:
        """Run many rows like :meth:`run`; return everything that is needed to score them.

        Args:
            X, y, keys, late: see :meth:`run`; ``late`` is implied by task ``"next"``.
            level: one of ``levels``: bounds of this interval are returned too.
            label_times: when each target is learned, instead of at its row; needs ``delay``, the
                most rows of a key that wait.

        Returns:
            Predictions, the stream of each row, and the error that ended the run early, which is
            returned instead of raised.

        >>> from carrousel import OnlineLSTM
        >>> model = OnlineLSTM(cells=2, random_state=1)
        >>> found = model.run_detailed([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], late=True)
        >>> bool((found.forecasts[1:] == found.outputs[:-1])[1:].all()), found.begins.tolist()
        (True, [True, False, False])
        """
        if label_times is not None and not self._settings().delay:
            raise SettingError(
                "targets have label times, but the model keeps no rows that wait for them",
                argument="delay",
                got=0,
                expected="at least 1",
                fix="create the model with {delay}, the most rows of a key that wait",
            )
        check_level(self, level)
        late = late or self.task == "next"
        numbers, before = self.task == "regression", self._engine
        learned = before.learned() if numbers and before is not None else None
        taught = numbers and (learned is None or not learned.all())
        try:
            engine, outputs, error = self._run_rows(
                X, y, keys, True, late, None, level is not None, taught, label_times
            )
        except (RowError, DivergedError) as refused:
            return DetailedRun.of_no_rows(refused)
        if learned is None:
            learned = np.zeros(engine.head.n_targets, bool)
        return _detailed(engine, outputs, learned, late, error, level)

    def restore_forecasts(self, values: np.ndarray, classes: Sequence[Hashable]) -> None:
        """Set the last forecast of each stream, as ``run_detailed`` with ``late`` leaves it.

        A model that has not seen a row has no forecasts and is left as it is.

        Args:
            values: numbers ``[B, O]``, NaN where there is none, or probabilities
                ``[B, classes]``, 0 where there are none. ``B`` may be less than ``streams``.
            classes: the classes.

        Raises:
            ShapeError: ``values`` has more streams than the model.
        """
        engine = self._engine
        if engine is None:
            return
        streams = engine.settings.streams
        if len(values) > streams:
            problem = f"values has {len(values)} rows, expected at most {streams}"
            raise ShapeError(problem, argument="values", got=len(values), expected=str(streams))
        last = LastForecasts(values, tuple(classes), engine.n_rows)
        engine.forecasts = last.padded(streams)


def _detailed(
    engine: Engine,
    run: RunOutputs,
    learned: Annotated[Bools, "V"],
    late: bool,
    error: RowError | DivergedError | None,
    level: float | None,
) -> DetailedRun:
    """Combine the outputs of a run.

    Args:
        engine: after the run.
        run: the outputs.
        learned: which numbers of targets had learned a target before the run.
        late: whether targets are one row late.
        error: why the run ended early.
        level: of the intervals.
    """
    streams, begins = run.streams()
    if not len(streams):
        return DetailedRun.of_no_rows(error)
    head = engine.head
    n, leads, sides = head.n_targets, None, []
    if isinstance(head, RegressionHead):
        classes, none = (), np.nan
        leads, *sides = _leads(engine, head, run, level)
        if not learned.all():
            own = not late and not engine.settings.delay  # targets are learned after the outputs
            for k, rows in enumerate((run.first_taught() + own).tolist()):
                for each in (leads, *sides):
                    each[: 0 if learned[k] else rows, :, k] = none
        outputs = np.hstack([each[:, 0] for each in (leads, *sides)])
    else:
        unknown = isinstance(head, BinaryHead) and not head.known  # its classes are placeholders
        classes, none = () if unknown else head.classes, 0.0
        outputs = run.probabilities(head)[:, : len(classes)]
    forecasts = outputs
    if late:
        last = engine.forecasts
        if last is None or last.made_at != engine.n_rows - len(streams):
            width = outputs.shape[1]
            last = LastForecasts(np.full((engine.settings.streams, width), none), classes, 0)
        forecasts = last.shift(outputs, classes, streams, begins, none)
        last.made_at, engine.forecasts = engine.n_rows, last
    found = DetailedRun(outputs, forecasts, classes, streams, begins, error)
    if leads is None:
        return found
    own = np.stack([forecasts[:, n : 2 * n], forecasts[:, 2 * n :]]) if sides else None
    return replace(
        found,
        outputs=outputs[:, :n],
        forecasts=forecasts[:, :n],
        leads=leads if engine.settings.ahead > 1 else None,
        lower=sides[0] if sides else None,
        upper=sides[1] if sides else None,
        own_bounds=own,
    )


def _leads(
    engine: Engine, head: RegressionHead, run: RunOutputs, level: float | None
) -> list[Annotated[Floats, "N ahead O"]]:
    """Return predictions by lead and target, and with a level their lower and upper bounds."""
    found, bounds = [head.leads(run.raw()).copy()], run.bounds()
    if level is not None and bounds is not None:
        which = engine.settings.levels.index(level)
        found += [head.leads(np.ascontiguousarray(bounds[:, :, side, which])) for side in (0, 1)]
    return found
