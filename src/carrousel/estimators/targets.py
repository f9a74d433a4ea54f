"""Targets: values of series or of steps, standardised for training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from carrousel.errors import ShapeError
from carrousel.estimators.data.checks import check_step_targets
from carrousel.estimators.data.series import Source
from carrousel.shapes import Array, Floats, Ints

_STRATA = 10
"""Quantiles of the first target of which each held-out part has its share, at most."""


@dataclass(frozen=True, eq=False)
class Units:
    """Units of targets, to which the standardised outputs of nets are converted.

    Args:
        mean, scale: ``[K]``, by which the targets were standardised.
        flat: whether there is one target, without a separate axis.

    >>> Units(np.array([5.0]), np.array([2.0]), flat=True).values(np.array([[[0.0], [1.0]]]))
    array([6.])
    """

    mean: Annotated[Floats, "K"]
    scale: Annotated[Floats, "K"]
    flat: bool

    def values(
        self, outputs: Annotated[Floats, "... members K"]
    ) -> Annotated[Floats, "..."] | Annotated[Floats, "... K"]:
        """Return the mean over members, in units (float64)."""
        found = outputs.astype(np.float64).mean(axis=-2) * self.scale + self.mean
        return found[..., 0] if self.flat else found


def join_steps(y: Any, series: Source) -> Annotated[Array, "steps ..."]:
    """Return the targets of every step of all series, one after another.

    Args:
        y: one array per series, with an entry for each of its steps.
        series: the series.

    Raises:
        DataError: no step has a target.
        ShapeError: there is no entry for a series or a step, or arrays differ in their columns.

    >>> from carrousel.estimators.data.series import Series
    >>> join_steps([["a", "b"], ["c"]], Series.of([[[1.0], [2.0]], [[3.0]]])).tolist()
    ['a', 'b', 'c']
    """
    rows = check_step_targets(y, series)
    shapes = sorted({row.shape[1:] for row in rows})
    if len(shapes) > 1:
        raise ShapeError(f"arrays of y differ in their columns: {shapes}", argument="y")
    if any(row.dtype == object for row in rows):
        rows = [row.astype(object) for row in rows]
    return np.concatenate(rows)


def scales(
    values: Annotated[Floats, "rows K"], weights: Annotated[Floats, "rows"]
) -> tuple[Annotated[Floats, "K"], Annotated[Floats, "K"]]:
    """Return the weighted mean and standard deviation of each column; constant columns get 1.

    Args:
        values: NaN where there is no value.
        weights: of the rows, at least 0.

    >>> mean, scale = scales(np.array([[1.0, 5.0], [3.0, np.nan]]), np.ones(2))
    >>> mean.tolist(), scale.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    known = np.isfinite(values)
    share = weights[:, None] * known
    share = share / np.maximum(share.sum(0), np.finfo(np.float64).tiny)
    mean = (np.where(known, values, 0.0) * share).sum(0)
    spread = np.sqrt((np.where(known, values - mean, 0.0) ** 2 * share).sum(0))
    return mean, np.where(spread > 1e-12 * np.abs(mean), spread, 1.0)


def quantiles(values: Annotated[Floats, "N"]) -> Annotated[Ints, "N"]:
    """Return the quantile of each value, from 0: at most ten quantiles, of at least ten values.

    >>> quantiles(np.arange(20.0)).tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    """
    number = min(_STRATA, max(1, len(values) // 10))
    cuts = np.quantile(values, np.arange(1, number) / number)
    return np.searchsorted(cuts, values, side="right")
