"""RNNModel and BlockRNNModel of darts: forecasts, and the file that `to_onnx` writes."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import torch
from darts import TimeSeries
from darts.models.forecasting import block_rnn_model, rnn_model

from carrousel import nn
from foreign.check import Outcome

SWAP = "patch: the name `nn` in `rnn_model` and `block_rnn_model` has our layers"
KINDS = ("LSTM", "GRU", "RNN")
TOLERANCES = {f"RNNModel {kind}: forecast of 24 steps": 1e-5 for kind in KINDS} | {
    "BlockRNNModel LSTM: forecast of 24 steps": 1e-5,
    "RNNModel LSTM: to_onnx, 4 sequences in ONNX Runtime": 1e-5,
}


@contextmanager
def patched(ours: bool) -> Iterator[None]:
    """Give darts' modules of models our layers, under the name of torch's module."""
    layers = {kind: getattr(nn, kind) for kind in KINDS} if ours else {}
    modules: tuple[Any, ...] = (rnn_model, block_rnn_model)
    kept = [module.nn for module in modules]
    try:
        for module in modules:
            module.nn = SimpleNamespace(**{**vars(torch.nn), **layers})
        yield
    finally:
        for module, old in zip(modules, kept, strict=True):
            module.nn = old


def run(ours: bool) -> Outcome:
    logging.disable(logging.CRITICAL)
    time = np.arange(160, dtype=np.float32)
    series = TimeSeries.from_values(np.sin(time / 5) + 0.1 * np.cos(time))
    options: dict[str, Any] = {
        "input_chunk_length": 16,
        "hidden_dim": 16,
        "n_epochs": 3,
        "random_state": 0,
        "optimizer_kwargs": {"lr": 1e-2},
        "pl_trainer_kwargs": {
            "accelerator": "cpu",
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
        },
    }
    values, parts = {}, torch.nn.ModuleList()
    with patched(ours):
        for kind in KINDS:
            model = rnn_model.RNNModel(model=kind, training_length=24, n_rnn_layers=2, **options)
            values[f"RNNModel {kind}: forecast of 24 steps"] = _forecast(model, series, parts)
            if kind == "LSTM":
                name = "RNNModel LSTM: to_onnx, 4 sequences in ONNX Runtime"
                values[name] = _exported(model)
        model = block_rnn_model.BlockRNNModel(model="LSTM", output_chunk_length=4, **options)
        values["BlockRNNModel LSTM: forecast of 24 steps"] = _forecast(model, series, parts)
    return Outcome(parts, values)


def _forecast(model: Any, series: TimeSeries, parts: torch.nn.ModuleList) -> np.ndarray:
    model.fit(series, verbose=False)
    parts.append(model.model)
    return model.predict(24, verbose=False).values()


def _exported(model: Any) -> list[np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.to_onnx(str(path))
        session = onnxruntime.InferenceSession(path)
    generator = np.random.default_rng(0)
    inputs = {}
    for given in session.get_inputs():
        shape = [size if isinstance(size, int) else 4 for size in given.shape]
        inputs[given.name] = generator.normal(size=shape).astype(np.float32)
    return session.run(None, inputs)
