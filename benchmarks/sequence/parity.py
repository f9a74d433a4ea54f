"""Contenders: one call of training or inference, and the verification of its results."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from benchmarks.sequence.cases import Size, data
from torch import Tensor

EXACT = 1e-10
"""Allowed difference in float64, relative to the largest number of a tensor."""
TIMES, UNITS = 4.0, 8 * 2.0**-23
"""Allowed error in float32: this multiple of the error of naive float32, or eight units in the last
place if the naive result is exact by chance.

Gradients of parameters are sums of ``T B`` terms. Added one by one, roundings of ``2**-24`` grow
like a random walk to about ``sqrt(T B)`` of them, so this is allowed as well. A naive sum in blocks
is more accurate, but the other order is not wrong.
"""


class Contender:
    """A layer with its data; ``train`` and ``infer`` are timed.

    Args:
        layer: a module whose first result is the output.
        size: size of the data.
        arguments: keyword arguments of a call.
    """

    def __init__(
        self, layer: torch.nn.Module, size: Size, arguments: Mapping[str, Any] | None = None
    ) -> None:
        self.layer, self.size, self.arguments = layer, size, dict(arguments or {})
        with torch.no_grad():
            width = layer(torch.zeros(1, size.B, size.I))[0].shape[-1]
        self.x, self.errors = data(size, width)
        self.leaves = [self.x, *layer.parameters()]

    def train(self) -> tuple[Tensor | None, ...]:
        """Run forward and backward; returns the gradients of the input and all parameters."""
        output = self.layer(self.x, **self.arguments)[0]
        return torch.autograd.grad(output, self.leaves, self.errors, allow_unused=True)

    def infer(self) -> Tensor:
        """Run forward only."""
        with torch.inference_mode():
            return self.layer(self.x, **self.arguments)[0]

    def results(self, dtype: torch.dtype) -> list[Tensor]:
        """Compute output and gradients in ``dtype`` with a fixed seed; returns float64."""
        layer = copy.deepcopy(self.layer).to(dtype)
        x = self.x.detach().to(dtype).requires_grad_()
        torch.manual_seed(3)
        output = layer(x, **self.arguments)[0]
        leaves = [x, *layer.parameters()]
        found = torch.autograd.grad(output, leaves, self.errors.to(dtype), allow_unused=True)
        alike = zip(found, leaves, strict=True)
        gradients = [torch.zeros_like(leaf) if one is None else one for one, leaf in alike]
        return [one.detach().double() for one in (output, *gradients)]


class Parity(NamedTuple):
    """Errors of a contender in float64 and float32, and of the naive reference in float32.

    ``excess`` is the largest ratio of the error in float32 to the allowed one, over all tensors.
    """

    error64: float
    error32: float
    naive32: float
    excess: float

    @property
    def holds(self) -> bool:
        """Whether the contender may be timed; NaN fails."""
        return self.error64 <= EXACT and self.excess <= 1

    def row(self) -> dict[str, Any]:
        """Convert to plain data."""
        return {**self._asdict(), "holds": self.holds}


class Reference:
    """Results of a trusted contender, with which others are compared."""

    def __init__(self, trusted: Contender) -> None:
        self.exact = trusted.results(torch.float64)
        self.naive = _distances(trusted.results(torch.float32), self.exact)
        walk = math.sqrt(trusted.size.T * trusted.size.B) * 2.0**-24
        least = torch.full_like(self.naive, max(UNITS, walk))
        least[:2] = UNITS  # the output and the gradient of the input
        self.allowed = torch.maximum(TIMES * self.naive, least)

    def check(self, contender: Contender, *, narrow_alone: bool = False) -> Parity:
        """Compare output and all gradients; with ``narrow_alone`` only in float32."""
        wide = 0.0
        if not narrow_alone:
            wide = float(_distances(contender.results(torch.float64), self.exact).max())
        narrow = _distances(contender.results(torch.float32), self.exact)
        excess = float((narrow / self.allowed).max())
        return Parity(wide, float(narrow.max()), float(self.naive.max()), excess)


def _distances(have: list[Tensor], want: list[Tensor]) -> Tensor:
    """Compute the largest difference of each tensor, relative to its largest number."""
    assert len(have) == len(want)
    tiny = torch.finfo(torch.float64).tiny
    shares = [
        (one - other).abs().max() / other.abs().max().clamp_min(tiny)
        for one, other in zip(have, want, strict=True)
    ]
    return torch.stack(shares)


def shortened(size: Size) -> Size:
    """Reduce the number of steps if the plain path would take seconds."""
    return size if size.B * size.H <= 4096 else size._replace(T=min(size.T, 40))
