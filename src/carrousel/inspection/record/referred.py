"""Modules that a function refers to."""

from __future__ import annotations

import inspect
from typing import Any

import torch


def modules_of(function: Any) -> torch.nn.Module:
    """Return a module that contains the modules which a function uses by name.

    These are variables around the function, global ones, and of a method the object itself.

    >>> net = torch.nn.Linear(1, 1)
    >>> dict(modules_of(lambda x: net(x)).named_children())
    {'net': Linear(in_features=1, out_features=1, bias=True)}
    """
    owner = getattr(function, "__self__", None)
    if isinstance(owner, torch.nn.Module):
        return owner
    found = torch.nn.Module()
    function = inspect.unwrap(function)
    if inspect.isfunction(function) or inspect.ismethod(function):
        names = inspect.getclosurevars(function)
        for name, value in {**names.globals, **names.nonlocals}.items():
            if isinstance(value, torch.nn.Module):
                found._modules[name] = value
    return found
