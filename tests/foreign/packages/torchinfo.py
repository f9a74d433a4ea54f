"""torchinfo's summary of a net with a layer of each kind and a cell."""

from __future__ import annotations

import torch
from torchinfo import summary

from carrousel import nn
from foreign.check import Outcome

SWAP = "`nn.replace` on the model"
TOLERANCES = {"parameters": 0.0, "sizes and multiply-adds": 0.0, "text": 0.0}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 8, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = torch.nn.GRU(16, 8, batch_first=True)
        self.rnn = torch.nn.RNN(8, 8, batch_first=True)
        self.cell = torch.nn.LSTMCell(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.rnn(self.gru(self.lstm(x)[0])[0])[0]
        return self.cell(x[:, -1])[0]


def run(ours: bool) -> Outcome:
    net = nn.replace(Net()) if ours else Net()
    columns = ("input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable")
    found = summary(net, input_size=(5, 7, 3), verbose=0, col_names=columns, depth=4)
    values = {
        "parameters": [found.total_params, found.trainable_params],
        "sizes and multiply-adds": [
            found.total_mult_adds,
            found.total_input,
            found.total_output_bytes,
            found.total_param_bytes,
        ],
        "text": str(found),
    }
    return Outcome(net, values)
