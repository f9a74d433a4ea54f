"""A model with its data and loss, run as often as needed and left as it was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from carrousel.errors import InputError, SettingError
from carrousel.inspection.record.finite import check_weights, where_not_finite
from carrousel.inspection.record.referred import modules_of
from carrousel.inspection.record.unchanged import same_weights, unchanged
from carrousel.nn.call.observe import Observer, observed_by
from carrousel.nn.cells import StepCell
from carrousel.nn.quantized import Quantized
from carrousel.nn.recurrent import Recurrent
from carrousel.nn.replace import KINDS

Loss = Callable[[Any], Tensor]
_ALONE = threading.RLock()
"""Held while layers are exchanged and random numbers are forked: other threads wait."""


class Subject:
    """What is inspected: a model, the data of one call, and its loss.

    Args:
        model: a module, or a function that calls modules of ``parts``.
        inputs: argument of the call; a tuple has several, a mapping has keyword arguments.
        loss: takes the output and returns a scalar.
        parts: module that contains the recurrent modules if ``model`` is a function; None: those
            that the function refers to by name, or the module of which it is a method.
    """

    def __init__(
        self,
        model: Callable[..., Any],
        inputs: Any,
        loss: Loss,
        parts: torch.nn.Module | None = None,
    ) -> None:
        if isinstance(model, torch.jit.ScriptModule):
            raise _scripted("the model")
        model = _unwrapped(model)
        if not callable(model):
            raise InputError(argument="module", got=model, expected="a torch.nn.Module")
        if not callable(loss):
            raise InputError(
                argument="loss", got=loss, expected="a function of the output that returns a scalar"
            )
        self.model, self.loss = model, loss
        self.module = parts or (model if isinstance(model, torch.nn.Module) else modules_of(model))
        check_weights(self.module)
        self.inputs = _usable(inputs)
        with _ALONE:
            self.converted = _converted(self.module)
            self.names = {
                self.converted.get(one, one): name.replace("_orig_mod.", "")
                for name, one in self.module.named_modules()
            }

    def output(self, observer: Observer | None = None, inputs: Any = None) -> Any:
        """Call the model, its recurrent modules under an observer.

        What the call changes is undone, so every call draws the same random numbers.
        """
        with self.kept():
            return self._output(observer, inputs)

    def _output(self, observer: Observer | None, inputs: Any) -> Any:
        given = _copied(self.inputs if inputs is None else inputs)
        with _eager(), _exchanged(self.module, self.converted):
            model = self.converted.get(self.model, self.model)  # type: ignore[call-overload]
            if observer is None:
                return _call(model, given)
            with observed_by(observer):
                return _call(model, given)

    def value(self, observer: Observer | None = None, inputs: Any = None) -> Tensor:
        """Return the loss of a call.

        Raises:
            InputError: it is not one finite number.
        """
        with self.kept():
            found = self.loss(self._output(observer, inputs))
        if not isinstance(found, Tensor) or found.numel() != 1 or not found.is_floating_point():
            raise InputError(
                argument="loss", got=_described(found), expected="a function that returns a scalar"
            )
        if not bool(torch.isfinite(found)):
            where = where_not_finite(self.inputs if inputs is None else inputs)
            raise InputError(
                f"the loss is {float(found.detach())}" + (f", and {where}" if where else ""),
                argument="inputs" if where else "loss",
                fix="replace missing values, or pass lengths if they are padding"
                if where
                else "inspect a state of the model before its states overflow",
            )
        return found.reshape(())

    @contextmanager
    def kept(self, *, weights: bool = False) -> Iterator[None]:
        """Undo all changes of the model and of torch's random numbers at the end.

        Args:
            weights: whether a model may change weights in its call, as ``nn.Embedding`` with
                ``max_norm`` does; that takes a copy of all.
        """
        with _ALONE, same_weights(self.module if weights else None), unchanged(self.module):
            yield


@contextmanager
def _eager() -> Iterator[None]:
    """Run compiled modules and functions as they were before, since graphs hide their states."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _unwrapped(model: Any) -> Any:
    """Return the model inside a wrapper of torch.

    Raises:
        InputError: a wrapper copies the model or waits for other processes.
    """
    compiler = sys.modules.get("torch._dynamo")  # its import takes a second
    if compiler is not None and isinstance(model, compiler.OptimizedModule):
        return _unwrapped(model._orig_mod)
    several = isinstance(model, torch.nn.DataParallel) and len(model.device_ids) > 1
    if several or isinstance(model, torch.nn.parallel.DistributedDataParallel):
        raise InputError(
            f"the model is wrapped by {type(model).__name__}, which runs copies of it",
            argument="module",
            fix="inspect its attribute {module}",
        )
    return model


