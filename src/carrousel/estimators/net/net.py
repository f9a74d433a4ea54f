"""The module of an estimator: causal convolution, LSTM, running means, and a read-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from carrousel.nn import LSTM
from carrousel.shapes import Ints


@dataclass(frozen=True)
class NetConfig:
    """Sizes of a net.

    Args:
        n_inputs: ``F``, inputs of a step (ignored for symbols).
        n_outputs: ``O``, outputs of a step.
        hidden_size: ``C``, memory cells of a layer.
        num_layers: layers of LSTM.
        window: taps of the causal convolution before the LSTM; 1: no convolution.
        dilation: steps between two taps, which span ``(window - 1) * dilation + 1`` steps.
        filters: channels of the convolution.
        bidirectional: whether a second LSTM reads from the end. Outputs then need whole series.
        dropout: probability of zeroing an input of the read-out, while training.
        n_symbols: size of the alphabet; 0 for values.
    """

    n_inputs: int
    n_outputs: int
    hidden_size: int = 64
    num_layers: int = 1
    window: int = 8
    dilation: int = 1
    filters: int = 32
    bidirectional: bool = False
    dropout: float = 0.2
    n_symbols: int = 0


def usual_dilation(lengths: Annotated[Ints, "N"], window: int) -> int:
    """Return the dilation with which a convolution spans a quarter of a usual series.

    >>> usual_dilation(np.array([16, 40, 40]), 8), usual_dilation(np.array([250]), 8)
    (1, 8)
    """
    return max(1, round(float(np.median(lengths)) / (4 * window)))


class SeededDropout(nn.Module):
    """Dropout with a private generator, so that threads do not use each other's random numbers.

    Args:
        probability: of zeroing a component, while training; the others grow in proportion.

    Attributes:
        generator: source of the random numbers; None: torch's global one.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.probability:
            return x
        keep = 1.0 - self.probability
        return x * torch.empty_like(x).bernoulli_(keep, generator=self.generator) / keep


class AnytimeNet(nn.Module):
    """Maps a series to an output at every step, from the steps so far.

    A causal convolution over recent steps and the inputs of the step feed an LSTM. The read-out
    sees the hidden state, and the means over the steps so far of the hidden state and of the
    convolution. Means are running sums, so a step costs the same at any time, and only the steps
    within the convolution are kept.

    The means of a convolution are those of a fully convolutional network with global pooling,
    which is added to the LSTM as in Karim et al. 2018 ("LSTM fully convolutional networks"), but
    causal.

    >>> net = AnytimeNet(NetConfig(2, 3))
    >>> net(torch.zeros(7, 4, 2), torch.tensor([7, 3, 1, 7])).shape
    torch.Size([7, 4, 3])
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = c = config
        width = c.n_inputs
        self.embedding = nn.Embedding(c.n_symbols + 1, 16) if c.n_symbols else None
        if c.n_symbols:
            width = 16
        inner = width
        self.convolution = self.norm = None
        if c.window > 1:
            self.convolution = nn.Linear(width * c.window, c.filters)
            self.norm = nn.LayerNorm(c.filters)
            inner += c.filters
        self.lstm = LSTM(
            inner,
            c.hidden_size,
            num_layers=c.num_layers,
            bidirectional=c.bidirectional,
            forget_bias=1.0,
        )
        states = c.hidden_size * (2 if c.bidirectional else 1)
        self.dropout = SeededDropout(c.dropout)
        self.readout = nn.Linear(2 * states + inner, c.n_outputs)

    def forward(self, x: Tensor, lengths: Tensor) -> Annotated[Tensor, "T B O"]:
        """Return the output of every step; those after the end of a series are meaningless.

        Args:
            x: ``[T, B, F]``, or ``[T, B]`` (int64) for symbols.
            lengths: ``[B]`` (int64).
        """
        if self.embedding is not None:
            x = self.embedding(x)
        T = len(x)
        if self.convolution is not None and self.norm is not None:
            k, d = self.config.window, self.config.dilation
            padded = functional.pad(x, (0, 0, 0, 0, (k - 1) * d, 0))
            taps = torch.cat([padded[j * d : j * d + T] for j in range(k)], -1)
            x = torch.cat([torch.relu(self.norm(self.convolution(taps))), x], -1)
        h, _ = self.lstm(x, lengths=lengths)
        steps = torch.arange(1, T + 1, dtype=x.dtype)[:, None, None]
        means = torch.cat([h, x], -1).cumsum(0) / steps
        joint = self.dropout(torch.cat([h, means], -1))
        if self.training:
            return self.readout(joint)
        # Products with few columns add in an order that depends on the row. In double precision
        # this does not show, so an output does not depend on the other series of a batch.
        weight, bias = self.readout.weight.double(), self.readout.bias.double()
        return functional.linear(joint.double(), weight, bias).to(joint.dtype)
