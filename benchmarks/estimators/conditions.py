"""Changes of series: the first part alone, and missing values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

CUTS = (0.25, 0.5, 0.75, 1.0)
"""Shares of a test series that a classifier has seen when it must answer."""
GAPS = (0.2, 0.5)
"""Shares of the values of whole test series that are missing."""


def prefix(series: np.ndarray, share: float) -> np.ndarray:
    """Return the first ``share`` of the steps of a series ``[T, I]``, at least one."""
    return series[: max(1, math.ceil(share * len(series) - 1e-9))]


def with_gaps(
    series: Sequence[np.ndarray], share: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return copies in which each value is NaN with probability ``share``, independently."""
    return [
        np.where(rng.random(one.shape) < share, np.nan, one).astype(one.dtype) for one in series
    ]


def filled(series: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Replace NaN by linear interpolation in time, and by the nearest value at both ends.

    Args:
        series: ``[T, I]``.
        otherwise: ``[I]``, for channels without any value.
    """
    seen = np.isfinite(series)
    if seen.all():
        return series
    out = series.copy()
    for i in range(series.shape[1]):
        known, lost = np.flatnonzero(seen[:, i]), np.flatnonzero(~seen[:, i])
        out[lost, i] = np.interp(lost, known, series[known, i]) if len(known) else otherwise[i]
    return out


def padded(series: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Return ``[N, I, length]`` (float32), zero after the end; longer series are cut."""
    out = np.zeros((len(series), series[0].shape[1], length), np.float32)
    for row, one in zip(out, series, strict=True):
        row[:, : len(one)] = one[:length].T
    return out


def means(series: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, ``[I]``, over all values present."""
    steps = np.concatenate(series).astype(np.float64)
    scale = np.nanstd(steps, axis=0)
    return np.nanmean(steps, axis=0), np.where(scale > 0, scale, 1.0)
