"""Faults of the flow of errors, of axes, padding and states."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from inspection.verdicts.nets import (
    B,
    Gathered,
    Given,
    H,
    I,
    Loop,
    Packed,
    Reader,
    Stateful,
    T,
    Windows,
    chrono,
    detach,
    every,
    final,
    last,
    numbers,
    padded,
    scaled,
    squared,
)
from inspection.verdicts.planting import plant


@plant("forget_bias")
def _lstm() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, numbers(B, 120, I), squared(numbers(B, 1)), {"lag": 100})


@plant("forget_bias")
def _lstm_of_zeros_short() -> Given:
    net = Reader(scaled(nn.LSTM(I, H, batch_first=True), 0.0, "bias"), last)
    return Given(net, numbers(B, 41, I), squared(numbers(B, 1)), {"lag": 40})


@plant("forget_bias")
def _gru() -> Given:
    net = Reader(nn.GRU(I, H, batch_first=True), last)
    return Given(net, numbers(B, 120, I), squared(numbers(B, 1)), {"lag": 100})


@plant("forget_bias")
def _cells() -> Given:
    return Given(Loop(), numbers(B, 60, I), squared(numbers(B, 1)), {"lag": 50})


@plant("vanishing")
def _rnn() -> Given:
    net = Reader(nn.RNN(I, H, batch_first=True), last)
    return Given(net, numbers(B, 60, I), squared(numbers(B, 1)), {"lag": 50})


@plant("exploding")
def _linear_regime() -> Given:
    layer: Any = nn.RNN(I, H, batch_first=True)
    nn.init.orthogonal_(layer.weight_hh_l0)
    layer.weight_hh_l0.data *= 1.8
    net = Reader(scaled(scaled(layer, 0.0, "bias"), 0.0, "weight_ih"), last)
    return Given(net, 1e-6 * numbers(B, 30, I), squared(numbers(B, 1)))


@plant("exploding")
def _relu() -> Given:
    layer: Any = nn.RNN(I, H, batch_first=True, nonlinearity="relu")
    with torch.no_grad():
        layer.weight_hh_l0.copy_(2.0 * torch.eye(H))
    return Given(Reader(layer, last), numbers(B, T, I).abs(), squared(numbers(B, 1)))


@plant("detached")
def _cell_loop() -> Given:
    return Given(
        Loop(lambda t, s: detach(s) if t < T - 1 else s), numbers(B, T, I), squared(numbers(B, 1))
    )


@plant("detached")
def _layer_by_steps() -> Given:
    net = Windows(nn.GRU(I, H, batch_first=True), 1, detach)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@plant("detached")
def _between_layers() -> Given:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.LSTM(I, H, batch_first=True)
            self.two = Reader(nn.LSTM(H, H, batch_first=True), last)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(self.one(x)[0].detach())

    return Given(Two(), numbers(B, T, I), squared(numbers(B, 1)))


@plant("detached")
def _named_states() -> Given:
    from carrousel.inspection import state

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(I + H, H), nn.Linear(H, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = x.new_zeros(len(x), H)
            for one in x.unbind(1):
                h = state("loop", torch.tanh(self.inner(torch.cat([one, h.detach()], 1))))
            return self.head(h)

    return Given(Own(), numbers(B, T, I), squared(numbers(B, 1)))


@plant("batch_axis")
def _last_step() -> Given:
    return Given(Reader(nn.LSTM(I, H), last), numbers(B, T, I), squared(numbers(B, 1)))


@plant("batch_axis")
def _time_first_data() -> Given:
    net = Reader(nn.GRU(I, H, batch_first=True), lambda found: found[0][-1])
    return Given(net, numbers(T, B, I), squared(numbers(B, 1)))


@plant("batch_axis")
def _each_step() -> Given:
    net = Reader(nn.LSTM(I, H), every)
    return Given(net, numbers(B, T, I), squared(numbers(B, T, 1)), {"batch_size": B})


@plant("padding_in_state")
def _zeros() -> Given:
    x, _ = padded()
    return Given(Reader(nn.LSTM(I, H, batch_first=True), final), x, squared(numbers(B, 1)))


@plant("padding_in_state")
def _marks_of_minus_one() -> Given:
    x, _ = padded(-1.0)
    net = Reader(nn.GRU(I, H, batch_first=True), lambda found: found[1][-1])
    return Given(net, x, squared(numbers(B, 1)))


@plant("padding_in_state")
def _embedding_two_layers() -> Given:
    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, I, padding_idx=0)
            self.reader = Reader(nn.LSTM(I, H, 2, batch_first=True), final)

        def forward(self, symbols: torch.Tensor) -> torch.Tensor:
            return self.reader(self.embedding(symbols))

    _, lengths = padded()
    symbols = torch.randint(1, 10, (B, T)) * (torch.arange(T) < lengths[:, None])
    return Given(Text(), symbols, squared(numbers(B, 1)))


@plant("last_output")
def _zeros_not_packed() -> Given:
    x, _ = padded()
    return Given(Reader(nn.LSTM(I, H, batch_first=True), last), x, squared(numbers(B, 1)))


@plant("last_output")
def _packed() -> Given:
    net = Packed(nn.LSTM(I, H, batch_first=True), lambda out, end, lengths: out[:, -1])
    return Given(net, padded(), squared(numbers(B, 1)))


@plant("last_output")
def _length_is_not_an_index() -> Given:
    class Late(Gathered):
        def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return super().forward(x, (lengths + 1).clamp(max=T))

    x, lengths = padded()
    return Given(Late(nn.GRU(I, H, batch_first=True)), (x, lengths), squared(numbers(B, 1)))


@plant("loss_over_padding")
def _each_step_of_zeros() -> Given:
    x, _ = padded()
    net = Reader(nn.LSTM(I, H, batch_first=True), every)
    return Given(net, x, squared(numbers(B, T, 1)))


@plant("loss_over_padding")
def _mean_over_time() -> Given:
    x, _ = padded()
    net = Reader(nn.GRU(I, H, batch_first=True), lambda found: found[0].mean(1))
    return Given(net, x, squared(numbers(B, 1)))


@plant("reverse_last")
def _bidirectional() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True, bidirectional=True), last)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@plant("truncation")
def _argument() -> Given:
    net = Reader(chrono(nn.LSTM(I, H, batch_first=True), 30), last)
    arguments = {"lag": 30, "truncation": 20}
    return Given(net, numbers(B, 40, I), squared(numbers(B, 1)), arguments)


@plant("truncation")
def _windows() -> Given:
    net = Windows(chrono(nn.LSTM(I, H, batch_first=True), 30), 10, detach)
    return Given(net, numbers(B, 40, I), squared(numbers(B, 1)), {"lag": 30})


@plant("truncation")
def _gradient_option() -> Given:
    from carrousel.nn import LSTM

    layer = chrono(LSTM(I, H, batch_first=True, gradient="tbptt:8"), 30)
    return Given(Reader(layer, last), numbers(B, 40, I), squared(numbers(B, 1)), {"lag": 30})


@plant("truncation")
def _cells_detached_sometimes() -> Given:
    def step(t: int, state: tuple) -> tuple:
        return detach(state) if t % 5 == 4 and t < T - 1 else state

    return Given(Loop(step), numbers(B, T, I), squared(numbers(B, 1)), {"lag": 12})


@plant("state_kept")
def _lstm_attribute() -> Given:
    net = Stateful(nn.LSTM(I, H, batch_first=True))
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@plant("state_kept")
def _gru_after_other_calls() -> Given:
    net = Stateful(nn.GRU(I, H, batch_first=True))
    net(numbers(B, T, I))
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@plant("state_lost")
def _cell_without_state() -> Given:
    return Given(
        Loop(lambda t, s: None if t < T - 1 else s), numbers(B, T, I), squared(numbers(B, 1))
    )


@plant("state_lost")
def _layer_by_steps_without_state() -> Given:
    net = Windows(nn.LSTM(I, H, batch_first=True), 1, lambda s: None)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@plant("state_lost")
def _windows_without_state() -> Given:
    net = Windows(nn.GRU(I, H, batch_first=True), 5, lambda s: None)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"lag": 8})


@plant("one_step")
def _axis_of_one() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, numbers(B, 1, I), squared(numbers(B, 1)))
