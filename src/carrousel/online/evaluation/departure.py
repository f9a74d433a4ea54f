"""Which column of a row departs most from its forecast, and how unusual that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from carrousel.online.evaluation.anomaly import LEAST, Calibration
from carrousel.shapes import Floats

COLUMNS = ("anomaly", "departed", "expected", "deviations")
"""Columns of predictions: the score of the row; the column that departed most; its forecast; its
error over the usual size of its errors (numbers only)."""


class Departures:
    """Anomaly scores of rows, with the column that departed most from its forecast.

    The score is the rank of the error among the last ones (:class:`Calibration`). With several
    columns it is the rank of the largest error, each in units of the usual errors of its column.

    Args:
        names: of the columns that are predicted.
        window: number of errors kept.
        numbers: whether the columns are numbers; the errors of labels have no usual size.

    Attributes:
        explained: whether :meth:`add` returns more than the scores. Checkpoints of earlier versions
            continue without.

    >>> departures = Departures(("heat", "wind"), window=200)
    >>> errors = np.abs(np.random.default_rng(1).normal(size=(400, 2))) * [1.0, 100.0]
    >>> forecasts = np.zeros((400, 2))
    >>> errors[300] = 9.0, 100.0
    >>> found = departures.add(errors, forecasts)
    >>> found["departed"][300], found["deviations"][300].round(), found["expected"][300] == 0
    ('heat', np.float64(9.0), np.True_)
    """

    def __init__(self, names: Sequence[str], window: int, numbers: bool = True) -> None:
        self.names, self.numbers, self.explained = tuple(names), numbers, True
        least = min(LEAST, window)
        self._whole = Calibration(window, least=least)
        several = names if len(names) > 1 else ()
        self._each = [Calibration(window, least=least) for _ in several]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that :meth:`add` returns."""
        return COLUMNS[: (4 if self.numbers else 3) if self.explained else 1]

    def add(self, errors: Annotated[Floats, "N O"], forecasts: Any) -> dict[str, Any]:
        """Score rows in order.

        Args:
            errors: of each column; larger is worse, NaN where missing.
            forecasts: what was expected: numbers ``[N, O]``, or labels ``[N]``.

        Returns:
            The columns of :attr:`columns`; NaN or None where there is no error, or too few errors
            came before it.
        """
        if self._each:
            ranked = [each.rank(errors[:, k])[1] for k, each in enumerate(self._each)]
            deviations = errors / np.column_stack(ranked)
            known = np.where(np.isnan(deviations), -1.0, deviations)
            most = known.argmax(axis=1)
            largest = deviations[np.arange(len(errors)), most]
            scores, _ = self._whole.rank(largest)
        else:
            most = np.zeros(len(errors), np.intp)
            scores, sizes = self._whole.rank(errors[:, 0])
            largest = errors[:, 0] / sizes
        if not self.explained:
            return {COLUMNS[0]: scores}
        found = ~np.isnan(largest if self.numbers else scores)
        names = [self.names[k] if there else None for k, there in zip(most, found, strict=True)]
        if self.numbers:
            expected = np.where(found, forecasts[np.arange(len(errors)), most], np.nan)
            return dict(zip(COLUMNS, (scores, names, expected, largest), strict=True))
        expected = [f if there else None for f, there in zip(forecasts, found, strict=True)]
        return dict(zip(COLUMNS, (scores, names, expected), strict=False))

    def state(self) -> dict[str, np.ndarray]:
        """Return the state, for :meth:`restore`."""
        found = self._whole.state()
        for k, each in enumerate(self._each):
            found |= {f"{k}.{name}": array for name, array in each.state().items()}
        return found

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned; raises ShapeError if it does not fit."""
        self._whole.restore(state)
        for k, each in enumerate(self._each):
            start = f"{k}."
            own = {n.removeprefix(start): a for n, a in state.items() if n.startswith(start)}
            each.restore(own)
