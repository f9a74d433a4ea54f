"""Exchange of the recurrent layers and cells of a model with those of torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import torch

from carrousel.errors import SettingError
from carrousel.nn.cells import GRUCell, LSTMCell, RNNCell, StepCell
from carrousel.nn.gru import GRU
from carrousel.nn.lstm import LSTM
from carrousel.nn.quantized import Quantized
from carrousel.nn.recurrent import Recurrent
from carrousel.nn.rnn import RNN

Model = TypeVar("Model", bound=torch.nn.Module)
KINDS: tuple[Any, ...] = (LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell)
OURS = (Recurrent, StepCell)


def replace(model: Model, *, skip: Collection[str] = ()) -> Model:
    """Replace every recurrent layer and cell of torch inside a model by one of this package.

    Each new module has all settings of the old one: sizes, ``batch_first``, ``dropout``,
    nonlinearity, training mode, hooks and additional attributes. It holds the same ``Parameter``
    objects, with their type, device and ``requires_grad``. So optimizers, tied weights and state
    dictionaries stay valid. A module that occurs in several places is replaced by one module.

    Args:
        model: a model, changed in place. If it is itself a layer, use the returned module.
        skip: names of modules to keep, as in ``model.named_modules()``. Their inner modules are
            kept too.

    Returns:
        The model.

    Raises:
        SettingError: a layer cannot be replaced: it is of a subclass of torch's, or compiled by
            TorchScript, or its weights are parametrized, pruned or normalised. The message has its
            name; no layer is replaced.

    >>> model = torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 4, batch_first=True)})
    >>> type(replace(model)["rnn"]).__module__
    'carrousel.nn.gru'
    """
    kinds = {kind.TORCH: kind for kind in KINDS}

    def convert(module: torch.nn.Module) -> torch.nn.Module | None:
        if getattr(module, "original_name", None) in {theirs.__name__ for theirs in kinds}:
            raise SettingError(  # only modules of TorchScript have this attribute
                f"the layer is a compiled {module.original_name}, which cannot be replaced",
                fix="replace the layers before torch.jit.script or torch.jit.trace",
            )
        for theirs, kind in kinds.items():
            if isinstance(module, theirs):
                return kind.from_torch(module)
        return None

    return _exchange(model, convert, skip)


def restore(model: Model, *, skip: Collection[str] = ()) -> Model:
    """Replace every recurrent layer and cell of this package inside a model by torch's.

    The opposite of :func:`replace`, with the same arguments.

    Raises:
        SettingError: a layer has options that torch lacks, is of a subclass, is quantised, or its
            weights are parametrized. The message has its name; no layer is replaced.

    >>> restore(torch.nn.ModuleDict({"rnn": GRU(3, 4)}))["rnn"].__class__
    <class 'torch.nn.modules.rnn.GRU'>
    """

    def convert(module: torch.nn.Module) -> torch.nn.Module | None:
        if isinstance(module, Quantized):
            raise SettingError(f"the layer is a {module}, whose float32 weights are lost")
        return module.to_torch() if isinstance(module, OURS) else None

    return _exchange(model, convert, skip)


def _exchange(
    model: Any,
    convert: Callable[[torch.nn.Module], torch.nn.Module | None],
    skip: Collection[str],
) -> Any:
    """Convert all modules first, so that an error leaves the model as it is."""
    if not isinstance(model, torch.nn.Module):
        fix = "pass an instance" if isinstance(model, type) else None
        raise SettingError(argument="model", got=model, expected="a torch.nn.Module", fix=fix)
    kept = _kept(model, (skip,) if isinstance(skip, str) else skip)
    new: dict[int, torch.nn.Module] = {}
    for name, module in model.named_modules():
        if id(module) in kept:
            continue
        try:
            made = convert(module)
        except SettingError as error:
            where = f"model.{name}" if name else "model"
            keep = f"keep the layer with {{skip}}=[{name!r}]"
            alone = not name or (error.fix and not error.fix.startswith("keep "))
            fix = (f"{error.fix}, or {keep}" if name else error.fix) if alone else keep
            raise SettingError(
                f"{where}: {error.problem or error.text(fix=False)}", argument="model", fix=fix
            ) from error
        if made is not None:
            new[id(module)] = made
    for parent in list(model.modules()):
        if id(parent) not in kept:
            _assign(parent._modules, new)
    return new.get(id(model), model)


def _assign(children: Any, new: Mapping[int, torch.nn.Module]) -> None:
    for name, child in children.items():
        if id(child) in new:
            children[name] = new[id(child)]


def _kept(model: torch.nn.Module, skip: Collection[str]) -> set[int]:
    """Return the identities of the modules to keep, and of those inside them."""
    known = dict(model.named_modules(remove_duplicate=False))
    unknown = [name for name in skip if name not in known]
    if unknown:
        raise SettingError(
            f"skip contains {unknown[0]!r}, but the model has no module of this name",
            argument="skip",
            fix="take names from model.named_modules()",
        )
    return {id(inner) for name in skip for inner in known[name].modules()}
