"""Least squares with exponential forgetting, solved again at each row."""

from __future__ import annotations

import numpy as np
from benchmarks.streams.real.features import LAGS, features
from benchmarks.streams.real.stream import Stream

FORGETTING = 0.999
PRIOR = 1000.0
"""Variance of the initial coefficients of :func:`recursive`."""
RIDGE = 1e-6
"""Penalty of :func:`ridge`, as a share of each feature's sum of squares."""


def on_lags(stream: Stream, seed: int = 0) -> np.ndarray:
    """Predict from 24 earlier targets; each series has its own coefficients."""
    read = features(stream, columns=False)
    x, found = read.encoded(), np.full(len(stream), np.nan)
    for rows in stream.places:
        found[rows] = recursive(x[rows], stream.y[rows], read.usable[rows])
    return found


def on_all_features(stream: Stream, seed: int = 0, lags: int = LAGS) -> np.ndarray:
    """Predict from all features, with coefficients that all series share.

    Texts as 0 and 1 are linearly dependent, so this needs a penalty.
    """
    read = features(stream, lags)
    x = read.encoded()
    # A large constant, such as the number of a day, would leave few digits to its changes.
    own = [n for n, name in enumerate(read.names) if not name.endswith(" before")]
    x[:, own] -= x[np.argmax(read.usable), own]
    return ridge(x, stream.y, read.usable)


def on_columns(stream: Stream, seed: int = 0) -> np.ndarray:
    """Predict from all features but earlier targets, see :func:`on_all_features`."""
    return on_all_features(stream, lags=0)


def recursive(x: np.ndarray, y: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Predict each of ``y [N]`` from ``x [N, F]`` and the coefficients of the rows before it.

    ``P`` is the inverse of the weighted sum of ``x x^T``. Rows that are not usable get NaN; a row
    whose target is NaN changes nothing (Haykin, Adaptive Filter Theory, chapter 13).
    """
    n = x.shape[1]
    P, weights = PRIOR * np.eye(n), np.zeros(n)
    found = np.full(len(y), np.nan)
    for t in np.flatnonzero(usable):
        row = x[t]
        found[t] = row @ weights
        if np.isnan(y[t]):
            continue
        gain = P @ row
        gain /= FORGETTING + row @ gain
        weights += gain * (y[t] - found[t])
        P -= np.outer(gain, row @ P)
        P /= FORGETTING
        P = (P + P.T) / 2
    return found


def ridge(x: np.ndarray, y: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Compute what :func:`recursive` does, with a penalty on the coefficients at each row."""
    n = x.shape[1]
    squares, products = np.zeros((n, n)), np.zeros(n)
    weights, found = np.zeros(n), np.full(len(y), np.nan)
    for t in np.flatnonzero(usable):
        row = x[t]
        found[t] = row @ weights
        if np.isnan(y[t]):
            continue
        squares *= FORGETTING
        squares += np.outer(row, row)
        products *= FORGETTING
        products += row * y[t]
        penalty = np.diag(RIDGE * squares.diagonal() + 1e-12)
        weights = np.linalg.solve(squares + penalty, products)
    return found
