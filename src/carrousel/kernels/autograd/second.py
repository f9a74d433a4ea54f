"""Gradient of ``carrousel::sequence_backward``, by differentiating the plain path twice.

It supports every option and derivatives of any order, at the cost of the plain path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.compiled import BY_SAMPLE, Gradients
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions
from carrousel.kernels.autograd.plain import plain_layer
from carrousel.kernels.autograd.vmap import BATCH_AXIS, ERROR_AXES

Maybe = Sequence[Tensor | None]


def second_gradient(
    values: Maybe,
    others: Mapping[str, Tensor | None],
    errors: Maybe,
    dd: Maybe,
    settings: tuple[Any, ...],
    needs: int,
    samples: int,
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    """Compute the gradients by ``values`` and by ``errors`` from those by the first gradients.

    Args:
        values: inputs that have a gradient, in the order of ``Gradients``; None: absent.
        others: masks by name.
        errors: gradients by ``out``, ``h``, ``s`` and ``states``; None: zero.
        dd: gradients by the results of the backward operation; None: zero.
        settings: settings of the operation, from its key on.
        needs: bits of the values whose first gradients were wanted.
        samples: number of equal parts of the batch with separate gradients of weights; 0: none.

    Returns:
        Gradients by ``values`` and by ``errors``, None where these are None.
    """
    if not samples:
        return _of_one(values, others, errors, dd, settings, needs)
    rows = []
    for sample in range(samples):
        mine = [_part(v, BATCH_AXIS.get(n), samples, sample) for n, v in _named(values)]
        masks = {n: _part(v, BATCH_AXIS[n], samples, sample) for n, v in others.items()}
        came = [_part(e, a, samples, sample) for e, a in zip(errors, ERROR_AXES, strict=True)]
        first = [
            d[sample]
            if d is not None and n in BY_SAMPLE and d.numel()
            else _part(d, BATCH_AXIS.get(n), samples, sample)
            for n, d in _named(dd)
        ]
        rows.append(_of_one(mine, masks, came, first, settings, needs))
    by_value = [
        _joined([row[0][place] for row in rows], BATCH_AXIS.get(name))
        for place, name in enumerate(Gradients._fields)
    ]
    by_error = [
        _joined([row[1][place] for row in rows], axis) for place, axis in enumerate(ERROR_AXES)
    ]
    return by_value, by_error


def _named(values: Maybe) -> list[tuple[str, Tensor | None]]:
    return list(zip(Gradients._fields, values, strict=True))


def _part(value: Tensor | None, axis: int | None, samples: int, sample: int) -> Tensor | None:
    if value is None or axis is None or value.numel() == 0:
        return value
    width = value.shape[axis] // samples
    return value.narrow(axis, sample * width, width)


def _joined(parts: Maybe, axis: int | None) -> Tensor | None:
    """Concatenate the parts of samples, or sum them for shared values."""
    there = [part for part in parts if part is not None]
    if not there:
        return None
    return torch.stack(there).sum(0) if axis is None else torch.cat(there, axis)


def _of_one(
    values: Maybe,
    others: Mapping[str, Tensor | None],
    errors: Maybe,
    dd: Maybe,
    settings: tuple[Any, ...],
    needs: int,
) -> tuple[list[Tensor | None], list[Tensor | None]]:
    given = [place for place, value in enumerate(values) if value is not None]
    wanted = [place for place in given if needs >> place & 1]
    came = [place for place, error in enumerate(errors) if error is not None]

    def layer(*variables: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip((Gradients._fields[p] for p in given), variables, strict=True))
        outs = _plain({**named, **others}, settings, errors[3] is not None)
        return tuple(outs[place] for place in came)

    def pull(*arguments: Tensor) -> tuple[Tensor, ...]:
        _, back = torch.func.vjp(layer, *arguments[: len(given)])[:2]
        found = dict(zip(given, back(arguments[len(given) :]), strict=True))
        return tuple(found[place] for place in wanted)

    variables = [v for v in (*values, *errors) if v is not None]
    out, back = torch.func.vjp(pull, *variables)[:2]
    cotangents = (
        torch.zeros_like(o) if d is None or d.shape != o.shape else d
        for o, d in zip(out, (dd[place] for place in wanted), strict=True)
    )
    found = iter(back(tuple(cotangents)))
    by_value = [None if value is None else next(found) for value in values]
    return by_value, [None if error is None else next(found) for error in errors]


def _plain(
    tensors: Mapping[str, Tensor | None], settings: tuple[Any, ...], record: bool
) -> tuple[Any, ...]:
    """Return the differentiable results of the plain path."""
    key, reverse, cut, _, zone_h, zone_s = settings
    gradient = "bptt" if cut == 0 else "truncated" if cut < 0 else f"tbptt:{cut}"
    options = LayerOptions(reverse, gradient, 0, zone_h, zone_s, record)
    result = plain_layer(LayerInputs(**tensors), Recurrence.parse(key), options)  # type: ignore[arg-type]
    return result.out, result.h, result.s, result.states
