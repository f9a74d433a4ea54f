"""Recurrent layers as a loop over time in Python, in the usual PyTorch style.

Functions ``loop(x, weights)`` take ``x [T, B, I]`` and return the outputs ``[T, B, H]``. A step is
two linear layers, ``chunk``, and gates. ``carrousel.contracts.recurrence`` holds the equations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from carrousel.kernels.autograd.dispatch import plain_layer
from carrousel.nn import LayerWeights

Loop = Callable[[Tensor, LayerWeights], Tensor]


def lstm(x: Tensor, w: LayerWeights) -> Tensor:
    """LSTM with forget gate and without options."""
    h = c = x.new_zeros(x.shape[1], w.w_hh.shape[1])
    outputs = []
    for x_t in x.unbind(0):
        a = linear(x_t, w.w_ih, w.bias) + linear(h, w.w_hh)
        i, f, g, o = a.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def peephole(x: Tensor, w: LayerWeights) -> Tensor:
    """LSTM with peephole connections."""
    assert w.unit is not None
    p_i, p_f, p_o = w.unit.unbind(0)
    h = c = x.new_zeros(x.shape[1], w.w_hh.shape[1])
    outputs = []
    for x_t in x.unbind(0):
        a = linear(x_t, w.w_ih, w.bias) + linear(h, w.w_hh)
        i, f, g, o = a.chunk(4, -1)
        c = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs)


def lstm97(x: Tensor, w: LayerWeights) -> Tensor:
    """LSTM of 1997: no forget gate, g in [-2, 2], h in [-1, 1]."""
    h = c = x.new_zeros(x.shape[1], w.w_hh.shape[1])
    outputs = []
    for x_t in x.unbind(0):
        a = linear(x_t, w.w_ih, w.bias) + linear(h, w.w_hh)
        i, g, o = a.chunk(3, -1)
        c = c + torch.sigmoid(i) * (4 * torch.sigmoid(g) - 2)
        h = torch.sigmoid(o) * (2 * torch.sigmoid(c) - 1)
        outputs.append(h)
    return torch.stack(outputs)


def normalised(x: Tensor, w: LayerWeights) -> Tensor:
    """LSTM with layer normalisation of both net inputs and of the cell state."""
    assert w.ln_c is not None
    n, m = w.w_hh.shape
    scale, shift = w.ln_c.unbind(0)
    h = c = x.new_zeros(x.shape[1], m)
    outputs = []
    for x_t in x.unbind(0):
        a = layer_norm(linear(x_t, w.w_ih), (n,), w.ln_ih, w.bias)
        a = a + layer_norm(linear(h, w.w_hh), (n,), w.ln_hh)
        i, f, g, o = a.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(layer_norm(c, (m,), scale, shift))
        outputs.append(h)
    return torch.stack(outputs)


LOOPS: Mapping[str, Loop] = {
    "lstm": lstm,
    "peephole": peephole,
    "lstm97": lstm97,
    "layer_norm": normalised,
}


class Looped(torch.nn.Module):
    """Our layer, run by a loop on the same parameters."""

    def __init__(self, layer: Any, loop: Loop) -> None:
        super().__init__()
        self.layer, self.loop = layer, loop

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.loop(x, self.layer.layer_weights(0, 0)),)


class Plain(torch.nn.Module):
    """Our layer, run by the package's plain path.

    The plain path is a loop over time in torch operations. It computes the products with all inputs
    at once.
    """

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *arguments: Any, **named: Any) -> Any:
        with _plain_path():
            return self.layer(*arguments, **named)


@contextmanager
def _plain_path() -> Iterator[None]:
    recurrent = "carrousel.nn.recurrent"
    with patch(f"{recurrent}.layer", plain_layer), patch(f"{recurrent}.run_eagerly", _never):
        yield


def _never(*_: Any) -> None:
    """Leave every call to the general way."""
