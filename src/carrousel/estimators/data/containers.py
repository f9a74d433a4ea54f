"""Readers of series from containers: lists of arrays, 3-D arrays, 2-D arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from carrousel.errors import DataError
from carrousel.estimators.data.series import Series


def read_series(X: Any, *, name: str = "X") -> Series:
    """Read series from a list of arrays ``[T_i, I]`` or ``[T_i]``, or an array of 2 or 3 axes.

    >>> read_series([[1.0, 2.0], [3.0]]).lengths.tolist()
    [2, 1]
    """
    if isinstance(X, Series):
        return X
    rows = [np.asarray(each) for each in X]
    if any(row.size == 0 for row in rows) or not rows:
        raise DataError(f"{name} has 0 samples or an empty series", argument=name)
    series = Series.of([row[:, None] if row.ndim == 1 else row for row in rows])
    if np.isinf(series.values).any():
        raise DataError(f"{name} contains infinity", argument=name)
    return series
