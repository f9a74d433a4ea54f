"""The operations under ``torch.vmap``: samples become sequences of one larger batch.

This requires shared weights, as in per-sample gradients; gradients of weights are then one batched
product. Samples are run one by one if their weights differ, or if gradients of parameters without
such a product are wanted.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from carrousel.kernels.autograd.compiled import BY_SAMPLE, Gradients

TENSORS = (*Gradients._fields, "drop", "flags", "keep_h", "keep_s")
"""Tensor arguments of both operations; those that have a gradient come first."""

SETTINGS_END = len(TENSORS) + 6
"""Position after the six settings that follow the tensors."""

BATCH_AXIS = {"x": 1, "flags": 1, "keep_h": 1, "keep_s": 1, "h0": 0, "s0": 0, "drop": 0}
"""Arguments with one entry per sequence, and their axis of the batch."""

_TAPE_AXIS = {"out": 1, "h": 0, "s": 0, "states": 1, "gates": 1, "extra": 1, "marks": 1}
ERROR_AXES = (1, 0, 0, 1)
_SHARED = ("unit", "ln_ih", "ln_hh", "ln_c", "fresh_h", "fresh_s")


def _fold(value: Tensor | None, dim: int | None, axis: int, n: int) -> Tensor | None:
    """Concatenate samples along the axis of the batch."""
    if value is None:
        return None
    if dim is None:
        value = value.unsqueeze(axis).expand(*value.shape[:axis], n, *value.shape[axis:])
    else:
        value = value.movedim(dim, axis)
    return value.flatten(axis, axis + 1)


def _unfold(value: Tensor, axis: int, n: int) -> Tensor:
    return value.reshape(*value.shape[:axis], n, value.shape[axis] // n, *value.shape[axis + 1 :])


def _one_by_one(
    op: Any, n: int, dims: tuple[int | None, ...], arguments: tuple[Any, ...]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    rows = [
        op(
            *(
                value if dim is None else value.select(dim, sample)
                for value, dim in zip(arguments, dims, strict=True)
            )
        )
        for sample in range(n)
    ]
    stacked = tuple(torch.stack(parts) for parts in zip(*rows, strict=True))
    return stacked, (0,) * len(stacked)


def _folded(n: int, dims: tuple[int | None, ...], arguments: tuple[Any, ...]) -> list[Any] | None:
    """Return the tensors and settings of a call over all samples, or None if weights differ."""
    folded = list(arguments[:SETTINGS_END])
    for place, name in enumerate(TENSORS):
        if name in BATCH_AXIS:
            folded[place] = _fold(arguments[place], dims[place], BATCH_AXIS[name], n)
        elif dims[place] is not None:
            return None
    return folded


def forward_by_samples(
    op: Any, n: int, dims: tuple[int | None, ...], arguments: tuple[Any, ...]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """Return the results of ``n`` samples, and their axes of samples."""
    folded = _folded(n, dims, arguments)
    if folded is None:
        return _one_by_one(op, n, dims, arguments)
    axes = tuple(_TAPE_AXIS.values())
    found = op(*folded, *arguments[SETTINGS_END:])
    return tuple(_unfold(v, axis, n) for v, axis in zip(found, axes, strict=True)), axes


def backward_by_samples(
    op: Any, n: int, dims: tuple[int | None, ...], arguments: tuple[Any, ...]
) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
    """Return the gradients of ``n`` samples, and their axes of samples."""
    folded = _folded(n, dims, arguments)
    *_, needs, samples = arguments
    names = Gradients._fields
    given = dict(zip(TENSORS, arguments, strict=False))
    alone = [s for s in _SHARED if given[s] is not None and needs >> names.index(s) & 1]
    if folded is None or samples or alone:
        return _one_by_one(op, n, dims, arguments)
    axes = (*_TAPE_AXIS.values(), *ERROR_AXES)
    rest = slice(SETTINGS_END, SETTINGS_END + len(axes))
    folded += [
        _fold(value, dim, axis, n)
        for value, dim, axis in zip(arguments[rest], dims[rest], axes, strict=True)
    ]
    found = Gradients(*op(*folded, needs, n))
    out, out_dims = [], []
    for name, value in found._asdict().items():
        axis = BATCH_AXIS.get(name, 0)
        many = name in BATCH_AXIS and value.numel() > 0
        out.append(_unfold(value, axis, n) if many else value)
        out_dims.append(axis if many else 0 if name in BY_SAMPLE and value.numel() else None)
    return tuple(out), tuple(out_dims)
