"""Nets with one planted fault each; the key begins with the name of the verdict."""

from __future__ import annotations

from collections.abc import Callable

import torch
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
    scaled,
    squared,
    trained,
)
from torch import nn

Build = Callable[[], Given]
FAULTY: dict[str, Build] = {}
"""Builders by ``"verdict: variant"``. Seed torch before a call."""


def _plant(verdict: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        variant = build.__name__.lstrip("_").replace("_", " ")
        FAULTY[f"{verdict}: {variant}"] = build
        return build

    return add


@_plant("forget_bias")
def _lstm() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, numbers(B, 120, I), squared(numbers(B, 1)), {"lag": 100})


@_plant("forget_bias")
def _lstm_of_zeros_short() -> Given:
    net = Reader(scaled(nn.LSTM(I, H, batch_first=True), 0.0, "bias"), last)
    return Given(net, numbers(B, 41, I), squared(numbers(B, 1)), {"lag": 40})


@_plant("forget_bias")
def _gru() -> Given:
    net = Reader(nn.GRU(I, H, batch_first=True), last)
    return Given(net, numbers(B, 120, I), squared(numbers(B, 1)), {"lag": 100})


@_plant("forget_bias")
def _cells() -> Given:
    return Given(Loop(), numbers(B, 60, I), squared(numbers(B, 1)), {"lag": 50})


@_plant("vanishing")
def _rnn() -> Given:
    net = Reader(nn.RNN(I, H, batch_first=True), last)
    return Given(net, numbers(B, 60, I), squared(numbers(B, 1)), {"lag": 50})


@_plant("exploding")
def _linear_regime() -> Given:
    layer = nn.RNN(I, H, batch_first=True)
    nn.init.orthogonal_(layer.weight_hh_l0)
    layer.weight_hh_l0.data *= 1.8
    net = Reader(scaled(scaled(layer, 0.0, "bias"), 0.0, "weight_ih"), last)
    return Given(net, 1e-6 * numbers(B, 30, I), squared(numbers(B, 1)))


@_plant("exploding")
def _relu() -> Given:
    layer = nn.RNN(I, H, batch_first=True, nonlinearity="relu")
    with torch.no_grad():
        layer.weight_hh_l0.copy_(2.0 * torch.eye(H))
    return Given(Reader(layer, last), numbers(B, T, I).abs(), squared(numbers(B, 1)))


@_plant("detached")
def _cell_loop() -> Given:
    return Given(
        Loop(lambda t, s: detach(s) if t < T - 1 else s), numbers(B, T, I), squared(numbers(B, 1))
    )


@_plant("detached")
def _layer_by_steps() -> Given:
    net = Windows(nn.GRU(I, H, batch_first=True), 1, detach)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_plant("detached")
def _between_layers() -> Given:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.LSTM(I, H, batch_first=True)
            self.two = Reader(nn.LSTM(H, H, batch_first=True), last)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(self.one(x)[0].detach())

    return Given(Two(), numbers(B, T, I), squared(numbers(B, 1)))


@_plant("detached")
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


@_plant("batch_axis")
def _last_step() -> Given:
    return Given(Reader(nn.LSTM(I, H), last), numbers(B, T, I), squared(numbers(B, 1)))


@_plant("batch_axis")
def _time_first_data() -> Given:
    net = Reader(nn.GRU(I, H, batch_first=True), lambda found: found[0][-1])
    return Given(net, numbers(T, B, I), squared(numbers(B, 1)))


@_plant("batch_axis")
def _each_step() -> Given:
    net = Reader(nn.LSTM(I, H), every)
    return Given(net, numbers(B, T, I), squared(numbers(B, T, 1)), {"batch_size": B})


@_plant("padding_in_state")
def _zeros() -> Given:
    x, _ = padded()
    return Given(Reader(nn.LSTM(I, H, batch_first=True), final), x, squared(numbers(B, 1)))


