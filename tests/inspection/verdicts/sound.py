"""Sound nets, fresh and trained, which must get no verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inspection.verdicts.nets import (
    B,
    Gathered,
    Given,
    H,
    I,
    Language,
    Loop,
    Packed,
    Reader,
    Stateful,
    T,
    Windows,
    chrono,
    detach,
    entropy,
    every,
    final,
    last,
    numbers,
    padded,
    squared,
    trained,
)

Build = Callable[[], Given]
SOUND: dict[str, Build] = {}
"""Builders by a description. Seed torch before a call."""


def _sound(build: Build) -> Build:
    SOUND[build.__name__.lstrip("_").replace("_", " ")] = build
    return build


@_sound
def _fresh_lstm() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, numbers(B, 100, I), squared(numbers(B, 1)))


@_sound
def _fresh_lstm_with_a_short_lag() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), final)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"lag": 6})


@_sound
def _lstm_with_forget_biases_for_its_lag() -> Given:
    net = Reader(chrono(nn.LSTM(I, H, batch_first=True), 100), last)
    return Given(net, numbers(B, 101, I), squared(numbers(B, 1)), {"lag": 100, "clip": 1.0})


@_sound
def _gru_with_update_biases_for_its_lag() -> Given:
    net = Reader(chrono(nn.GRU(I, H, batch_first=True), 60), last)
    return Given(net, numbers(B, 61, I), squared(numbers(B, 1)), {"lag": 60})


@_sound
def _fresh_rnn() -> Given:
    net = Reader(nn.RNN(I, H, batch_first=True), last)
    return Given(net, numbers(B, 50, I), squared(numbers(B, 1)))


@_sound
def _orthogonal_rnn_with_a_lag() -> Given:
    layer: Any = nn.RNN(I, H, batch_first=True)
    nn.init.orthogonal_(layer.weight_hh_l0)
    return Given(Reader(layer, last), 0.3 * numbers(B, 30, I), squared(numbers(B, 1)), {"lag": 15})


@_sound
def _relu_rnn_of_the_identity() -> Given:
    layer: Any = nn.RNN(I, H, batch_first=True, nonlinearity="relu")
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.eye(H))
    return Given(Reader(layer, last), 0.1 * numbers(B, T, I), squared(numbers(B, 1)))


@_sound
def _packed_last_state() -> Given:
    net = Packed(nn.LSTM(I, H, batch_first=True), lambda out, end, lengths: end[0][-1])
    return Given(net, padded(), squared(numbers(B, 1)))


@_sound
def _packed_bidirectional_last_states() -> Given:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(I, H, 2, batch_first=True, bidirectional=True)
            self.head = nn.Linear(2 * H, 1)

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
            _, (h, _) = self.layer(packed)
            return self.head(torch.cat([h[-2], h[-1]], -1))

    return Given(Both(), padded(), squared(numbers(B, 1)))


@_sound
def _padded_and_gathered() -> Given:
    return Given(Gathered(nn.LSTM(I, H, batch_first=True)), padded(), squared(numbers(B, 1)))


@_sound
def _masked_loss_at_each_step() -> Given:
    x, lengths = padded()
    mask, target = (torch.arange(T) < lengths[:, None])[..., None], numbers(B, T, 1)

    def loss(output: Tensor) -> Tensor:
        return ((output - target).square() * mask).sum() / mask.sum()

    return Given(Reader(nn.GRU(I, H, batch_first=True), every), x, loss)


@_sound
def _mean_over_time() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), lambda found: found[0].mean(1))
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_sound
def _two_layers_with_dropout() -> Given:
    net = Reader(nn.LSTM(I, H, 2, batch_first=True, dropout=0.3), last)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})


@_sound
def _loop_of_cells() -> Given:
    return Given(Loop(), numbers(B, T, I), squared(numbers(B, 1)), {"batch_size": B})


@_sound
def _truncated_windows_of_a_stream() -> Given:
    net = Stateful(nn.LSTM(I, H, batch_first=True))
    net(numbers(B, T, I))
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"truncation": T, "lag": 8})


@_sound
def _windows_longer_than_the_lag() -> Given:
    net = Windows(nn.GRU(I, H, batch_first=True), 10, detach)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"lag": 6})


@_sound
def _next_value() -> Given:
    x = numbers(B, T + 1, 1)
    net = Reader(nn.LSTM(1, H, batch_first=True), every)
    return Given(net, x[:, :-1], squared(x[:, 1:]))


@_sound
def _next_value_of_a_slow_wave() -> Given:
    phase = 6 * torch.rand(B, 1)
    x = torch.sin(0.1 * torch.arange(60) + phase)[..., None]
    net = Reader(nn.LSTM(1, H, batch_first=True), every)
    return Given(net, x[:, :-1], squared(x[:, 1:]))


@_sound
def _next_symbol() -> Given:
    symbols = torch.randint(0, 6, (B, T + 1))
    return Given(Language(6), symbols[:, :-1], entropy(symbols[:, 1:]))


@_sound
def _copy_with_the_right_delay() -> Given:
    x = numbers(B, 40, 2)
    net = Reader(chrono(nn.LSTM(2, H, batch_first=True), 10), every)
    return Given(net, x, squared(x[..., 1:].roll(10, 1)), {"lag": 10})


@_sound
def _recall_of_the_first_input() -> Given:
    x = numbers(16, T, I)
    net = Reader(chrono(nn.LSTM(I, H, batch_first=True), T), last)
    return Given(net, x, squared(x[:, 0, :1]), {"lag": T - 1})


@_sound
def _autoencoder() -> Given:
    class Auto(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.LSTM(I, H, batch_first=True)
            self.decoder = Reader(nn.LSTM(H, H, batch_first=True), every, I)

        def forward(self, x: Tensor) -> Tensor:
            _, (h, _) = self.encoder(x)
            return self.decoder(h[-1][:, None].expand(-1, x.shape[1], -1))

    x = numbers(B, T, I)
    return Given(Auto(), x, squared(x))


@_sound
def _one_layer_for_two_sequences() -> Given:
    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(I, H, batch_first=True)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (last(self.layer(a)) - last(self.layer(b))).square().sum(-1, keepdim=True)

    inputs = (numbers(B, T, I), numbers(B, T, I))
    return Given(Twin(), inputs, squared(numbers(B, 1)))


@_sound
def _learned_first_state() -> Given:
    class Begun(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.h, self.c = (nn.Parameter(numbers(1, 1, H)) for _ in range(2))
            self.layer, self.head = nn.LSTM(I, H, batch_first=True), nn.Linear(H, 1)

        def forward(self, x: Tensor) -> Tensor:
            first = tuple(one.expand(-1, len(x), -1).contiguous() for one in (self.h, self.c))
            return self.head(last(self.layer(x, first)))

    return Given(Begun(), numbers(B, T, I), squared(numbers(B, 1)))


@_sound
def _frozen_encoder() -> Given:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.GRU(I, H, batch_first=True).requires_grad_(False)
            self.reader = Reader(nn.GRU(H, H, batch_first=True), last)

        def forward(self, x: Tensor) -> Tensor:
            return self.reader(self.encoder(x)[0].detach())

    return Given(Frozen(), numbers(B, T, I), squared(numbers(B, 1)))


@_sound
def _blanks_until_the_end() -> Given:
    """Latch: two symbols at the start, then blanks, as in tasks with a lag."""
    x = torch.zeros(B, 30, I)
    x[torch.arange(B), 0, torch.randint(0, I, (B,))] = 1.0
    net = Reader(chrono(nn.LSTM(I, H, batch_first=True), 30), final)
    return Given(net, x, squared(numbers(B, 1)), {"lag": 29})


@_sound
def _random_symbols_that_repeat_at_the_end() -> Given:
    symbols = torch.randint(0, 2, (2 * B, T))
    symbols[:3, -4:] = 1
    hot = nn.functional.one_hot(symbols, 2).float()
    return Given(Reader(nn.LSTM(2, H, batch_first=True), final), hot, squared(numbers(2 * B, 1)))


@_sound
def _trained_latch() -> Given:
    """Learns to keep the first input: forget gates open, input gates closed."""
    x = 0.1 * numbers(32, 15, 1)
    x[:, 0] = torch.randint(0, 2, (32, 1)).float() * 2 - 1
    net = Reader(chrono(nn.LSTM(1, H, batch_first=True), 15), last)
    given = Given(net, x, squared(x[:, 0].clone()), {"lag": 14})
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    given.arguments["optimizer"] = torch.optim.Adam(net.parameters(), 1e-3)
    return trained(given, 150, optimizer)


@_sound
def _trained_language() -> Given:
    symbols = torch.arange(T + 1).remainder(5).repeat(B, 1) + torch.randint(0, 2, (B, 1))
    net = Language(6)
    given = Given(net, symbols[:, :-1], entropy(symbols[:, 1:]))
    return trained(given, 100, torch.optim.Adam(net.parameters(), 1e-2))


@_sound
def _forecast_of_the_next_value() -> Given:
    series = torch.sin(0.4 * torch.arange(200)) + 0.1 * numbers(200)
    windows = series.unfold(0, T + 1, 7)[..., None]
    net = Reader(nn.GRU(1, H, batch_first=True), last)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    arguments = {"optimizer": optimizer, "clip": 1.0}
    return Given(net, windows[:, :-1], squared(windows[:, -1]), arguments)
