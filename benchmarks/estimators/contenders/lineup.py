"""The contenders by name, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple, Protocol

import numpy as np
from benchmarks.estimators.contenders import rockets
from benchmarks.estimators.contenders.inception import Inception
from benchmarks.estimators.contenders.ours import Ours
from benchmarks.estimators.contenders.plain import PlainLSTM

OURS = "LSTMClassifier"


class Classifier(Protocol):
    """A classifier of series ``[T, I]`` with NaN where a value is missing."""

    def fit(self, series: Sequence[np.ndarray], y: np.ndarray) -> None:
        """Learn from whole series with classes ``[N]`` (int64)."""

    def predict(self, series: Sequence[np.ndarray], share: float = 1.0) -> np.ndarray:
        """Return the class of each series, of which the first ``share`` is given."""
        ...

    def next_answer(self, series: np.ndarray) -> Callable[[], object]:
        """Return a function that computes the class of a live series after each next step.

        What has no state to continue from predicts the whole series again.
        """
        ...

    def nbytes(self) -> int:
        """Size of what must be kept to predict."""
        ...


class Contender(NamedTuple):
    """A way to make a classifier from a seed, and the modules that it needs."""

    make: Callable[[int], Classifier]
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> str | None:
        """Name of a module that is not installed."""
        return next((name for name in self.needs if not _found(name)), None)


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


CONTENDERS: Mapping[str, Contender] = {
    OURS: Contender(Ours, ("carrousel.estimators.classifier", "torch")),
    "torch.nn.LSTM": Contender(PlainLSTM, ("torch",)),
    "MiniRocket": Contender(partial(rockets.Whole, make=rockets.minirocket), ("aeon",)),
    "MiniRocket, one per cut": Contender(
        partial(rockets.OnePerCut, make=rockets.minirocket), ("aeon",)
    ),
    "MiniRocket, on prefixes": Contender(
        partial(rockets.OnPrefixes, make=rockets.minirocket), ("aeon",)
    ),
    "MiniRocket, on prefixes with gaps": Contender(
        partial(rockets.OnPrefixes, make=rockets.minirocket, gaps=0.6), ("aeon",)
    ),
    "MultiRocket-Hydra": Contender(
        partial(rockets.Whole, make=rockets.multirocket_hydra), ("aeon", "torch")
    ),
    "InceptionTime": Contender(Inception, ("aeon", "tensorflow")),
}
