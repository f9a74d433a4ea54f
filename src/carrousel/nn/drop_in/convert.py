"""Conversion of one recurrent module from and to torch, with the same parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import torch
from torch.nn import Parameter
from torch.nn.utils.parametrize import is_parametrized

from carrousel.contracts import Recurrence
from carrousel.errors import SettingError
from carrousel.nn.weights import TORCH_NAMES


class Convertible(Protocol):
    """A module of this package with a counterpart in torch."""

    TORCH: ClassVar[type[torch.nn.Module]]
    ARGUMENTS: ClassVar[dict[str, Any]]
    recurrence: Recurrence

    def settings(self) -> dict[str, Any]: ...


SHARED = (
    *("input_size", "hidden_size", "num_layers", "nonlinearity", "bias", "batch_first"),
    *("dropout", "bidirectional", "proj_size"),
)
"""Arguments that modules of both libraries have."""
INITIAL = ("forget_bias", "recompute")
"""Options of ours with no effect on the results of a module: initial values, and memory."""


def variants(module: Any) -> list[str]:
    """Return the options of a module that torch lacks, as ``name=value``.

    >>> from carrousel.nn import LSTM
    >>> variants(LSTM(3, 4, cell="peephole", dropout=0.0, recompute=5))
    ['cell=peephole']
    """
    return [
        f"{name}={value}"
        for name, value in module.settings().items()
        if name not in SHARED and name not in INITIAL and value != module.ARGUMENTS[name]
    ]


def from_torch(kind: type[Any], layer: torch.nn.Module, options: Mapping[str, Any]) -> Any:
    """Build a module of ours from one of torch; see :meth:`TorchModule.from_torch`."""
    check_exact(layer, kind.TORCH)
    ours = [name for name in kind.ARGUMENTS if name not in SHARED and name != "forget_bias"]
    for name, value in options.items():
        if name not in ours:
            raise SettingError(
                argument=name,
                got=value,
                expected="only options that torch's layer lacks: " + ", ".join(ours),
                fix="leave {" + name + "} out",
            )
    like = next(iter(check_weights(layer).values()))
    settings = {name: _setting(layer, name) for name in kind.ARGUMENTS if name in SHARED}
    dropout = settings.pop("dropout", None)  # set below: torch has already warned of it
    # On the meta device, parameters take no memory and no random numbers. With options, those
    # that the options add are drawn. Those that torch has are replaced in any case.
    device = like.device if options else "meta"
    module = kind(**settings, **options, device=device, dtype=like.dtype)
    if dropout is not None:
        module.dropout = float(dropout)
    _check_same(layer, module, "cell" if "cell" in options else None)
    _carry(layer, module)
    return module


def to_torch(module: Any) -> torch.nn.Module:
    """Build a module of torch from one of ours; see :meth:`TorchModule.to_torch`."""
    check_exact(module, next(kind for kind in type(module).__mro__ if "TORCH" in vars(kind)))
    different = variants(module)
    if different:
        raise SettingError(
            f"torch.nn.{module.TORCH.__name__} has no equivalent of {', '.join(different)}",
            fix="keep the layer of carrousel.nn",
        )
    check_weights(module)
    theirs = bare(module)
    _check_same(module, theirs, None)
    _carry(module, theirs)
    if isinstance(theirs, torch.nn.RNNBase):
        theirs._init_flat_weights()
    return theirs


def bare(module: Any) -> torch.nn.Module:
    """Return torch's module with the settings of ours, and parameters without memory."""
    settings = {name: value for name, value in module.settings().items() if name in SHARED}
    dropout = settings.pop("dropout", None)
    theirs = module.TORCH(**settings, device="meta")
    if dropout is not None:
        theirs.dropout = dropout
    return theirs


def _setting(layer: torch.nn.Module, name: str) -> Any:
    if name == "nonlinearity" and hasattr(layer, "mode"):  # pickles of old layers have only mode
        return {"RNN_TANH": "tanh", "RNN_RELU": "relu"}[layer.mode]  # pyright: ignore
    return getattr(layer, name)


def check_exact(module: torch.nn.Module, kind: type[torch.nn.Module]) -> None:
    """Raise if a module is not of exactly this class.

    Raises:
        SettingError: it is of another class, or of a subclass, which may behave differently; its
            weights are parametrized.
    """
    if is_parametrized(module):
        raise _foreign_weights(type(module).__bases__[0].__name__, ["parametrizations"])
    given = type(module)
    if given is not kind:
        subclass = ", a subclass, which may behave differently" if issubclass(given, kind) else ""
        raise SettingError(
            f"the layer is a {given.__module__}.{given.__qualname__}{subclass}; expected a "
            f"{_public_name(kind)}",
            argument="layer",
            fix="build the new layer and load the state_dict() of the old one"
            if subclass
            else "call the method of the class that matches the layer, or use nn.replace",
        )


def _public_name(kind: type) -> str:
    package = "torch" if kind.__module__.startswith("torch") else "carrousel"
    return f"{package}.nn.{kind.__name__}"


def check_weights(layer: torch.nn.Module) -> dict[str, Parameter]:
    """Return the parameters of a module by name.

    Raises:
        SettingError: the module has buffers, submodules, no parameters, or its own ``forward``.
    """
    name = type(layer).__name__
    found = {key: value for key, value in layer._parameters.items() if value is not None}
    if layer._modules or layer._buffers or not found:
        raise _foreign_weights(name, [*layer._modules, *layer._buffers])
    if "forward" in vars(layer):
        raise SettingError(
            f"the {name} has an attribute forward, which the new layer would lose",
            argument="layer",
            fix="delete this attribute first",
        )
    return found


def _check_same(source: torch.nn.Module, target: torch.nn.Module, argument: str | None) -> None:
    """Raise unless the target has the parameters of the source, or more, in the same shapes."""
    name, found = type(source).__name__, check_weights(source)
    wanted = {key: value for key, value in target._parameters.items() if value is not None}
    torchs = {key for key in wanted if key.startswith(TORCH_NAMES)}
    extra = [key for key in found if key not in wanted] + sorted(torchs - set(found))
    if extra:
        raise _foreign_weights(name, extra)
    for key, weight in found.items():
        if weight.shape != wanted[key].shape:
            raise SettingError(
                f"{key} has shape {tuple(weight.shape)}, but {tuple(wanted[key].shape)} in "
                f"{target!r}",
                argument=argument,
                fix="build a new layer",
            )


def _foreign_weights(name: str, extra: Iterable[str]) -> SettingError:
    return SettingError(
        f"the weights of the {name} are parametrized, pruned, normalised or sharded "
        f"(unexpected or missing: {', '.join(extra) or 'all parameters'})",
        argument="layer",
        fix="remove that first, for example with "
        "torch.nn.utils.parametrize.remove_parametrizations or torch.nn.utils.prune.remove",
    )


def _carry(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Give a module the parameters, the mode, the hooks and additional attributes of another.

    Both modules share the dictionaries of hooks, so a handle removes its hook from both.
    """
    created = {*_attributes(source), *vars(target)}
    for name, value in vars(source).items():
        if name == "training" or "_hook" in name or name not in created:
            target.__dict__[name] = value
    target._parameters.update(source._parameters)


def _attributes(module: torch.nn.Module) -> Iterable[str]:
    """Return the attributes that every module of a class has after construction."""
    kind: Any = type(module)
    return vars(kind(1, 2, device="meta"))
