"""Small recurrent models in float64, with data and a loss, for tests of inspections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import carrousel.nn as cn

T, B, I, H = 7, 4, 2, 3  # noqa: E741  letters of shapes.py
Net = Callable[[], tuple[Any, Any, Callable[[Any], Tensor]]]


def data(*shape: int) -> Tensor:
    return torch.randn(*(shape or (T, B, I)), dtype=torch.float64)


def read(values: Tensor) -> Tensor:
    """A smooth loss that is not linear."""
    weights = torch.linspace(-1.0, 2.0, values[0].numel(), dtype=values.dtype)
    return (values.reshape(len(values), -1) @ weights).tanh().sum() + values.square().mean()


def at_end(found: Any) -> Tensor:
    return read(found[0][-1])


class Call(nn.Module):
    """A layer that is called with further arguments."""

    def __init__(self, layer: nn.Module, **arguments: Any) -> None:
        super().__init__()
        self.layer, self.arguments = layer, arguments

    def forward(self, x: Any) -> Any:
        return self.layer(x, **self.arguments)


def lstm() -> Any:
    return nn.LSTM(I, H).double(), data(), at_end


def gru() -> Any:
    return nn.GRU(I, H).double(), data(), at_end


def rnn() -> Any:
    return nn.RNN(I, H, nonlinearity="relu").double(), data(), at_end


def lstm_every_step() -> Any:
    return nn.LSTM(I, H).double(), data(), lambda found: read(found[0])


def lstm_by_c_n() -> Any:
    return nn.LSTM(I, H).double(), data(), lambda found: read(found[1][1][0])


def lstm_by_both() -> Any:
    return nn.LSTM(I, H).double(), data(), lambda found: read(found[0][2]) + read(found[1][1][-1])


def projected() -> Any:
    return nn.LSTM(I, H + 2, proj_size=H).double(), data(), lambda found: read(found[1][1][-1])


def stacked_in_training() -> Any:
    return nn.LSTM(I, H, num_layers=3, dropout=0.4).double(), data(), at_end


def bidirectional() -> Any:
    net = nn.GRU(I, H, num_layers=2, bidirectional=True, dropout=0.3).double()
    return net, data(), lambda found: read(found[1].transpose(0, 1))


def bidirectional_mean() -> Any:
    net = nn.LSTM(I, H, bidirectional=True, batch_first=True).double()
    return net, data(B, T, I), lambda found: read(found[0].mean(1))


def peephole() -> Any:
    net = cn.LSTM(I, H, cell="peephole").double()
    nn.init.normal_(next(p for n, p in net.named_parameters() if "p_" in n or "peep" in n))
    return net, data(), at_end


def coupled() -> Any:
    return cn.LSTM(I, H, cell="coupled").double(), data(), at_end


def no_output_gate() -> Any:
    return cn.LSTM(I, H, cell="no_output_gate").double(), data(), at_end


def lstm97() -> Any:
    net = cn.LSTM(I, 4, cell="lstm97", block_size=2, g_range=2.0, h_range=1.5).double()
    return net, data(), at_end


def lstm97_gate_sources() -> Any:
    return cn.LSTM(I, H, cell="lstm97", gate_sources=True).double(), data(), at_end


def normalised() -> Any:
    return cn.LSTM(I, H, layer_norm=True).double(), data(), at_end


def normalised_gru() -> Any:
    return cn.GRU(I, H, layer_norm=True, bidirectional=True).double(), data(), at_end


def packed() -> Any:
    lengths = torch.tensor([3, 7, 5, 1])
    x = pack_padded_sequence(data(), lengths, enforce_sorted=False)
    net = nn.LSTM(I, H, bidirectional=True).double()
    return Call(net), x, lambda found: read(found[1][0].transpose(0, 1)) + read(found[1][1][0])


def packed_output() -> Any:
    x = pack_padded_sequence(data(), torch.tensor([3, 7, 5, 1]), enforce_sorted=False)
    net = nn.GRU(I, H, num_layers=2).double()

    def loss(found: Any) -> Tensor:
        out, lengths = pad_packed_sequence(found[0])
        return read(out[lengths - 1, torch.arange(B)])

    return net, x, loss


def lengths_left() -> Any:
    net = cn.GRU(I, H, bidirectional=True).double()
    return Call(net, lengths=[3, 7, 5, 2], padding="left"), data(), at_end


def lengths_with_nan() -> Any:
    x = data()
    x[3:, 0], x[5:, 2] = torch.nan, torch.nan
    net = cn.LSTM(I, H, num_layers=2, bidirectional=True).double()
    return Call(net, lengths=[3, 7, 5, 7]), x, lambda found: read(found[1][0].transpose(0, 1))


def resets() -> Any:
    cuts = torch.zeros(T, B, dtype=torch.bool)
    cuts[3, 0], cuts[5, 1], cuts[1, 1] = True, True, True
    net = cn.LSTM(I, H, bidirectional=True, initial_state="learned").double()
    for name, parameter in net.named_parameters():
        if parameter.dim() == 1 and "bias" not in name:
            nn.init.normal_(parameter)
    return Call(net, resets=cuts), data(), lambda found: read(found[0])


def resets_and_lengths() -> Any:
    cuts = torch.zeros(T, B, dtype=torch.bool)
    cuts[2, 0], cuts[4, 1] = True, True
    return Call(cn.GRU(I, H).double(), resets=cuts, lengths=[4, 7, 7, 2]), data(), at_end


def zoneout() -> Any:
    return cn.LSTM(I, H, zoneout=(0.3, 0.4), num_layers=2).double(), data(), at_end


def zoneout_when_tested() -> Any:
    return cn.LSTM(I, H, zoneout=(0.3, 0.4)).double().eval(), data(), at_end


def zoneout_gru_reverse() -> Any:
    net = cn.GRU(I, H, zoneout=0.3, bidirectional=True).double()
    return net, data(), lambda found: read(found[0][T // 2])


def recurrent_dropout() -> Any:
    return cn.LSTM(I, H, recurrent_dropout=0.4).double(), data(), at_end


def tbptt() -> Any:
    return cn.LSTM(I, H, gradient="tbptt:3", bidirectional=True).double(), data(), at_end


def truncated() -> Any:
    return cn.LSTM(I, H, gradient="truncated").double(), data(), at_end


def truncated_gru() -> Any:
    return cn.GRU(I, H, gradient="truncated", num_layers=2).double(), data(), at_end


def own_equations() -> Any:
    cell = cn.Equations(
        "mixed",
        net_inputs=("f", "z"),
        states=("c",),
        equations="f = sigmoid(f)\nc = f * c_prev + (1 - f) * tanh(z)\nh = tanh(c)",
    )
    return cn.LSTM(I, H, cell=cell).double(), data(), at_end


class Loop(nn.Module):
    """Two cells of torch, one above the other."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.high = nn.LSTMCell(I, H), nn.GRUCell(H, H)

    def forward(self, x: Tensor) -> Tensor:
        state, above, outs = None, None, []
        for now in x:
            state = self.low(now, state)
            above = self.high(state[0], above)
            outs.append(above)
        return torch.stack(outs)