@_plant("padding_in_state")
def _marks_of_minus_one() -> Given:
    x, _ = padded(-1.0)
    net = Reader(nn.GRU(I, H, batch_first=True), lambda found: found[1][-1])
    return Given(net, x, squared(numbers(B, 1)))


@_plant("padding_in_state")
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


@_plant("last_output")
def _zeros_not_packed() -> Given:
    x, _ = padded()
    return Given(Reader(nn.LSTM(I, H, batch_first=True), last), x, squared(numbers(B, 1)))


@_plant("last_output")
def _packed() -> Given:
    net = Packed(nn.LSTM(I, H, batch_first=True), lambda out, end, lengths: out[:, -1])
    return Given(net, padded(), squared(numbers(B, 1)))


@_plant("last_output")
def _length_is_not_an_index() -> Given:
    class Late(Gathered):
        def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return super().forward(x, (lengths + 1).clamp(max=T))

    x, lengths = padded()
    return Given(Late(nn.GRU(I, H, batch_first=True)), (x, lengths), squared(numbers(B, 1)))


@_plant("loss_over_padding")
def _each_step_of_zeros() -> Given:
    x, _ = padded()
    net = Reader(nn.LSTM(I, H, batch_first=True), every)
    return Given(net, x, squared(numbers(B, T, 1)))


@_plant("loss_over_padding")
def _mean_over_time() -> Given:
    x, _ = padded()
    net = Reader(nn.GRU(I, H, batch_first=True), lambda found: found[0].mean(1))
    return Given(net, x, squared(numbers(B, 1)))


@_plant("reverse_last")
def _bidirectional() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True, bidirectional=True), last)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_plant("clipping")
def _tiny_bound() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, numbers(B, T, I), squared(10 + numbers(B, 1)), {"clip": 1e-3})


@_plant("clipping")
def _sum_of_squares() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), every)
    target = numbers(B, T, 1) + 30

    def loss(output: torch.Tensor) -> torch.Tensor:
        return (output - target).square().sum()

    return Given(net, numbers(B, T, I), loss, {"clip": 1.0})


@_plant("dead_gates")
def _lstm_of_large_weights() -> Given:
    net = Reader(scaled(nn.LSTM(I, H, batch_first=True), 100.0), last)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_plant("dead_gates")
def _gru_of_large_weights() -> Given:
    net = Reader(scaled(nn.GRU(I, H, batch_first=True), 100.0), last)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_plant("dead_gates")
def _gates_alone() -> Given:
    layer = nn.LSTM(I, H, batch_first=True)
    with torch.no_grad():
        for weights in (layer.weight_ih_l0, layer.weight_hh_l0):
            weights[: 2 * H] *= 100
            weights[3 * H :] *= 100
    return Given(Reader(layer, last), numbers(B, T, I), squared(numbers(B, 1)))


@_plant("dead_states")
def _rnn_of_large_weights() -> Given:
    net = Reader(scaled(nn.RNN(I, H, batch_first=True), 40.0), last)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_plant("input_scale")
def _raw_inputs() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, 300 * numbers(B, T, I), squared(numbers(B, 1)))


@_plant("truncation")
def _argument() -> Given:
    net = Reader(chrono(nn.LSTM(I, H, batch_first=True), 30), last)
    arguments = {"lag": 30, "truncation": 20}
    return Given(net, numbers(B, 40, I), squared(numbers(B, 1)), arguments)


@_plant("truncation")
def _windows() -> Given:
    net = Windows(chrono(nn.LSTM(I, H, batch_first=True), 30), 10, detach)
    return Given(net, numbers(B, 40, I), squared(numbers(B, 1)), {"lag": 30})


@_plant("truncation")
def _gradient_option() -> Given:
    from carrousel.nn import LSTM

    layer = chrono(LSTM(I, H, batch_first=True, gradient="tbptt:8"), 30)
    return Given(Reader(layer, last), numbers(B, 40, I), squared(numbers(B, 1)), {"lag": 30})


