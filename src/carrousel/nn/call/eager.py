"""Calls without lengths, resets and recorded steps, straight to the compiled kernel.

Checks here only find out whether the call is an ordinary one. Every other call, wrong ones too, is
left to the general way, which explains what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout as drop_between

from carrousel.contracts import gradient_cut
from carrousel.kernels.autograd.unmasked import (
    CallOptions,
    Engine,
    LayerParameters,
    can_read,
    engine_of,
    is_eager,
    run_unmasked,
)
from carrousel.nn.call.inputs import State
from carrousel.nn.call.layered import Layered

Names = tuple[str | None, ...]
"""Names of the parameters of one direction of one layer, in the order of ``LayerParameters``."""

Result = tuple[Tensor, State]
"""Output and state of a call, as ``forward`` returns them."""


def run_eagerly(module: Layered, input: Any, hx: Any) -> Result | None:
    """Run a layer of :class:`carrousel.nn.recurrent.Recurrent`; None: not an ordinary call.

    Args:
        module: the layers.
        input: ``[T, B, I]``, or ``[B, T, I]`` with ``batch_first``.
        hx: as in ``Recurrent.forward``.
    """
    engine = _engine(module, input)
    if engine is None or input.dim() != 3 or input.shape[2] != module.input_size:
        return None
    if module.training and (module.recurrent_dropout or any(module.zoneout)):
        return None
    if (module.recompute and torch.is_grad_enabled()) or module.initial_state != "zero":
        return None
    x = input.transpose(0, 1) if module.batch_first else input
    rows = module.num_layers * module.num_directions
    first = _first_state(hx, engine, (rows, x.shape[1]))
    parameters = _parameters(module, engine.dtype)
    if first is None or parameters is None or not x.shape[0]:
        return None
    return _run(module, engine, x, first, parameters)


def _engine(module: Layered, input: Any) -> Engine | None:
    if not is_eager() or torch.is_autocast_enabled("cpu") or not isinstance(input, Tensor):
        return None
    engine = engine_of(module.recurrence.key, input.dtype)
    return engine if engine is not None and can_read(input, engine.dtype) else None


def _first_state(
    hx: Any, engine: Engine, rows: tuple[int, ...]
) -> tuple[Tensor | None, Tensor | None] | None:
    """Return the first states ``[*rows, width]``, None where they are zero; None: refuse."""
    if hx is None:
        return None, None
    given = hx if engine.states else (hx,)
    widths = (engine.sources, engine.states) if engine.states else (engine.sources,)
    if not isinstance(given, tuple | list) or len(given) != len(widths):
        return None
    for state, width in zip(given, widths, strict=True):
        if not can_read(state, engine.dtype) or state.shape != (*rows, width):
            return None
    return given[0], given[1] if engine.states else None


def _parameters(module: Layered, dtype: torch.dtype) -> list[LayerParameters] | None:
    """Return the parameters of each direction of each layer; None: refuse."""
    found = []
    for names in module.parameter_names:
        values = read_parameters(module, names, dtype)
        if values is None:
            return None
        found.append(values)
    return found


def read_parameters(
    module: torch.nn.Module, names: Names, dtype: torch.dtype
) -> LayerParameters | None:
    """Return the parameters of these names, or None if one cannot be read as it is."""
    values: list[Tensor | None] = []
    own = module._parameters
    for name in names:
        value = None
        if name is not None:
            value = own.get(name)
            if value is None:  # replaced by a property or by a plain tensor
                value = getattr(module, name)
            if not can_read(value, dtype):
                return None
        values.append(value)
    return LayerParameters(*values)  # type: ignore[arg-type]


def _run(
    module: Layered,
    engine: Engine,
    x: Tensor,
    first: tuple[Tensor | None, Tensor | None],
    parameters: Sequence[LayerParameters],
) -> Result:
    recurrence, directions = module.recurrence, module.num_directions
    zone_h, zone_s = (0.0, 0.0) if module.training else module.zoneout
    cut, one = gradient_cut(module.gradient), len(parameters) == 1
    ends: list[Sequence[Tensor]] = []
    for index in range(module.num_layers):
        if index and module.dropout and module.training:
            x = drop_between(x, module.dropout, training=True)
        outputs = []
        for direction in range(directions):
            which = len(ends)
            options = CallOptions(
                engine, False, bool(direction), module.gradient, cut, zone_h, zone_s
            )
            h0, s0 = (None if s is None else s if one else s[which] for s in first)
            out, *end = run_unmasked(options, x, h0, s0, parameters[which])
            narrow = recurrence.n_outputs < recurrence.n_sources
            outputs.append(out[..., : recurrence.n_outputs] if narrow else out)
            ends.append(end)
        x = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
    last = ends[0] if one else [torch.cat(parts) for parts in zip(*ends, strict=True)]
    output = x.transpose(0, 1) if module.batch_first else x
    return output, tuple(last) if engine.states else last[0]


def step_eagerly(
    module: torch.nn.Module,
    key: str,
    names: Names,
    zoneout: tuple[float, float],
    input: Any,
    hx: Any,
) -> State | None:
    """Run one step of a cell; None: not an ordinary call.

    Args:
        module: has the parameters.
        key: the recurrence, as ``Recurrence.key``.
        names: of the parameters.
        zoneout: shares of the old ``h`` and ``c`` to mix in.
        input: ``[B, I]``.
        hx: as in ``StepCell.forward``.
    """
    if not isinstance(input, Tensor) or input.dim() != 2 or not is_eager():
        return None
    engine = engine_of(key, input.dtype)
    if engine is None or torch.is_autocast_enabled("cpu") or not can_read(input, engine.dtype):
        return None
    first = _first_state(hx, engine, (input.shape[0],))
    parameters = read_parameters(module, names, engine.dtype)
    if first is None or parameters is None or parameters.w_ih.shape[1] != input.shape[1]:
        return None
    found = run_unmasked(
        CallOptions(engine, True, zone_h=zoneout[0], zone_s=zoneout[1]), input, *first, parameters
    )
    return (found[0], found[1]) if engine.states else found[0]
