"""Small nets and data for verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

B, T, I, H = 8, 20, 3, 12  # noqa: E741  (the letters of shapes)


@dataclass(frozen=True)
class Given:
    """Arguments of one inspection."""

    module: nn.Module
    inputs: Any
    loss: Callable[[Any], Tensor]
    arguments: dict[str, Any] = field(default_factory=dict)


class Reader(nn.Module):
    """A recurrent layer, and a linear layer that reads it.

    Args:
        layer: the recurrent layer.
        read: takes what the layer returns and gives what the linear layer reads.
        n_out: number of outputs.
    """

    def __init__(self, layer: Any, read: Callable[[Any], Tensor], n_out: int = 1) -> None:
        super().__init__()
        self.layer, self.read = layer, read
        width = layer.hidden_size * (2 if getattr(layer, "bidirectional", False) else 1)
        self.head = nn.Linear(width, n_out)

    def forward(self, *inputs: Any) -> Tensor:
        return self.head(self.read(self.layer(*inputs)))


def last(found: Any) -> Tensor:
    """Return the last output of a layer with the batch first."""
    return found[0][:, -1]


def every(found: Any) -> Tensor:
    """Return all outputs."""
    return found[0]


def final(found: Any) -> Tensor:
    """Return the last hidden state of an LSTM."""
    return found[1][0][-1]


def squared(target: Tensor) -> Callable[[Tensor], Tensor]:
    """Return a loss."""
    return lambda output: (output - target).square().mean()


def entropy(target: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the cross-entropy of logits with classes in the last axis."""
    return lambda output: nn.functional.cross_entropy(output.flatten(0, -2), target.flatten())


def numbers(*shape: int) -> Tensor:
    """Return random targets or inputs."""
    return torch.randn(*shape)


def chrono(layer: Any, lag: int, gate: int = 1) -> Any:
    """Set the biases of forget gates to log(1..lag), those of input gates to the negative."""
    width = layer.hidden_size
    drawn = torch.rand(width).mul(lag - 1).add(1).log()
    with torch.no_grad():
        for name, bias in layer.named_parameters():
            if "bias_hh" in name:
                bias[gate * width : (gate + 1) * width] = 0
            if "bias_ih" in name:
                bias[gate * width : (gate + 1) * width] = drawn
                if gate == 1 and isinstance(layer, nn.LSTM | nn.LSTMCell):
                    bias[:width] = -drawn
    return layer


def padded(pad: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return sequences of different lengths with padding, ``[B, T, I]``, and their lengths."""
    lengths = torch.randint(T // 3, T, (B,))
    lengths[0], lengths[1] = T, T // 3
    x = numbers(B, T, I)
    x[torch.arange(T) >= lengths[:, None]] = pad
    return x, lengths


class Packed(nn.Module):
    """A layer that is called with packed sequences."""

    def __init__(self, layer: Any, read: Callable[[Tensor, Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.read, self.head = layer, read, nn.Linear(layer.hidden_size, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        out, end = self.layer(packed)
        out, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
        return self.head(self.read(out, end, lengths))


class Gathered(nn.Module):
    """A layer whose output is read at the last valid step."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(layer.hidden_size, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        out, _ = self.layer(x)
        return self.head(out[torch.arange(len(out)), lengths - 1])


class Loop(nn.Module):
    """A loop of LSTM cells.

    Args:
        step: takes the step and the state after it, returns the state for the next step.
    """

    def __init__(self, step: Callable[[int, Any], Any] = lambda t, state: state) -> None:
        super().__init__()
        self.cell, self.head, self.step = nn.LSTMCell(I, H), nn.Linear(H, 1), step

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for t, one in enumerate(x.unbind(1)):
            state = self.step(t, self.cell(one, state))
        assert state is not None
        return self.head(state[0])


class Windows(nn.Module):
    """A layer that is called for windows of the sequence.

    Args:
        layer: the layer, with the batch first.
        width: steps of a window.
        between: takes the state that the layer returns, gives the next one.
    """

    def __init__(self, layer: Any, width: int, between: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(layer.hidden_size, 1)
        self.width, self.between = width, between

    def forward(self, x: Tensor) -> Tensor:
        state, out = None, x
        for some in x.split(self.width, 1):
            out, state = self.layer(some, state)
            state = self.between(state)
        return self.head(out[:, -1])


class Stateful(nn.Module):
    """A layer whose state is kept from call to call, detached."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer, self.head, self.state = layer, nn.Linear(layer.hidden_size, 1), None

    def forward(self, x: Tensor) -> Tensor:
        out, state = self.layer(x, self.state)
        self.state = detach(state)
        return self.head(out[:, -1])


def detach(state: Any) -> Any:
    """Detach a state."""
    return state.detach() if isinstance(state, Tensor) else tuple(one.detach() for one in state)


class Language(nn.Module):
    """Embedding, LSTM and logits for each step."""

    def __init__(self, symbols: int, **layer: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, 6)
        self.layer = nn.LSTM(6, H, batch_first=True, **layer)
        self.head = nn.Linear(H * (2 if layer.get("bidirectional") else 1), symbols)

    def forward(self, symbols: Tensor) -> Tensor:
        return self.head(self.layer(self.embedding(symbols))[0])


def scaled(module: nn.Module, factor: float, only: str = "weight") -> Any:
    """Multiply parameters by a factor."""
    with torch.no_grad():
        for name, one in module.named_parameters():
            if only in name:
                one.mul_(factor)
    return module


def trained(given: Given, steps: int, optimizer: torch.optim.Optimizer) -> Given:
    """Train a net on its data."""
    inputs = given.inputs if isinstance(given.inputs, tuple) else (given.inputs,)
    for _ in range(steps):
        optimizer.zero_grad()
        given.loss(given.module(*inputs)).backward()
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return given
