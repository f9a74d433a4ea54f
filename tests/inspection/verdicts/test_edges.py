"""Verdicts near the thresholds of their rules."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from carrousel.errors import InputError, SettingError
from carrousel.inspection import inspect
from carrousel.inspection.verdicts.flow import DEAD, EXPLODED
from carrousel.inspection.verdicts.training import KEPT
from inspection.verdicts.nets import (
    B,
    Given,
    H,
    I,
    Reader,
    T,
    Windows,
    detach,
    every,
    final,
    last,
    numbers,
    padded,
    squared,
)


def names(given: Given) -> set[str]:
    """Return the names of the verdicts."""
    found = inspect(given.module, given.inputs, given.loss, **given.arguments)
    return {fault.name for fault in found.faults}


def forgetting(keep: float) -> Any:
    """Return an LSTM without recurrent weights whose forget gates are constant."""
    layer: Any = nn.LSTM(I, H, batch_first=True)
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
        layer.weight_ih_l0[H : 2 * H].zero_()
        layer.bias_hh_l0.zero_()
        layer.bias_ih_l0[H : 2 * H] = math.log(keep / (1 - keep))
    return layer


@pytest.mark.parametrize(("share", "expected"), [(0.5 * DEAD, {"forget_bias"}), (6 * DEAD, set())])
def test_error_dies_at_the_threshold(share: float, expected: set[str]) -> None:
    torch.manual_seed(0)
    lag = 30
    layer = forgetting(share ** (1 / lag))
    given = Given(Reader(layer, last), numbers(B, 40, I), squared(numbers(B, 1)), {"lag": lag})
    # Half of the error is lost at the output gate, on its way from the hidden state to the cell.
    assert names(given) == expected


@pytest.mark.parametrize(("size", "expected"), [(0.8 * EXPLODED, set()), (1.2 * EXPLODED, 1)])
def test_error_explodes_at_the_threshold(size: float, expected: Any) -> None:
    torch.manual_seed(0)
    layer: Any = nn.RNN(I, H, batch_first=True, nonlinearity="relu")
    with torch.no_grad():
        layer.weight_hh_l0.copy_(size ** (1 / (T - 1)) * torch.eye(H))
        layer.weight_ih_l0.abs_()
        layer.bias_ih_l0.abs_()
        layer.bias_hh_l0.abs_()
    given = Given(Reader(layer, last), numbers(B, T, I).abs(), squared(numbers(B, 1)))
    assert names(given) == ({"exploding"} if expected else set())


@pytest.mark.parametrize(("factor", "expected"), [(0.9, {"clipping"}), (1.1, set())])
def test_clipping_at_the_threshold(factor: float, expected: set[str]) -> None:
    torch.manual_seed(0)
    net, x, loss = (
        Reader(nn.GRU(I, H, batch_first=True), last),
        numbers(B, T, I),
        squared(numbers(B, 1)),
    )
    norm = inspect(net, x, loss).gradients.total
    assert names(Given(net, x, loss, {"clip": factor * KEPT * norm})) == expected


@pytest.mark.parametrize(("steps", "expected"), [(6, {"truncation"}), (7, set())])
def test_truncation_must_be_longer_than_the_lag(steps: int, expected: set[str]) -> None:
    torch.manual_seed(0)
    net, loss = Reader(nn.LSTM(I, H, batch_first=True), last), squared(numbers(B, 1))
    arguments = {"lag": 6, "truncation": steps}
    assert names(Given(net, numbers(B, T, I), loss, arguments)) == expected
    layer = Windows(nn.LSTM(I, H, batch_first=True), steps, detach)
    assert names(Given(layer, numbers(B, 3 * steps, I), loss, {"lag": 6})) == expected


@pytest.mark.parametrize(("calls", "expected"), [(2, set()), (3, {"state_lost"})])
def test_two_calls_compare_and_three_are_a_loop(calls: int, expected: set[str]) -> None:
    torch.manual_seed(0)
    net = Windows(nn.LSTM(I, H, batch_first=True), 1, lambda state: None)
    assert names(Given(net, numbers(B, calls, I), squared(numbers(B, 1)))) == expected


def padding_only_at_ends(x: Tensor) -> Given:
    return Given(Reader(nn.LSTM(I, H, batch_first=True), final), x, squared(numbers(B, 1)))


def test_padding_is_a_row_that_occurs_only_at_ends_of_different_lengths() -> None:
    torch.manual_seed(0)
    x, _ = padded()
    assert names(padding_only_at_ends(x)) == {"padding_in_state"}
    inside = x.clone()
    inside[0, 3] = 0.0
    assert names(padding_only_at_ends(inside)) == set()
    equal = numbers(B, T, I)
    equal[:, -5:] = 0.0
    assert names(padding_only_at_ends(equal)) == set()
    once = numbers(B, T, I)
    once[0, -1] = 0.0
    assert names(padding_only_at_ends(once)) == set()
    twice = once.clone()
    twice[0, -2] = 0.0
    assert names(padding_only_at_ends(twice)) == {"padding_in_state"}


def test_batch_size_decides_where_shapes_agree() -> None:
    torch.manual_seed(0)
    net = Reader(nn.LSTM(I, H, batch_first=True), every)
    given = Given(net, numbers(B, T, I), squared(numbers(B, T, 1)))
    for size, expected in ((B, set()), (T, {"batch_axis"}), (1, {"batch_axis"})):
        given.arguments["batch_size"] = size
        assert names(given) == expected


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_shifted_target_must_match_exactly(noise: float) -> None:
    torch.manual_seed(0)
    x = numbers(B, T, 1)
    net = Reader(nn.LSTM(1, H, batch_first=True), every)
    target = x + noise * numbers(B, T, 1)
    assert names(Given(net, x, squared(target))) == (set() if noise else {"shifted_target"})


@pytest.mark.parametrize("delay", [9, 10, 11])
def test_delay_must_be_the_lag(delay: int) -> None:
    torch.manual_seed(0)
    x = numbers(B, 40, 1)
    net = Reader(forgetting_inputs(), every)
    given = Given(net, x, squared(x.roll(delay, 1)), {"lag": 10})
    assert names(given) == (set() if delay == 10 else {"shifted_target"})


def forgetting_inputs() -> Any:
    layer: Any = nn.LSTM(1, H, batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0[H : 2 * H] = 3.0
    return layer


def test_probabilities_do_not_break_the_search_for_shifts() -> None:
    torch.manual_seed(0)
    x = numbers(B, T, 1)

    class Likely(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.reader = Reader(nn.LSTM(1, H, batch_first=True), every)

        def forward(self, x: Tensor) -> Tensor:
            return self.reader(x).sigmoid()

    def loss(output: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy(output, (x > 0).float())

    assert names(Given(Likely(), x, loss)) == set()


def test_optimizers_with_attributes_of_their_own_are_tried() -> None:
    torch.manual_seed(0)
    net = Reader(nn.GRU(I, H, batch_first=True), last)
    optimizer = torch.optim.LBFGS(net.parameters(), 0.1)
    given = Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})
    assert names(given) == set()
    assert not optimizer.state


def test_arguments_are_checked() -> None:
    net, x = nn.GRU(I, H, batch_first=True), numbers(B, T, I)

    def loss(output: Any) -> Tensor:
        return output[0].square().mean()

    with pytest.raises(SettingError, match="batch_size"):
        inspect(net, x, loss, batch_size=0)
    with pytest.raises(InputError, match="optimizer"):
        inspect(net, x, loss, optimizer="adam")


def test_target_nets_and_unused_parts_are_no_fault() -> None:
    torch.manual_seed(0)

    class Two(nn.Module):
        def __init__(self, frozen: bool, used: float) -> None:
            super().__init__()
            self.other = Reader(nn.LSTM(I, H, batch_first=True), last)
            self.mine = Reader(nn.LSTM(I, H, batch_first=True), last)
            self.frozen, self.used = frozen, used

        def forward(self, x: Tensor) -> Tensor:
            with torch.set_grad_enabled(not self.frozen):
                other = self.other(x)
            return self.mine(x) + self.used * other.detach()

    x, loss = numbers(B, T, I), squared(numbers(B, 1))
    assert names(Given(Two(True, 1.0), x, loss)) == set()
    assert names(Given(Two(False, 0.0), x, loss)) == set()
    assert names(Given(Two(False, 1.0), x, loss)) == {"detached"}


def test_no_error_is_dead_in_a_sequence_without_lag() -> None:
    torch.manual_seed(0)
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    given = Given(net, numbers(B, 100, I), squared(numbers(B, 1)))
    assert names(given) == set()
    given.arguments["lag"] = 99
    assert names(given) == {"forget_bias"}


def test_forgetting_is_named_where_it_takes_most_of_the_error() -> None:
    for seed in range(3):
        torch.manual_seed(seed)
        net = Reader(nn.LSTM(I, 8, batch_first=True), last)
        found = names(Given(net, numbers(B, 40, I), squared(numbers(B, 1)), {"lag": 24}))
        assert found == {"forget_bias"}
    closed = forgetting(0.95)
    with torch.no_grad():
        closed.weight_ih_l0[3 * H :].zero_()
        closed.bias_ih_l0[3 * H :] = -14.0
    given = Given(Reader(closed, last), numbers(B, 40, I), squared(numbers(B, 1)), {"lag": 20})
    assert names(given) == {"vanishing"}


def test_a_lag_longer_than_a_decoder_is_measured_in_its_encoder() -> None:
    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = (nn.LSTM(I, H, batch_first=True) for _ in range(2))

        def forward(self, source: Tensor, target: Tensor) -> Tensor:
            return self.decoder(target, self.encoder(source)[1])[0]

    torch.manual_seed(0)
    inputs = numbers(B, 60, I), numbers(B, 5, I)
    given = Given(Translator(), inputs, squared(numbers(B, 5, H)), {"lag": 40})
    assert names(given) == {"forget_bias"}
    given.arguments["lag"] = 60
    with pytest.raises(InputError, match="a lag of 60 steps cannot be seen"):
        names(given)


def test_without_a_copy_of_the_model_nothing_is_said_of_the_optimizer() -> None:
    class Alone:
        def __deepcopy__(self, memo: dict[int, Any]) -> Any:
            raise ValueError("there is one of me")

    torch.manual_seed(0)
    net = Reader(nn.LSTM(I, H, batch_first=True), last)
    net.register = Alone()  # type: ignore[assignment]
    optimizer = torch.optim.SGD(net.parameters(), 1e3)
    given = Given(net, numbers(B, T, I), squared(numbers(B, 1)), {"optimizer": optimizer})
    assert names(given) == set()
