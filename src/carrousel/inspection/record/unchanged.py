"""Keeps a model, its gradients and the random numbers as they were."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor


@contextmanager
def unchanged(model: torch.nn.Module, *, rng: bool = True) -> Iterator[None]:
    """Undo what calls of a model change: buffers, attributes, ``grad``, mode, random numbers.

    Generators of torch, NumPy and Python that are attributes go back to their states.

    Buffers and attributes that are tensors are replaced by copies meanwhile, so that a graph of the
    call stays valid. Changes inside other mutable attributes, such as lists that a model appends
    to, are undone one level deep. Parameters are left alone, since nothing here updates them. Their
    hooks do not run: those of a training must not see the gradients of an inspection.
    """
    modules = list(model.modules())
    attributes = [dict(one.__dict__) for one in modules]
    contents = [
        (value, value.copy())
        for one in attributes
        for value in one.values()
        if isinstance(value, dict | list | set | deque)
    ]
    tensors = [_inside(one) for one in attributes]
    gradients = [(one, one.grad) for one in model.parameters()]
    hooks = [(one, list(one.items())) for p in model.parameters() if (one := p._backward_hooks)]
    for holder, _ in hooks:
        holder.clear()
    generators = list(_generators(attributes))
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  models may use this one
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    _copy_tensors(modules)
    try:
        with torch.random.fork_rng(devices=devices, enabled=rng):
            yield
    finally:
        for module, before in zip(modules, attributes, strict=True):
            module.__dict__.clear()
            module.__dict__.update(before)
        for value, before in contents:
            _refill(value, before)
        for tensor, value in itertools.chain.from_iterable(tensors):
            if not torch.equal(tensor, value):
                with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                    tensor.copy_(value)
        for holder, items in hooks:
            holder.update(items)
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for generator, drawn in generators:
            _set_state(generator, drawn)
        if rng:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def same_weights(model: torch.nn.Module | None) -> Iterator[None]:
    """Undo what calls of a model change in its parameters; None: do nothing."""
    weights = () if model is None else tuple(model.parameters())
    held = [(one, one._version, one.detach().clone()) for one in weights]
    try:
        yield
    finally:
        for one, version, value in held:
            if one._version != version:
                with torch.no_grad():
                    one.copy_(value)


def _generators(attributes: list[dict[str, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield the random number generators that modules hold, each with its state."""
    for value in itertools.chain.from_iterable(one.values() for one in attributes):
        if isinstance(value, torch.Generator):
            yield value, value.get_state()
        elif isinstance(value, np.random.Generator):
            yield value, value.bit_generator.state
        elif isinstance(value, random.Random):
            yield value, value.getstate()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.setstate(state)


def _refill(value: Any, before: Any) -> None:
    """Give a dict, list, set or deque its old contents; it stays the same object."""
    value.clear()
    if isinstance(value, list | deque):
        value.extend(before)
    else:
        value.update(before)


def _copy_tensors(modules: list[torch.nn.Module]) -> None:
    """Replace buffers and attributes by copies; one that occurs twice has one copy."""
    copies: dict[int, Tensor] = {}
    for module in modules:
        for held in (module._buffers, module.__dict__):
            for name, value in held.items():
                if isinstance(value, Tensor) and _is_plain(value):
                    held[name] = copies.setdefault(id(value), value.clone())


def _inside(attributes: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
    """Return the tensors in lists and tuples of a module, each with a copy of its values."""
    lists = [value for value in attributes.values() if isinstance(value, list | tuple)]
    held = itertools.chain.from_iterable(lists)
    return [(one, one.detach().clone()) for one in held if _is_plain(one)]


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, torch.nn.Parameter)
