"""Contenders of ``benchmarks/sequence``: what one call does, and whether it does it right."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from benchmarks.sequence.cases import Size, data
from torch import Tensor

EXACT = 1e-10
"""Most that float64 results may differ, as a share of the largest number of a tensor."""
TIMES, UNITS = 4.0, 8 * 2.0**-23
"""In float32 a contender may be off by so many times what naive float32 is off, or by eight units
in the last place where the naive one was lucky. Gradients of parameters are sums of ``T B`` terms:
however they are added one by one, roundings of ``2**-24`` walk to about ``sqrt(T B)`` of them, and
a naive sum in blocks is better than that without making the other one wrong."""


class Contender:
    """A layer and its data: ``train`` and ``infer`` are what is timed.

    Args:
        layer: a module whose first result is the output.
        size: of the data.
        arguments: what a call is handed besides the input.
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
        """Forward and backward: gradients of the input and of all parameters."""
        output = self.layer(self.x, **self.arguments)[0]
        return torch.autograd.grad(output, self.leaves, self.errors, allow_unused=True)

    def infer(self) -> Tensor:
        """Forward alone."""
        with torch.inference_mode():
            return self.layer(self.x, **self.arguments)[0]

    def results(self, dtype: torch.dtype) -> list[Tensor]:
        """Output and gradients computed in ``dtype``, as float64; random masks by one seed."""
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
    """How far a contender is from the reference, and the naive reference in float32.

    ``excess``: error in float32 by what is allowed, of the tensor where that is largest.
    """

    error64: float
    error32: float
    naive32: float
    excess: float

    @property
    def holds(self) -> bool:
        """Whether it may be timed; what is not a number holds nothing."""
        return self.error64 <= EXACT and self.excess <= 1

    def row(self) -> dict[str, Any]:
        """For results that are saved."""
        return {**self._asdict(), "holds": self.holds}


class Reference:
    """Results of a trusted contender, against which others are held."""

    def __init__(self, trusted: Contender) -> None:
        self.exact = trusted.results(torch.float64)
        self.naive = _distances(trusted.results(torch.float32), self.exact)
        walk = math.sqrt(trusted.size.T * trusted.size.B) * 2.0**-24
        least = torch.full_like(self.naive, max(UNITS, walk))
        least[:2] = UNITS  # the output and the gradient of the input
        self.allowed = torch.maximum(TIMES * self.naive, least)

    def check(self, contender: Contender, *, narrow_alone: bool = False) -> Parity:
        """Compare output and all gradients; ``narrow_alone``: in float32 alone."""
        wide = 0.0
        if not narrow_alone:
            wide = float(_distances(contender.results(torch.float64), self.exact).max())
        narrow = _distances(contender.results(torch.float32), self.exact)
        excess = float((narrow / self.allowed).max())
        return Parity(wide, float(narrow.max()), float(self.naive.max()), excess)


def _distances(have: list[Tensor], want: list[Tensor]) -> Tensor:
    """The largest difference in each tensor, as a share of the largest number there, or NaN."""
    assert len(have) == len(want)
    tiny = torch.finfo(torch.float64).tiny
    shares = [
        (one - other).abs().max() / other.abs().max().clamp_min(tiny)
        for one, other in zip(have, want, strict=True)
    ]
    return torch.stack(shares)


def shortened(size: Size) -> Size:
    """As many steps as a check needs: all, unless the plain path would take seconds."""
    return size if size.B * size.U <= 4096 else size._replace(T=min(size.T, 40))
