"""Pairs of modules, ours and torch's, with their outputs and gradients, for tests of ``nn``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from carrousel import nn


def both(name: str, *sizes: int, seed: int = 0, **settings: Any) -> tuple[Any, Any]:
    """Our module of a name and torch's, created with the same seed."""
    made = []
    for package in (nn, torch.nn):
        torch.manual_seed(seed)
        made.append(getattr(package, name)(*sizes, **settings))
    return made[0], made[1]


def flat(values: Any) -> list[torch.Tensor]:
    """Tensors of a nest of tuples, in order."""
    if isinstance(values, torch.Tensor):
        return [values]
    return [tensor for value in values for tensor in flat(value)]


def close(ours: Any, theirs: Any) -> None:
    """Assert that tensors are equal up to a few roundings.

    Values are sums of some tens of products of numbers near one, in another order. Their error is
    as many units in the last place of one. ``assert_close`` allows ``1.3e-6`` (float32) and
    ``1e-7`` (float64).
    """
    here, there = flat(ours), flat(theirs)
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        torch.testing.assert_close(one, other)


def gradients(
    module: Any, x: torch.Tensor, hx: Any, call: Callable[[Any], Any] | None = None
) -> tuple[torch.Tensor, ...]:
    """Outputs of a call, and the gradients of a loss by input, state and weights.

    The loss is a sum of squares plus a sum with a different weight for each output.
    """
    outputs = flat(module(x, hx) if call is None else call(module))
    loss = torch.zeros((), dtype=x.dtype)
    for number, out in enumerate(outputs, 1):
        weights = torch.linspace(-1, 1, out.numel(), dtype=x.dtype).view(out.shape)
        loss = loss + number * (out * weights).sum() + (out**2).sum()
    states = [] if hx is None else [h for h in flat(hx) if h.requires_grad]
    leaves = [x, *states, *module.parameters()]
    return *outputs, *torch.autograd.grad(loss, leaves)


def torch_runs_in_bfloat16() -> bool:
    """Return whether torch's own LSTM runs under autocast on this processor."""
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.nn.LSTM(3, 4)(torch.randn(2, 1, 3))
    except RuntimeError:
        return False
    return True
