"""Calls of a module while ``torch.fx`` or ``torch.jit`` records a model."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Proxy

from carrousel.errors import SettingError
from carrousel.nn.drop_in import convert

tracing_state = torch._C._get_tracing_state
INSTEAD = (
    "use torch.export.export, or torch.onnx.export(..., dynamo=True) for ONNX, which take every "
    "layer of carrousel.nn"
)


def is_recording(input: Any) -> bool:
    """Whether a call must be recorded instead of computed."""
    return isinstance(input, Proxy) or tracing_state() is not None


def record(module: Any, input: Any, hx: Any, **options: Any) -> Any:
    """Record a call of a module.

    ``torch.fx`` gets one node for the module, as for torch's layers. ``torch.jit.trace``, which
    cannot record compiled kernels, gets torch's operator with the weights of the module.

    Args:
        module: a layer or a cell.
        input, hx: arguments of the call.
        **options: keyword arguments of the call.

    Raises:
        SettingError: ``torch.jit`` records a module or a call that torch's operators cannot
            express, or ``torch.fx`` traces a layer alone.
    """
    if isinstance(input, Proxy):
        return _leaf(module, input, hx, options)
    name = type(module).__name__
    different = [*convert.variants(module), *_given(options)]
    if different:
        raise SettingError(
            f"torch.jit.trace cannot record {name} with {', '.join(different)}", fix=INSTEAD
        )
    theirs = convert.bare(module)
    for key in theirs._parameters:
        weight = getattr(module, key)
        if isinstance(weight, torch.nn.Parameter) or weight is None:
            theirs._parameters[key] = weight
        else:  # a parametrization computes it
            theirs.__dict__[key] = weight
    theirs._parameters = {k: v for k, v in theirs._parameters.items() if k not in vars(theirs)}
    theirs.training = module.training
    if isinstance(theirs, torch.nn.RNNBase):
        theirs._init_flat_weights()
    return theirs.forward(input, hx)


def _leaf(module: Any, input: Proxy, hx: Any, options: dict[str, Any]) -> Proxy:
    path = input.tracer.path_of_module(module)  # pyright: ignore[reportAttributeAccessIssue]
    if not path:
        raise SettingError(
            f"torch.fx cannot trace a {type(module).__name__} alone, because a layer is one node",
            fix="trace a model that contains the layer",
        )
    return input.tracer.create_proxy("call_module", path, (input, hx), _given(options))


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of a call that differ from their defaults."""
    return {
        name: value
        for name, value in options.items()
        if not (value is None or value is False or (isinstance(value, str) and value == "right"))
    }


def scriptable(module: Any) -> torch.nn.Module:
    """Return what ``torch.jit.script`` compiles for a module: torch's, with the same parameters.

    Raises:
        SettingError: torch has no equivalent.
    """
    try:
        return convert.to_torch(module)
    except SettingError as error:
        raise SettingError(f"torch.jit.script cannot compile it: {error}", fix=INSTEAD) from error
