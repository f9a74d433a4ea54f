"""Dynamic quantisation by ``torch.ao.quantization``: plain modules become torch's quantised ones.

``quantize_dynamic`` selects modules by their exact class. It reads the attribute ``qconfig`` of
each module before it assigns the configuration of the class. A module of ours returns the
configuration that was given for the class of torch that it replaces.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from carrousel.errors import SettingError

NAME = "_qconfig"
CALLER = "_propagate_qconfig_helper"


def register(kind: type[Any], theirs: type[torch.nn.Module]) -> None:
    """Add a class of ours to the classes that ``quantize_dynamic`` converts."""
    try:
        from torch.ao.quantization import quantization_mappings as mappings
    except ImportError:  # a later torch has moved quantisation to torchao
        return
    known = mappings.DEFAULT_DYNAMIC_QUANT_MODULE_MAPPINGS
    quantised: Any = known.get(theirs)

    class Quantized:
        @classmethod
        def from_float(cls, mod: Any, use_precomputed_fake_quant: bool = False) -> Any:
            """Return torch's quantised module for one of ours."""
            name = type(mod).__name__
            if quantised is None:
                raise SettingError(
                    f"torch.ao.quantization has no quantised {name}",
                    fix="set its qconfig to None, which keeps it in floating point",
                )
            try:
                plain = mod.to_torch()
            except SettingError as error:
                raise SettingError(
                    f"the {name} cannot be quantised: {error.problem}",
                    fix="set its qconfig to None, which keeps it in floating point",
                ) from error
            plain.qconfig = mod.qconfig
            return quantised.from_float(plain)

    known[kind] = Quantized


def read(module: Any) -> Any:
    """Return the configuration of a module, as ``getattr(module, "qconfig")``.

    Raises:
        AttributeError: it has none.
    """
    if NAME in vars(module):
        return vars(module)[NAME]
    caller = sys._getframe(2)  # the one that reads the property
    if caller.f_code.co_name == CALLER:
        given = caller.f_locals.get("qconfig_dict") or {}
        named = caller.f_locals.get("prefix") in given  # a name precedes a class
        if not named and type(module) not in given and module.TORCH in given:
            return given[module.TORCH]
    raise AttributeError(f"{type(module).__name__!r} object has no attribute 'qconfig'")


def write(module: Any, value: Any) -> None:
    """Set the configuration of a module.

    Raises:
        SettingError: it asks for static quantisation, or for quantisation of a graph (``fx``).
    """
    activation = getattr(value, "activation", None)
    if activation is not None:
        is_static = not getattr(activation(), "is_dynamic", False)
        if is_static or _is_graph_mode():
            raise SettingError(
                f"the {type(module).__name__} got a qconfig for "
                f"{'static quantisation' if is_static else 'quantisation of a graph'}, expected "
                "one for quantize_dynamic",
                argument="qconfig",
                fix="convert it with carrousel.nn.restore(model) before, or set the qconfig of "
                "its class to None, which keeps it in floating point",
            )
    vars(module)[NAME] = value


def _is_graph_mode() -> bool:
    """Whether ``prepare_fx`` sets a configuration; it would convert classes of torch alone."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "propagate_qconfig_":
        frame = frame.f_back
    caller = frame and frame.f_back
    return caller is not None and "quantization/fx" in caller.f_code.co_filename.replace("\\", "/")


def delete(module: Any) -> None:
    """Delete the configuration of a module.

    Raises:
        AttributeError: it has none.
    """
    if NAME not in vars(module):
        raise AttributeError("qconfig")
    del vars(module)[NAME]
