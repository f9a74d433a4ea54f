"""deep-river's LSTM, which learns from a window of ten rows at each step.

It needs its own environment: ``pip install deep-river==0.3.4 pytest``, which brings its version of
river, and PyTorch. Numbers and the target are standardised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from benchmarks.streams.real.features import Features, features
from benchmarks.streams.real.rivers import learned
from benchmarks.streams.real.stream import Predict, Stream

NETS: Mapping[str, Mapping[str, Any]] = {
    "deep-river: LSTM": {},
    "deep-river: LSTM, Adam 0.003": {"optimizer_fn": "adam", "lr": 0.003},
}
"""Its settings: the defaults, which are plain descent at a low rate, and our learning rate."""
KEPT = ("forecast", "regression", "binary", "multiclass")


def models(stream: Stream) -> dict[str, Predict]:
    """Return the nets by name; none where they cannot run."""
    kept = stream.task in KEPT
    return {name: _predicted(settings) for name, settings in NETS.items()} if kept else {}


def _predicted(settings: Mapping[str, Any]) -> Predict:
    """Run a net over a stream; texts are encoded one-hot."""

    def predict(stream: Stream, seed: int) -> np.ndarray:
        import torch
        from deep_river.classification import LSTMClassifier
        from deep_river.regression import LSTMRegressor
        from river import preprocessing

        torch.set_num_threads(1)
        read = features(stream, lags=1)  # the window contains the others
        x = read.encoded()[:, :-1]
        names = tuple(map(str, range(x.shape[1])))
        read = Features(x, names, {}, read.usable)
        how = {**settings, "n_features": len(names), "seed": seed}
        scale = preprocessing.StandardScaler()
        if stream.task in ("forecast", "regression"):
            net = preprocessing.TargetStandardScaler(scale | LSTMRegressor(**how))
        else:
            net = scale | LSTMClassifier(**how)
        return learned(net, stream, read)

    return predict
