"""aeon's classifiers by random convolutions, and three ways to make one answer early.

They take series of one length without gaps. Missing values are interpolated; series are padded with
zeros to the longest of the training set, and longer test series are cut to it. Channels are
standardised before whole series are padded, and not before prefixes are: so it was better in a
cross-validation within the training sets of JapaneseVowels and the digits. Accuracy in percent at
25, 50 and 100 %, a model for each: 83.0, 92.2, 97.8 and 74.0, 92.1, 97.5 standardised; 84.8, 93.7,
97.8 and 76.0, 91.9, 96.6 raw. Padding with the last value was worse than both on average.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from benchmarks.estimators.conditions import CUTS, filled, means, padded, prefix, with_gaps

SHORTEST = 9
"""Steps of a kernel."""
MOST = 8000
"""Series of an extended training set at most; the ridge regression is cubic in their number."""
Make = Callable[[int], Any]


def minirocket(seed: int) -> Any:
    """Return aeon's classifier by its defaults."""
    from aeon.classification.convolution_based import MiniRocketClassifier

    _quiet()
    return MiniRocketClassifier(random_state=seed)


def multirocket_hydra(seed: int) -> Any:
    """Return aeon's classifier by its defaults."""
    from aeon.classification.convolution_based import MultiRocketHydraClassifier

    _quiet()
    return MultiRocketHydraClassifier(random_state=seed)


def _quiet() -> None:
    """Silence the warning that a padded series is nearly constant."""
    warnings.filterwarnings("ignore", message="Data seen by instance of", category=UserWarning)


class Whole:
    """A classifier of series of one length, fitted to whole series.

    Args:
        seed: of the classifier.
        make: returns the classifier of a seed.
        raw: whether channels stay as they are.
    """

    def __init__(self, seed: int, make: Make, raw: bool = False) -> None:
        self.seed, self.model, self.raw = seed, make(seed), raw

    def fit(self, series: Sequence[np.ndarray], y: np.ndarray) -> None:
        self.length = max(SHORTEST, *(len(one) for one in series))
        self.mean, scale = means(series)
        self.centre, self.unit = (0.0, 1.0) if self.raw else (self.mean, scale)
        self.model.fit(self._inputs(series), y)

    def predict(self, series: Sequence[np.ndarray], share: float = 1.0) -> np.ndarray:
        return self.model.predict(self._inputs(series))

    def next_answer(self, series: np.ndarray) -> Callable[[], object]:
        return lambda: self.predict([series])  # there is no state to continue from

    def nbytes(self) -> int:
        """Bytes of the pickled model."""
        return len(pickle.dumps(self.model))

    def _inputs(self, series: Sequence[np.ndarray]) -> np.ndarray:
        rows = [(filled(one, self.mean) - self.centre) / self.unit for one in series]
        return padded(rows, self.length)


class OnePerCut:
    """A model for each share of a series; it must know the share, which a live series lacks."""

    def __init__(self, seed: int, make: Make) -> None:
        self.models = {share: Whole(seed, make, raw=True) for share in CUTS}

    def fit(self, series: Sequence[np.ndarray], y: np.ndarray) -> None:
        for share, model in self.models.items():
            model.fit([prefix(one, share) for one in series], y)

    def predict(self, series: Sequence[np.ndarray], share: float = 1.0) -> np.ndarray:
        return self.models[share].predict(series)

    def next_answer(self, series: np.ndarray) -> Callable[[], object]:
        return self.models[1.0].next_answer(series)

    def nbytes(self) -> int:
        """Bytes of all models."""
        return sum(model.nbytes() for model in self.models.values())


class OnPrefixes(Whole):
    """A model fitted to whole series and to their prefixes at each cut.

    Args:
        seed, make: see :class:`Whole`.
        gaps: half of the training series lose a share of their values, up to this one.
    """

    def __init__(self, seed: int, make: Make, gaps: float = 0.0) -> None:
        super().__init__(seed, make, raw=True)
        self.gaps = gaps

    def fit(self, series: Sequence[np.ndarray], y: np.ndarray) -> None:
        rng = np.random.default_rng(self.seed)
        pairs = [(n, share) for share in CUTS[:-1] for n in range(len(series))]
        room = min(len(pairs), max(0, MOST - len(series)))
        chosen = [pairs[k] for k in rng.choice(len(pairs), room, replace=False)]
        chosen = [(n, 1.0) for n in range(len(series))] + chosen
        parts = [prefix(series[n], share) for n, share in chosen]
        if self.gaps:
            lost = rng.uniform(0, self.gaps, len(parts)) * (rng.random(len(parts)) < 0.5)
            parts = [
                with_gaps([one], share, rng)[0] for one, share in zip(parts, lost, strict=True)
            ]
        super().fit(parts, y[[n for n, _ in chosen]])
