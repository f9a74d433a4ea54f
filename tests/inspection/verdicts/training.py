"""Faults of weights, data and training."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from inspection.verdicts.nets import (
    B,
    Given,
    H,
    I,
    Language,
    Reader,
    T,
    chrono,
    entropy,
    every,
    last,
    numbers,
    scaled,
    squared,
    trained,
)
from inspection.verdicts.planting import plant


@plant("clipping")
def _tiny_bound() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, numbers(B, T, I), squared(10 + numbers(B, 1)), {"clip": 1e-3})


@plant("clipping")
def _sum_of_squares() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), every)
    target = numbers(B, T, 1) + 30

    def loss(output: torch.Tensor) -> torch.Tensor:
        return (output - target).square().sum()

    return Given(net, numbers(B, T, I), loss, {"clip": 1.0})


@plant("dead_gates")
def _lstm_of_large_weights() -> Given:
    net = Reader(scaled(nn.LSTM(I, H, batch_first=True), 100.0), last)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@plant("dead_gates")
def _gru_of_large_weights() -> Given:
    net = Reader(scaled(nn.GRU(I, H, batch_first=True), 100.0), last)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@plant("dead_gates")
def _gates_alone() -> Given:
    layer: Any = nn.LSTM(I, H, batch_first=True)
    with torch.no_grad():
        for weights in (layer.weight_ih_l0, layer.weight_hh_l0):
            weights[: 2 * H] *= 100
            weights[3 * H :] *= 100
    return Given(Reader(layer, last), numbers(B, T, I), squared(numbers(B, 1)))


@plant("dead_states")
def _rnn_of_large_weights() -> Given:
    net = Reader(scaled(nn.RNN(I, H, batch_first=True), 40.0), last)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@plant("input_scale")
def _raw_inputs() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, 300 * numbers(B, T, I), squared(numbers(B, 1)))


@plant("learning_rate")
def _adam_at_the_start() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    optimizer = torch.optim.Adam(net.parameters(), 1.0)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})


@plant("learning_rate")
def _sgd_with_schedule() -> Given:
    net = Reader(nn.GRU(I, H, batch_first=True), last)
    optimizer = torch.optim.SGD(net.parameters(), 30.0)
    torch.optim.lr_scheduler.StepLR(optimizer, 5)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})


@plant("learning_rate")
def _after_training_lstm() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    given = Given(net, numbers(B, T, I), squared(numbers(B, 1)))
    return trained(given, 30, torch.optim.Adam(net.parameters(), 2.0))


@plant("learning_rate")
def _after_training_rnn() -> Given:
    net = Reader(nn.RNN(I, H, batch_first=True), last)
    given = Given(net, numbers(B, T, I), squared(numbers(B, 1)))
    return trained(given, 30, torch.optim.Adam(net.parameters(), 2.0))


@plant("not_optimized")
def _head_alone() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    optimizer = torch.optim.Adam(net.head.parameters(), 1e-3)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})


@plant("shifted_target")
def _series_equals_input() -> Given:
    x = numbers(B, T, 1)
    return Given(Reader(nn.LSTM(1, H, batch_first=True), every), x, squared(x))


@plant("shifted_target")
def _symbols_equal_input() -> Given:
    symbols = torch.randint(0, 6, (B, T))
    return Given(Language(6), symbols, entropy(symbols))


@plant("shifted_target")
def _bits() -> Given:
    bits = torch.randint(0, 2, (T, B, 3)).float()

    def loss(output: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(output, bits)

    return Given(Reader(nn.LSTM(3, H), every, 3), bits, loss)


@plant("shifted_target")
def _delay_of_one_too_many() -> Given:
    x = numbers(B, 40, 2)
    net = Reader(chrono(nn.LSTM(2, H, batch_first=True), 10), every)
    return Given(net, x, squared(x[..., 1:].roll(11, 1)), {"lag": 10})


@plant("shifted_target")
def _forecast_of_the_last_input() -> Given:
    x = numbers(16, T, I)
    return Given(Reader(nn.LSTM(I, H, batch_first=True), last), x, squared(x[:, -1, :1]))


@plant("shifted_target")
def _log_probabilities_with_classes_in_the_middle() -> Given:
    class Likely(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.language = Language(6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.language(x).log_softmax(-1).transpose(1, 2)

    symbols = torch.randint(0, 6, (B, T))
    return Given(Likely(), symbols, lambda output: nn.functional.nll_loss(output, symbols))


@plant("shifted_target")
def _one_hot_symbols_and_flat_outputs() -> Given:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reader = Reader(nn.LSTM(6, H), every, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.reader(x).flatten(0, 1)

    symbols = torch.randint(0, 6, (T, B))
    hot = nn.functional.one_hot(symbols, 6).float()
    target = symbols.flatten()
    return Given(Flat(), hot, lambda output: nn.functional.cross_entropy(output, target))


@plant("shifted_target")
def _forecast_without_a_last_axis() -> Given:
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reader = Reader(nn.GRU(1, H, batch_first=True), last)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.reader(x).squeeze(-1)

    x = numbers(16, T, 1)
    return Given(Squeezed(), x, squared(x[:, -1, 0]))


@plant("future_leak")
def _bidirectional_language() -> Given:
    symbols = torch.randint(0, 6, (B, T))
    return Given(Language(6, bidirectional=True), symbols, entropy(symbols.roll(-1, 1)))
