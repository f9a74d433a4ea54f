"""Predictions at every step of evaluated series, next to the truth."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from carrousel.estimators.data.series import Series
from carrousel.shapes import Array, Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class ClassPredictions:
    """Probabilities of classes at every step.

    Args:
        series: the evaluated series.
        outputs: ``[steps, K]``, probabilities of the classes given the steps so far.
        truth: numbers of the true classes, ``[N]``, or ``[steps]`` if ``per_step``; -1: none, or a
            class that the model does not have.
        classes: names of the ``K`` classes.
        per_step: whether each step has a class.
        unknown: labels of classes that the model does not have.
    """

    series: Series
    outputs: Annotated[Floats, "steps K"]
    truth: Annotated[Ints, "N"] | Annotated[Ints, "steps"]
    classes: tuple[Hashable, ...]
    per_step: bool = False
    unknown: int = 0

    @property
    def answers(self) -> Annotated[Floats, "M K"]:
        """Probabilities that count: at the last step of each series, or at every step."""
        return self.outputs if self.per_step else self.outputs[self.series.offsets[1:] - 1]

    @property
    def by_series(self) -> list[Annotated[Floats, "T K"]]:
        """Probabilities at every step of each series."""
        return np.split(self.outputs, self.series.offsets[1:-1])

    def take(self, chosen: Annotated[Bools, "N"]) -> ClassPredictions:
        """Return the predictions for some series."""
        series, steps = _taken(self.series, chosen)
        truth = self.truth[steps] if self.per_step else self.truth[chosen]
        return replace(self, series=series, outputs=self.outputs[steps], truth=truth)


@dataclass(frozen=True, eq=False)
class ValuePredictions:
    """Values at every step.

    Args:
        series: the evaluated series.
        outputs: ``[steps, O]``, predictions given the steps so far.
        truth: true values, ``[N, O]``, or ``[steps, O]`` if ``per_step``; NaN: none.
        targets: names of the ``O`` targets.
        per_step: whether each step has values.
    """

    series: Series
    outputs: Annotated[Floats, "steps O"]
    truth: Annotated[Floats, "N O"] | Annotated[Floats, "steps O"]
    targets: tuple[str, ...]
    per_step: bool = False

    @property
    def answers(self) -> Annotated[Floats, "M O"]:
        """Values that count: at the last step of each series, or at every step."""
        return self.outputs if self.per_step else self.outputs[self.series.offsets[1:] - 1]

    def take(self, chosen: Annotated[Bools, "N"]) -> ValuePredictions:
        """Return the predictions for some series."""
        series, steps = _taken(self.series, chosen)
        truth = self.truth[steps] if self.per_step else self.truth[chosen]
        return replace(self, series=series, outputs=self.outputs[steps], truth=truth)


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Forecasts of the last values of series, from the steps before them.

    Args:
        series: the steps that the model read.
        truth: ``[N, horizon, O]``, the values that followed; NaN: unknown.
        quantiles: ``[N, horizon, Q, O]``.
        levels: the ``Q`` probabilities of the quantiles, ascending.
        targets: names of the ``O`` channels.
    """

    series: Series
    truth: Annotated[Floats, "N horizon O"]
    quantiles: Annotated[Floats, "N horizon Q O"]
    levels: tuple[float, ...]
    targets: tuple[str, ...]

    @property
    def medians(self) -> Annotated[Floats, "N horizon O"]:
        """The quantiles nearest to one half."""
        middle = int(np.argmin(np.abs(np.asarray(self.levels) - 0.5)))
        return self.quantiles[:, :, middle]


Evaluated = ClassPredictions | ValuePredictions | Forecasts


def steps_at(series: Series, share: float) -> Annotated[Ints, "N"]:
    """Return the step of each series at which a share of it has been read, at least one step.

    >>> steps_at(Series.of([np.zeros((10, 1)), np.zeros((1, 1))]), 0.25).tolist()
    [2, 10]
    """
    read = np.clip(np.ceil(share * series.lengths - 1e-9), 1, series.lengths)
    return series.offsets[:-1] + read.astype(np.int64) - 1


def owners(series: Series) -> Annotated[Ints, "steps"]:
    """Return the series that each step belongs to."""
    return np.repeat(np.arange(len(series)), series.lengths)


def _taken(series: Series, chosen: Array) -> tuple[Series, Annotated[Bools, "steps"]]:
    return series.take(np.flatnonzero(chosen)), chosen[owners(series)]
