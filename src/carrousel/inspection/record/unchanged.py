"""Keeps a model, its gradients and the random numbers as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


@contextmanager
def unchanged(model: torch.nn.Module, *, rng: bool = True) -> Iterator[None]:
    """Undo what calls of a model change: buffers, attributes, ``grad``, mode, random numbers.

    Parameters are not restored, since nothing here updates them in place; attributes that are
    tensors get their old values back even if they were changed in place. Changes inside other
    mutable attributes, such as lists that a model appends to, are undone one level deep. Hooks of
    parameters do not run: those of a training must not see the gradients of an inspection.

    What has not changed is not touched: dictionaries of hooks stay the same objects, so that
    handles of hooks remain valid and ``torch.compile`` need not compile again.
    """
    kept = [_Kept(one) for one in model.modules()]
    gradients = [(one, one.grad) for one in model.parameters()]
    hooks = [(h, _items(h)) for one in model.parameters() if (h := one._backward_hooks)]
    for holder, _ in hooks:
        holder.clear()
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  models may use this one
    try:
        with torch.random.fork_rng(devices=devices, enabled=rng):
            yield
    finally:
        for one in kept:
            one.restore()
        for holder, items in hooks:
            holder.update(items)
        for parameter, gradient in gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient
        if rng:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


class _Kept:
    """Attributes of a module, contents of those that hold others, and values of its tensors."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module
        self.attributes = dict(module.__dict__)
        self.contents = [(v, _items(v)) for v in self.attributes.values() if _holds(v)]
        self.tensors = [(one, one.detach().clone()) for one in self._tensors()]

    def _tensors(self) -> Iterator[Tensor]:
        held = [*self.module._buffers.values(), *self.attributes.values()]
        for value in self.attributes.values():
            if isinstance(value, list | tuple):
                held += value
        for one in held:
            if isinstance(one, Tensor) and not isinstance(one, torch.nn.Parameter):
                yield one

    def restore(self) -> None:
        now = self.module.__dict__
        for name in [name for name in now if name not in self.attributes]:
            del now[name]
        for name, value in self.attributes.items():
            if name not in now or now[name] is not value:
                now[name] = value
        for holder, items in self.contents:
            if not _same(_items(holder), items):
                holder.clear()
                (holder.extend if isinstance(holder, list) else holder.update)(items)
        for tensor, value in self.tensors:
            if not torch.equal(tensor, value):
                # A graph of the caller's may hold the tensor: `data` leaves its version as it is.
                tensor.data.copy_(value)


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list | set)


def _items(holder: Any) -> list[Any]:
    return list(holder.items() if isinstance(holder, dict) else holder)


def _same(one: list[Any], other: list[Any]) -> bool:
    """Whether two lists hold the same objects; pairs of a dictionary are compared one by one."""
    if len(one) != len(other):
        return False
    return all(
        a is b or (isinstance(a, tuple) and isinstance(b, tuple) and _same(list(a), list(b)))
        for a, b in zip(one, other, strict=True)
    )
