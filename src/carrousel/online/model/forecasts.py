"""The last forecast of each stream."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Annotated

import numpy as np

from carrousel.shapes import Bools, Floats, Ints


class LastForecasts:
    """The last forecast of each stream, which its next row is scored against.

    Args:
        values: numbers ``[B, O]``, NaN where there is none, or probabilities
            ``[B, classes]``, 0 where there are none.
        classes: the classes; empty where forecasts are numbers.
        made_at: number of rows of the model when the forecasts were made. They are dropped if
            further rows have been run since.
    """

    def __init__(
        self, values: Annotated[Floats, "B classes"], classes: Sequence[Hashable], made_at: int
    ) -> None:
        self.values, self.classes, self.made_at = values, tuple(classes), made_at

    def shift(
        self,
        outputs: Annotated[Floats, "N classes"],
        classes: Sequence[Hashable],
        streams: Annotated[Ints, "N"],
        begins: Annotated[Bools, "N"],
        none: float,
    ) -> Annotated[Floats, "N classes"]:
        """Return the forecast made at the row before of each row's stream, and keep the last ones.

        Args:
            outputs: forecasts made at each row.
            classes: the classes of their columns.
            streams: the place of each row's stream.
            begins: whether a row is the first of its stream.
            none: the value of a forecast that does not exist.

        >>> last = LastForecasts(np.full((2, 1), np.nan), (), 0)
        >>> outputs, streams = np.array([[1.0], [2.0], [3.0]]), np.array([0, 1, 0])
        >>> last.shift(outputs, (), streams, np.array([True, True, False]), np.nan).ravel().tolist()
        [nan, nan, 1.0]
        >>> last.values.ravel().tolist()
        [3.0, 2.0]
        """
        self._align(classes, outputs.shape[1], none)
        order = np.argsort(streams, kind="stable")
        first = np.diff(streams[order], prepend=-1) != 0
        last = np.append(first[1:], True)
        before = np.empty_like(outputs)
        before[order[1:]] = outputs[order[:-1]]
        before[order[first]] = self.values[streams[order[first]]]
        before[begins] = none
        self.values[streams[order[last]]] = outputs[order[last]]
        return before

    def padded(self, streams: int) -> LastForecasts:
        """Return the forecasts of more streams; the further ones have none."""
        values = np.full((streams, self.values.shape[1]), 0.0 if self.classes else np.nan)
        values[: len(self.values)] = self.values
        return LastForecasts(values, self.classes, self.made_at)

    def _align(self, classes: Sequence[Hashable], width: int, none: float) -> None:
        """Give the values a column for each class."""
        if tuple(classes) == self.classes and width == self.values.shape[1]:
            return
        values = np.full((len(self.values), width), none)
        for column, label in enumerate(self.classes):
            values[:, list(classes).index(label)] = self.values[:, column]
        self.values, self.classes = values, tuple(classes)
