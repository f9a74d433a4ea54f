"""Networks of speechbrain: CRDNN, its recurrent layers, and a decoder with attention."""

from __future__ import annotations

from typing import Any

import torch
from speechbrain.lobes.models.CRDNN import CRDNN
from speechbrain.nnet import RNN
from speechbrain.nnet.losses import ctc_loss

from carrousel import nn
from foreign.check import Outcome

SWAP = "`nn.replace` on each model"
KINDS = ("LSTM", "GRU", "RNN")
TOLERANCES = {
    "CRDNN with CTC: losses of 20 steps": 1e-5,
    **{f"speechbrain.nnet.RNN.{kind}: losses of 20 steps": 1e-5 for kind in KINDS},
    "AttentionalRNNDecoder (GRUCell): losses of 20 steps": 1e-5,
    "AttentionalRNNDecoder (LSTMCell): losses of 20 steps": 1e-5,
}
LENGTHS = torch.tensor([1.0, 0.5, 0.75, 0.9])
"""Lengths of the sequences relative to the longest, as everywhere in speechbrain."""


def run(ours: bool) -> Outcome:
    parts = torch.nn.ModuleList()
    x = torch.randn(4, 20, 10)

    def train(name: str, model: torch.nn.Module, loss: Any) -> None:
        parts.append(nn.replace(model) if ours else model)
        values[name] = _train(model, lambda: loss(model))

    values: dict[str, Any] = {}
    net = CRDNN(
        input_size=10,
        cnn_blocks=1,
        cnn_channels=[4],
        rnn_class=RNN.LSTM,
        rnn_layers=2,
        rnn_neurons=16,
        rnn_bidirectional=True,
        dnn_blocks=1,
        dnn_neurons=6,
        time_pooling=False,
        dropout=0.0,
    )
    targets = torch.randint(1, 6, (4, 3))

    def by_ctc(model: torch.nn.Module) -> torch.Tensor:
        scores = model(x).log_softmax(-1)
        return ctc_loss(scores, targets, LENGTHS, torch.ones(4), blank_index=0)

    train("CRDNN with CTC: losses of 20 steps", net, by_ctc)
    for kind in KINDS:
        layer = getattr(RNN, kind)(16, input_size=10, num_layers=2, bidirectional=True)
        train(
            f"speechbrain.nnet.RNN.{kind}: losses of 20 steps",
            layer,
            lambda model: (model(x, lengths=LENGTHS)[0] - x[..., :1]).square().mean(),
        )
    for kind in ("gru", "lstm"):
        decoder = RNN.AttentionalRNNDecoder(
            *(kind, "location", 16, 12, 1, 10, 8),
            channels=4,
            kernel_size=3,
        )
        train(
            f"AttentionalRNNDecoder ({kind.upper()}Cell): losses of 20 steps",
            decoder,
            lambda model: (model(x[:, :6, :8], x, LENGTHS)[0] - 1).square().mean(),
        )
    return Outcome(parts, values)


def _train(model: torch.nn.Module, loss: Any) -> list[float]:
    optimizer, losses = torch.optim.Adam(model.parameters(), 1e-2), []
    for _ in range(20):
        optimizer.zero_grad()
        now = loss()
        now.backward()
        optimizer.step()
        losses.append(now.item())
    return losses
