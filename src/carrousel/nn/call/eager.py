"""Calls without lengths, resets and recorded steps, straight to the compiled kernel.

Checks here only find out whether the call is an ordinary one. Every other call, wrong ones too, is
left to the general way, which explains what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import dropout as drop_between

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.ops import ORDINARY, is_eager
from carrousel.kernels.autograd.unmasked import engine_of, run_unmasked
from carrousel.nn.call import observe
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
    if not _is_ordinary(input, 3) or not input.shape[1 if module.batch_first else 0]:
        return None
    if module.training and (module.recurrent_dropout or module.zoneout != (0.0, 0.0)):
        return None
    if (module.recompute and torch.is_grad_enabled()) or module.initial_state != "zero":
        return None
    first = _first_state(hx, bool(module.recurrence.kind.states), 3)
    parameters = [read_parameters(module, names) for names in module.parameter_names]
    if first is None or None in parameters or not parameters:
        return None
    if module.training and module.dropout and not _are_contiguous(parameters):
        return None  # the kernel would refuse, after numbers for dropout have been drawn
    try:
        return _run(module, input, first, parameters)  # type: ignore[arg-type]
    except ValueError:
        return None


def _are_contiguous(parameters: Sequence[Any]) -> bool:
    return all(one is None or one.is_contiguous() for part in parameters for one in part)


def _is_ordinary(input: Any, dimensions: int) -> bool:
    return (
        type(input) in ORDINARY
        and input.dim() == dimensions
        and is_eager()
        and observe.OBSERVER.get() is None
        and not torch.is_autocast_enabled("cpu")
        and not input.is_neg()
    )


def _first_state(
    hx: Any, has_states: bool, dimensions: int
) -> tuple[Tensor | None, Tensor | None] | None:
    """Return the first ``h`` and ``s``, None where they are zero; None: refuse.

    The kernel checks their shapes.
    """
    if hx is None:
        return None, None
    given = hx if has_states else (hx, None)
    if not isinstance(given, tuple | list) or len(given) != 2:
        return None
    for state in given[: 1 + has_states]:
        if type(state) not in ORDINARY:
            return None
        if state.dim() != dimensions or state.is_neg():  # pyright: ignore[reportOptionalMemberAccess]
            return None
    return given[0], given[1]


def read_parameters(module: Any, names: Names) -> Sequence[Tensor | None] | None:
    """Return the parameters of these names, or None if one is not an ordinary tensor."""
    own = module._parameters
    values = [own.get(name) for name in names]
    for value, name in zip(values, names, strict=True):
        if name is not None and (type(value) is not Parameter or value.is_neg()):
            return _replaced_parameters(module, names)
    return values


def _replaced_parameters(module: Any, names: Names) -> Sequence[Tensor | None] | None:
    """Return the parameters if properties or plain tensors have taken the place of some."""
    values: list[Any] = [None if name is None else getattr(module, name, None) for name in names]
    for value, name in zip(values, names, strict=True):
        if name is not None and (type(value) not in ORDINARY or value.is_neg()):
            return None
    return values


def _run(
    module: Layered,
    x: Tensor,
    first: tuple[Tensor | None, Tensor | None],
    parameters: Sequence[Sequence[Tensor | None]],
) -> Result | None:
    recurrence, directions = module.recurrence, module.num_directions
    zoneout = (0.0, 0.0) if module.training else module.zoneout
    one = len(parameters) == 1
    if not all(s is None or s.shape[0] == len(parameters) for s in first):
        return None
    if module.batch_first:
        x = x.transpose(0, 1)
    ends: list[Sequence[Tensor]] = []
    for index in range(module.num_layers):
        if index and module.dropout and module.training:
            x = drop_between(x, module.dropout, training=True)
        if not x.is_contiguous():
            if x.layout is not torch.strided:
                return None
            x = x.contiguous()
        outputs = []
        for direction in range(directions):
            engine = engine_of(
                recurrence.key, x.dtype, False, direction == 1, module.gradient, zoneout
            )
            if engine is None:
                return None
            which = len(ends)
            h0, s0 = (None if s is None else s if one else s[which] for s in first)
            out, *end = run_unmasked(engine, x, h0, s0, parameters[which])
            narrow = recurrence.n_outputs < recurrence.n_sources
            outputs.append(out[..., : recurrence.n_outputs] if narrow else out)
            ends.append(end)
        x = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
    last = ends[0] if one else [torch.cat(parts) for parts in zip(*ends, strict=True)]
    output = x.transpose(0, 1) if module.batch_first else x
    return output, (last[0], last[1]) if recurrence.kind.states else last[0]


def step_eagerly(
    module: torch.nn.Module,
    recurrence: Recurrence,
    names: Names,
    zoneout: tuple[float, float],
    input: Any,
    hx: Any,
) -> State | None:
    """Run one step of a cell; None: not an ordinary call.

    Args:
        module: has the parameters.
        recurrence: equations and sizes.
        names: of the parameters.
        zoneout: shares of the old ``h`` and ``c`` to mix in.
        input: ``[B, I]``.
        hx: as in ``StepCell.forward``.
    """
    if not names or not _is_ordinary(input, 2):
        return None
    engine = engine_of(recurrence.key, input.dtype, True, zoneout=zoneout)
    parameters = read_parameters(module, names)
    if engine is None or parameters is None:
        return None
    first = _first_state(hx, engine.states > 0, 2)
    if first is None:
        return None
    try:
        found = run_unmasked(engine, input, *first, parameters)
    except ValueError:
        return None
    return (found[0], found[1]) if engine.states else found[0]
