"""``torch.nn.LSTM`` as tutorials use it: the last state of the series is classified.

Channels are standardised and missing values interpolated. The width is that of ours, and so is the
number of updates; Adam with its default rate, no validation, no augmentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from benchmarks.estimators.conditions import filled, means

CELLS, BATCH, RATE = 64, 32, 1e-3


class PlainLSTM:
    """One layer of ``torch.nn.LSTM`` and a linear read-out of its last hidden state."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, series: Sequence[np.ndarray], y: np.ndarray) -> None:
        import torch
        from torch import nn

        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        rng = np.random.default_rng(self.seed)
        self.mean, self.scale = means(series)
        self.lstm: Any = nn.LSTM(len(self.mean), CELLS)
        self.readout: Any = nn.Linear(CELLS, int(y.max()) + 1)
        weights = [*self.lstm.parameters(), *self.readout.parameters()]
        optimiser = torch.optim.Adam(weights, lr=RATE)
        targets, rounds = torch.from_numpy(y), math.ceil(len(series) / BATCH)
        for _ in range(math.ceil(updates(series) / rounds)):
            for some in np.array_split(rng.permutation(len(series)), rounds):
                logits = self._logits([series[n] for n in some])
                loss = nn.functional.cross_entropy(logits, targets[some])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

    def predict(self, series: Sequence[np.ndarray], share: float = 1.0) -> np.ndarray:
        import torch

        found = np.empty(len(series), np.int64)
        order = np.argsort([len(one) for one in series], kind="stable")
        with torch.no_grad():
            for some in np.array_split(order, math.ceil(len(order) / 256)):
                found[some] = self._logits([series[n] for n in some]).argmax(1).numpy()
        return found

    def next_answer(self, series: np.ndarray) -> Callable[[], object]:
        import torch

        row = torch.from_numpy(((series[-1:] - self.mean) / self.scale).astype(np.float32))
        state = self.lstm(row)[1]

        @torch.no_grad()
        def step() -> int:
            nonlocal state
            h, state = self.lstm(row, state)
            return int(self.readout(h[-1]).argmax())

        return step

    def nbytes(self) -> int:
        """Bytes of the weights in single precision."""
        weights = [*self.lstm.parameters(), *self.readout.parameters()]
        return sum(4 * one.numel() for one in weights) + 8 * len(self.mean)

    def _logits(self, series: Sequence[np.ndarray]) -> Any:
        import torch
        from torch.nn.utils.rnn import pack_sequence

        rows = [(filled(one, self.mean) - self.mean) / self.scale for one in series]
        packed = pack_sequence(
            [torch.from_numpy(one.astype(np.float32)) for one in rows], enforce_sorted=False
        )
        return self.readout(self.lstm(packed)[1][0][-1])


def updates(series: Sequence[np.ndarray]) -> int:
    """Return the number of updates for some series, that of ``LSTMClassifier``."""
    from carrousel.estimators.net.train import default_steps

    return default_steps(np.array([len(one) for one in series]), BATCH)
