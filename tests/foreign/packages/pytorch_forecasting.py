"""DeepAR, RecurrentNetwork and the Temporal Fusion Transformer of pytorch-forecasting."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import pandas
import torch
from pytorch_forecasting import (
    DeepAR,
    NormalDistributionLoss,
    QuantileLoss,
    RecurrentNetwork,
    TemporalFusionTransformer,
    TimeSeriesDataSet,
)
from pytorch_forecasting.metrics import MAE
from pytorch_forecasting.models.nn import rnn
from pytorch_forecasting.models.temporal_fusion_transformer import _tft

from carrousel import nn
from foreign.check import Outcome

SWAP = "patch: its subclasses `LSTM` and `GRU` of torch's layers, with our layers as the base"
MODELS = ("RecurrentNetwork LSTM", "RecurrentNetwork GRU", "DeepAR LSTM", "DeepAR GRU")
TOLERANCES = {
    f"{name}: losses of 10 steps, forecast": 1e-5
    for name in (*MODELS, "TemporalFusionTransformer, encoders of 0 to 12 steps")
}


class LSTM(rnn.RNN, nn.LSTM):
    handle_no_encoding = rnn.LSTM.handle_no_encoding
    init_hidden_state = rnn.LSTM.init_hidden_state
    repeat_interleave = rnn.LSTM.repeat_interleave


class GRU(rnn.RNN, nn.GRU):
    handle_no_encoding = rnn.GRU.handle_no_encoding
    init_hidden_state = rnn.GRU.init_hidden_state
    repeat_interleave = rnn.GRU.repeat_interleave


@contextmanager
def patched(ours: bool) -> Iterator[None]:
    """Exchange the two subclasses where the package looks for them."""
    modules: Any = (rnn, _tft)
    kept = rnn.LSTM, rnn.GRU
    try:
        if ours:
            rnn.LSTM, rnn.GRU, modules[1].LSTM = LSTM, GRU, LSTM
        yield
    finally:
        rnn.LSTM, rnn.GRU = kept
        modules[1].LSTM = kept[0]


def run(ours: bool) -> Outcome:
    logging.disable(logging.CRITICAL)
    values, parts = {}, torch.nn.ModuleList()
    with patched(ours):
        for name in TOLERANCES:
            kind, cell = name.partition(":")[0].partition(" ")[::2]
            torch.manual_seed(0)
            model, data = _made(kind.rstrip(","), cell)
            values[name] = _trained(model, data)
            parts.append(model)
    return Outcome(parts, values)


def _made(kind: str, cell: str) -> tuple[Any, TimeSeriesDataSet]:
    options: dict[str, Any]
    if kind == "TemporalFusionTransformer":
        data = _data(shortest=0, known=["hour"])
        # Adam would multiply differences of rounding: it divides each gradient by its magnitude,
        # and some gradients are zero but for rounding.
        options = {"hidden_size": 8, "lstm_layers": 2, "optimizer": "sgd"}
        loss = QuantileLoss()
        return TemporalFusionTransformer.from_dataset(data, loss=loss, dropout=0.0, **options), data
    data = _data(shortest=12, known=[])
    options = {"cell_type": cell, "hidden_size": 16, "rnn_layers": 2}
    if kind == "DeepAR":
        loss = NormalDistributionLoss()
        return DeepAR.from_dataset(data, loss=loss, dropout=0.0, **options), data
    return RecurrentNetwork.from_dataset(data, loss=MAE(), dropout=0.0, **options), data


def _data(shortest: int, known: list[str]) -> TimeSeriesDataSet:
    steps = np.arange(60)
    frames = [
        pandas.DataFrame(
            {
                "step": steps,
                "series": str(number),
                "hour": (steps % 24) / 24.0,
                "y": np.sin(steps / (4 + number)) + 0.1 * np.cos(3 * steps),
            }
        )
        for number in range(4)
    ]
    return TimeSeriesDataSet(
        pandas.concat(frames, ignore_index=True),
        time_idx="step",
        target="y",
        group_ids=["series"],
        min_encoder_length=shortest,
        max_encoder_length=12,
        max_prediction_length=4,
        time_varying_known_reals=known,
        time_varying_unknown_reals=["y"],
        randomize_length=None,
    )


class Losses(lightning.Callback):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.seen.append(outputs["loss"].item())


def _trained(model: Any, data: TimeSeriesDataSet) -> list[Any]:
    """Train for ten steps; returns the losses and the forecast of a batch."""
    model.hparams.learning_rate = 1e-2
    losses = Losses()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=10,
        callbacks=[losses],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = data.to_dataloader(train=True, batch_size=16, num_workers=0)
    trainer.fit(model, loader)
    x, _ = next(iter(data.to_dataloader(train=False, batch_size=64, num_workers=0)))
    model.eval()
    with torch.no_grad():
        torch.manual_seed(1)
        forecast = model(x)["prediction"]
    return [losses.seen, forecast]