def _call(model: Callable[..., Any], inputs: Any) -> Any:
    if isinstance(inputs, tuple) and not hasattr(inputs, "_fields"):
        return model(*inputs)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    return model(inputs)


def _usable(value: Any) -> Any:
    """Return inputs that a graph may keep: tensors of inference mode are copied."""
    with torch.inference_mode(False):
        return _each(lambda one: one.clone() if one.is_inference() else one, value)


def _copied(value: Any) -> Any:
    """Return copies of inputs, which a model may change in place."""
    return _each(Tensor.clone, value)


def _each(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """Apply a function to the tensors of inputs."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, PackedSequence):
        return value._replace(data=function(value.data))
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return type(value)(_each(function, one) for one in value)
    if isinstance(value, Mapping):
        return {name: _each(function, one) for name, one in value.items()}
    return value


def _scripted(name: str) -> InputError:
    return InputError(
        f"{name} is compiled by TorchScript, which hides its states",
        argument="module",
        fix="inspect the model before torch.jit.script or torch.jit.trace",
    )


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
    return type(value).__name__


def _converted(model: torch.nn.Module) -> dict[Any, Recurrent | StepCell]:
    """Return a module of this package for each recurrent module of torch, with its parameters."""
    kinds = {kind.TORCH: kind for kind in KINDS}
    found: dict[Any, Recurrent | StepCell] = {}
    for name, one in model.named_modules():
        if getattr(one, "original_name", None) in {theirs.__name__ for theirs in kinds}:
            raise _scripted(name)  # only modules of TorchScript have this attribute
        if isinstance(one, Quantized):
            raise InputError(
                f"{name or 'the module'} is quantised, so no errors flow through it",
                argument="module",
                fix="inspect the model before it is quantised",
            )
        for theirs, kind in kinds.items():
            if not isinstance(one, theirs) or isinstance(one, Recurrent | StepCell):
                continue
            try:
                found[one] = kind.from_torch(one)
            except SettingError as error:
                raise InputError(
                    f"{name or 'the module'}: {error.problem or error.text(fix=False)}",
                    argument="module",
                    fix="inspect a copy with plain weights, made by "
                    "torch.nn.utils.parametrize.remove_parametrizations or "
                    "torch.nn.utils.remove_weight_norm"
                    if "parametrized" in str(error)
                    else "mark its states with carrousel.inspection.state in a loop of your own",
                ) from error
    return found


@contextmanager
def _exchanged(model: torch.nn.Module, converted: Mapping[Any, torch.nn.Module]) -> Iterator[None]:
    """Put converted modules in the place of torch's inside a model."""
    places = [
        (parent._modules, name, child)
        for parent in model.modules()
        for name, child in parent._modules.items()
        if child in converted
    ]
    try:
        for children, name, child in places:
            new = converted[child]
            new.training = child.training  # type: ignore[union-attr]
            children[name] = new
        for child, new in converted.items():  # also if they are called by another reference
            child.__dict__["forward"] = new.forward
        yield
    finally:
        for child in converted:
            child.__dict__.pop("forward", None)
        for children, name, child in places:
            children[name] = child
