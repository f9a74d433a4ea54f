"""Finds values that are not finite in weights and inputs, for messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from carrousel.errors import InputError


def check_weights(module: torch.nn.Module) -> None:
    """Check that all parameters are finite, real and able to have gradients.

    Raises:
        InputError: one is not; the message has its name.
    """
    for name, parameter in module.named_parameters():
        if isinstance(parameter, torch.nn.parameter.UninitializedParameter):
            raise InputError(
                f"parameter {name} has no values yet",
                argument="module",
                fix="call the model once, so that its lazy layers take their sizes",
            )
        if parameter.device.type == "meta":
            raise InputError(
                f"parameter {name} is on the meta device, which stores no values",
                argument="module",
                fix="use module.to_empty() and load_state_dict() first",
            )
        if parameter.is_inference():
            raise InputError(
                f"parameter {name} was made in inference mode, and no gradient can flow to it",
                argument="module",
                fix="make or load the model outside of torch.inference_mode()",
            )
        if parameter.is_complex():
            raise InputError(
                f"parameter {name} is complex, and errors are measured by real norms",
                argument="module",
                fix="inspect a model with real weights",
            )
        wrong = int((~torch.isfinite(parameter.detach())).sum())
        if wrong:
            raise InputError(
                f"parameter {name} has {wrong} of {parameter.numel()} values that are not finite",
                argument="module",
                fix="inspect a state of the model before its weights diverged",
            )


def where_not_finite(inputs: Any) -> str:
    """Return where inputs have values that are not finite; empty: nowhere.

    >>> where_not_finite((torch.ones(2), {"x": torch.tensor([0.0, torch.nan])}))
    "inputs[1]['x'] has 1 of 2 values that are not finite, the first at index (1,)"
    """
    for name, value in _tensors("inputs", inputs):
        if not value.is_floating_point():
            continue
        wrong = ~torch.isfinite(value.detach())
        if bool(wrong.any()):
            first = tuple(int(n) for n in wrong.nonzero()[0])
            return (
                f"{name} has {int(wrong.sum())} of {value.numel()} values that are not finite, "
                f"the first at index {first}"
            )
    return ""


def _tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, PackedSequence):
        yield f"{name}.data", value.data
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _tensors(f"{name}[{key!r}]", one)
    elif isinstance(value, tuple | list):
        for n, one in enumerate(value):
            yield from _tensors(f"{name}[{n}]", one)
