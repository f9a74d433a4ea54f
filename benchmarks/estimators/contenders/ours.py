"""``carrousel.LSTMClassifier`` through its public functions, by its defaults."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np


class Ours:
    """One model for whole series, prefixes and gaps.

    Args:
        seed: of the classifier.
        settings: of the classifier that differ from its defaults.
    """

    def __init__(self, seed: int, settings: Mapping[str, Any] | None = None) -> None:
        import carrousel

        self.model: Any = carrousel.LSTMClassifier(random_state=seed, **(settings or {}))  # pyright: ignore[reportAttributeAccessIssue]

    def fit(self, series: Sequence[np.ndarray], y: np.ndarray) -> None:
        import torch

        torch.set_num_threads(1)
        self.model.fit(list(series), y)

    def predict(self, series: Sequence[np.ndarray], share: float = 1.0) -> np.ndarray:
        return np.asarray(self.model.predict(list(series)))

    def next_answer(self, series: np.ndarray) -> Callable[[], object]:
        from carrousel.estimators.anytime.stream import LiveSeries

        live, rows = LiveSeries(self.model.ensemble_), cycle(series)
        return lambda: live.push(next(rows)).argmax()

    def nbytes(self) -> int:
        """Bytes of the saved file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            self.model.save(path)
            return path.stat().st_size
