"""Initial values of a cell's learned parts, as the user states them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from carrousel.checks import check_number, suggestion
from carrousel.errors import OptionTypeError, SettingError, UnknownNameError

Value = float | tuple[float, float] | Callable[[Tensor], Any]
"""A number; the ends of a range to draw from; or a function of the tensor to set."""


def check_initial_values(values: object, names: tuple[str, ...]) -> dict[str, Value]:
    """Return initial values by name.

    Args:
        values: the user's mapping, or None.
        names: the unit parameters, scalars and net inputs that may have a value.

    Raises:
        OptionTypeError: it is no mapping, or a value is of another type.
        UnknownNameError: a key is none of the names.
        SettingError: a number is not finite, or a range is empty.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise OptionTypeError(
            argument="initial", got=values, expected="a mapping, such as {'p': 0.5}"
        )
    found: dict[str, Value] = {}
    for name, value in values.items():
        if name not in names:
            raise UnknownNameError(
                f"initial has {name!r}, which is no unit parameter, scalar or net input with a "
                "bias",
                argument="initial",
                got=name,
                fix=suggestion(str(name), names),
            )
        found[name] = _checked(f"initial[{name!r}]", value)
    return found


def _checked(place: str, value: Any) -> Value:
    if callable(value):
        return value
    if isinstance(value, tuple | list) and len(value) == 2:
        low, high = (check_number(place, end) for end in value)
        if low > high:
            raise SettingError(
                argument=place, got=value, expected="the lower end of a range before the upper"
            )
        return low, high
    if isinstance(value, bool | str) or not isinstance(value, int | float):
        raise OptionTypeError(
            argument=place,
            got=value,
            expected="a number, a range (low, high), or a function such as torch.nn.init.ones_",
        )
    return check_number(place, value)


def fill(target: Tensor, name: str, value: Value) -> None:
    """Set a tensor in place.

    A function receives the tensor and may fill it, or return other values for it.

    >>> bias = torch.empty(3)
    >>> fill(bias, "f", lambda f: torch.arange(len(f)) / 2)
    >>> bias
    tensor([0.0000, 0.5000, 1.0000])
    """
    if not callable(value):
        low, high = value if isinstance(value, tuple) else (value, value)
        target.fill_(low) if low == high else target.uniform_(low, high)
        return
    found = value(target)
    if found is None or found is target:
        return
    made = torch.as_tensor(found, dtype=target.dtype, device=target.device)
    if made.ndim and made.shape != target.shape:
        raise SettingError(
            f"initial[{name!r}] returned shape {tuple(made.shape)}, expected {tuple(target.shape)}",
            argument="initial",
            fix="fill the given tensor, or return one of its shape",
        )
    target.copy_(made)