def cells() -> Any:
    return Loop().double(), data(), lambda found: read(found[-1])


def cells_ragged() -> Any:
    steps = torch.tensor([6, 2, 4, 5])
    return Loop().double(), data(), lambda found: read(found[steps, torch.arange(B)])


def ragged_reads() -> Any:
    steps = torch.tensor([6, 2, 4, 5])
    return nn.LSTM(I, H).double(), data(), lambda found: read(found[0][steps, torch.arange(B)])


class InParts(nn.Module):
    """A layer that is called on consecutive parts of a sequence."""

    def __init__(self, layer: nn.Module, *, detach: bool) -> None:
        super().__init__()
        self.layer, self.detached = layer, detach

    def forward(self, x: Tensor) -> Any:
        state, outs = None, []
        for part in x.split(3):
            out, state = self.layer(part, state)
            if self.detached:
                state = tuple(one.detach() for one in state)
            outs.append(out)
        return torch.cat(outs), state


def in_parts() -> Any:
    return InParts(nn.LSTM(I, H).double(), detach=False), data(), at_end


def in_detached_parts() -> Any:
    return InParts(nn.LSTM(I, H).double(), detach=True), data(), at_end


class Translator(nn.Module):
    """An encoder, and a decoder that starts with its state and attends to its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.GRU(I, H), nn.GRU(I, H)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        codes, state = self.encoder(x)
        found, _ = self.decoder(y, state)
        weights = torch.einsum("tbh,sbh->tsb", found, codes).softmax(1)
        return found + torch.einsum("tsb,sbh->tbh", weights, codes)


def translator() -> Any:
    return Translator().double(), (data(), data(5, B, I)), lambda found: read(found[-1])


class Twice(nn.Module):
    """A layer that is used for two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(I, H)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.layer(x)[0][-1] * self.layer(y)[0][-1]


def shared() -> Any:
    return Twice().double(), (data(), data(5, B, I)), read


NETS: tuple[Net, ...] = (
    *(lstm, gru, rnn, lstm_every_step, lstm_by_c_n, lstm_by_both, projected, stacked_in_training),
    *(bidirectional, bidirectional_mean, peephole, coupled, no_output_gate, lstm97),
    *(lstm97_gate_sources, normalised, normalised_gru, packed, packed_output, lengths_left),
    *(lengths_with_nan, resets, resets_and_lengths, zoneout, zoneout_when_tested),
    *(zoneout_gru_reverse, recurrent_dropout, tbptt, truncated, truncated_gru, own_equations),
    *(cells, cells_ragged, ragged_reads, in_parts, in_detached_parts, translator, shared),
)
