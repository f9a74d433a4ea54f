"""Points of a graph at which errors are recorded, and may be stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Keep = Callable[[tuple[Tensor | None, ...]], bool]
"""Receives the gradients at a tap; returns whether they flow on."""


class _Tap(torch.autograd.Function):
    """Identity of several tensors. In the backward pass ``keep`` receives their gradients.

    ``anchor`` is a leaf on which every tap depends. A backward pass with the anchor as its only
    input reaches all taps, computes no gradients of weights, and leaves their ``grad`` alone.
    """

    @staticmethod
    def forward(ctx: Any, keep: Keep, anchor: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.keep, ctx.count = keep, len(tensors)
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        known = [one for one in gradients if one is not None]
        flows = ctx.keep(gradients) and bool(known)
        anchor = known[0].new_zeros(()) if known else None
        return (None, anchor, *(gradients if flows else (None,) * ctx.count))


def tap(keep: Keep, anchor: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Return tensors of equal values, whose gradients are given to ``keep``."""
    found: Any = _Tap.apply(keep, anchor, *tensors)
    return found


def follows_tap(tensor: Tensor) -> bool:
    """Return whether a tensor was computed from the values of a tap."""
    waiting, seen = [tensor.grad_fn], set[Any]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if isinstance(node, _Tap._backward_cls):  # type: ignore[attr-defined]
            return True
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
    return False