@_plant("truncation")
def _cells_detached_sometimes() -> Given:
    def step(t: int, state: tuple) -> tuple:
        return detach(state) if t % 5 == 4 and t < T - 1 else state

    return Given(Loop(step), numbers(B, T, I), squared(numbers(B, 1)), {"lag": 12})


@_plant("state_kept")
def _lstm_attribute() -> Given:
    net = Stateful(nn.LSTM(I, H, batch_first=True))
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_plant("state_kept")
def _gru_after_other_calls() -> Given:
    net = Stateful(nn.GRU(I, H, batch_first=True))
    net(numbers(B, T, I))
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_plant("state_lost")
def _cell_without_state() -> Given:
    return Given(
        Loop(lambda t, s: None if t < T - 1 else s), numbers(B, T, I), squared(numbers(B, 1))
    )


@_plant("state_lost")
def _layer_by_steps_without_state() -> Given:
    net = Windows(nn.LSTM(I, H, batch_first=True), 1, lambda s: None)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)))


@_plant("state_lost")
def _windows_without_state() -> Given:
    net = Windows(nn.GRU(I, H, batch_first=True), 5, lambda s: None)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"lag": 8})


@_plant("one_step")
def _axis_of_one() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    return Given(net, numbers(B, 1, I), squared(numbers(B, 1)))


@_plant("learning_rate")
def _adam_at_the_start() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    optimizer = torch.optim.Adam(net.parameters(), 1.0)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})


@_plant("learning_rate")
def _sgd_with_schedule() -> Given:
    net = Reader(nn.GRU(I, H, batch_first=True), last)
    optimizer = torch.optim.SGD(net.parameters(), 30.0)
    torch.optim.lr_scheduler.StepLR(optimizer, 5)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})


@_plant("learning_rate")
def _after_training_lstm() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    given = Given(net, numbers(B, T, I), squared(numbers(B, 1)))
    return trained(given, 30, torch.optim.Adam(net.parameters(), 2.0))


@_plant("learning_rate")
def _after_training_rnn() -> Given:
    net = Reader(nn.RNN(I, H, batch_first=True), last)
    given = Given(net, numbers(B, T, I), squared(numbers(B, 1)))
    return trained(given, 30, torch.optim.Adam(net.parameters(), 2.0))


@_plant("not_optimized")
def _head_alone() -> Given:
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    optimizer = torch.optim.Adam(net.head.parameters(), 1e-3)
    return Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})


@_plant("shifted_target")
def _series_equals_input() -> Given:
    x = numbers(B, T, 1)
    return Given(Reader(nn.LSTM(1, H, batch_first=True), every), x, squared(x))


@_plant("shifted_target")
def _symbols_equal_input() -> Given:
    symbols = torch.randint(0, 6, (B, T))
    return Given(Language(6), symbols, entropy(symbols))


@_plant("shifted_target")
def _bits() -> Given:
    bits = torch.randint(0, 2, (T, B, 3)).float()

    def loss(output: torch.Tensor) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(output, bits)

    return Given(Reader(nn.LSTM(3, H), every, 3), bits, loss)


@_plant("shifted_target")
def _delay_of_one_too_many() -> Given:
    x = numbers(B, 40, 2)
    net = Reader(chrono(nn.LSTM(2, H, batch_first=True), 10), every)
    return Given(net, x, squared(x[..., 1:].roll(11, 1)), {"lag": 10})


@_plant("shifted_target")
def _forecast_of_the_last_input() -> Given:
    x = numbers(16, T, I)
    return Given(Reader(nn.LSTM(I, H, batch_first=True), last), x, squared(x[:, -1, :1]))


@_plant("future_leak")
def _bidirectional_language() -> Given:
    symbols = torch.randint(0, 6, (B, T))
    return Given(Language(6, bidirectional=True), symbols, entropy(symbols.roll(-1, 1)))
