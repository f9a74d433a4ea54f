"""What a recurrent module may be asked for: checks, and exceptions that torch's users catch."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch

from carrousel.checks import check_choice, check_int, check_number, suggestion
from carrousel.contracts import Recurrence, gradient_cut
from carrousel.contracts.recurrence import CELLS, cell_kind
from carrousel.errors import (
    OptionNameError,
    OptionTypeError,
    SettingError,
    UnknownNameError,
)

LSTM_CELLS = ("lstm", "lstm97", "peephole", "coupled", "no_output_gate")
"""Built-in cells of :class:`carrousel.nn.LSTM`; the others have doors of their own."""

SIZES = ("input_size", "hidden_size")
FORGETTING = ("lstm", "peephole", "coupled", "no_output_gate")


@runtime_checkable
class CellObject(Protocol):
    """A user's own equations: anything that knows the name its recurrence goes by."""

    @property
    def recurrence_name(self) -> str: ...


def cell_name(cell: object) -> str:
    """The name that ``cell`` of an LSTM stands for: a word, or an object with equations of its own.

    Raises:
        OptionNameError: no LSTM cell has this name.
        OptionTypeError: neither a word nor an object with a ``recurrence_name``.
    """
    if isinstance(cell, str):
        if cell in LSTM_CELLS:
            return cell
        if cell.startswith("user:"):
            return _described(cell)
        if cell in CELLS:
            door = "GRU" if cell == "gru" else "RNN"
            raise OptionNameError(f"cell {cell!r} is no LSTM cell; use carrousel.nn.{door}")
        raise OptionNameError(f"cell {cell!r} is unknown; {suggestion(cell, LSTM_CELLS)}")
    if isinstance(cell, CellObject):
        return cell.recurrence_name
    raise OptionTypeError(
        f"cell is {cell!r}, expected one of {', '.join(map(repr, LSTM_CELLS))}, "
        "or a carrousel.nn.Equations"
    )


def _described(cell: str) -> str:
    """The name of a user's cell that exists."""
    try:
        cell_kind(cell)
    except UnknownNameError as error:
        name = cell.removeprefix("user:")
        raise OptionNameError(
            f"cell {cell!r} is unknown; make carrousel.nn.Equations({name!r}, ...) first, and hand "
            "that over as cell"
        ) from error
    return cell


def check_size(name: str, value: object) -> int:
    """Return a size of at least 1, or raise what torch's users expect."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise OptionTypeError(f"{name} should be of type int, got: {_typed(value)}")
    if value <= 0:  # pyright: ignore[reportOperatorIssue]  Integral knows no order
        raise SettingError(f"{name} must be greater than zero, but it is {value}")
    return check_int(name, int(value), minimum=1)


def check_flag(name: str, value: object) -> bool:
    """Return True or False, or raise for anything that merely resembles them."""
    if not isinstance(value, bool):
        raise OptionTypeError(
            f"{name} should be of type bool, got: {_typed(value)}; write True or False"
        )
    return value


def _typed(value: object) -> str:
    return f"{type(value).__name__} ({value!r})"


def check_share(name: str, value: object, *, below_one: bool = False) -> float:
    """Return a probability."""
    share = check_number(name, value, least=0.0)
    if share > 1 or (below_one and share == 1):
        bound = "below 1" if below_one else "to 1"
        raise SettingError(f"{name} is {value}, expected a probability from 0 {bound}")
    return share


def check_dropout(value: object, num_layers: int) -> float:
    """Dropout between layers; warns, as torch does, where there is no layer to drop between."""
    dropout = check_share("dropout", value)
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            f"dropout={dropout} acts between layers, so with num_layers=1 it does nothing; "
            "recurrent_dropout and zoneout act inside a layer",
            stacklevel=4,
        )
    return dropout


def check_projection(value: object, hidden_size: int) -> int:
    """Width of a projection of the hidden state, or 0 for none."""
    size = check_int("proj_size", value, minimum=0)
    if size >= hidden_size:
        raise SettingError(
            f"proj_size is {size}, expected less than hidden_size, which is {hidden_size}; "
            "0 means no projection"
        )
    return size


def refuse_projection(proj_size: object) -> None:
    """GRU and RNN take the argument only to say what torch says."""
    if proj_size is not None:
        raise SettingError(
            f"proj_size is {proj_size!r}, but proj_size argument is only supported for LSTM, "
            "not RNN or GRU; leave it out, or use carrousel.nn.LSTM"
        )


def check_zoneout(value: object, recurrence: Recurrence) -> tuple[float, float]:
    """Shares of the hidden state and of the other states that are kept from the step before."""
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise SettingError(
                f"zoneout is {value!r}, expected a probability, or two: (zone_h, zone_c)"
            )
        zone_h, zone_s = (check_share("zoneout", part) for part in value)
    else:
        zone_h = zone_s = check_share("zoneout", value)
    if not recurrence.n_states:
        if isinstance(value, tuple | list) and zone_s > 0:
            raise SettingError(
                f"zoneout is {value!r}, but cell {recurrence.cell!r} has no state besides h; "
                "give one probability"
            )
        zone_s = 0.0
    return zone_h, zone_s


def check_forget_bias(value: object, recurrence: Recurrence, bias: bool) -> float | None:
    """What the forget gate's bias starts with, or None: as torch draws it."""
    if value is None:
        return None
    names = recurrence.kind.net_inputs
    if "forget" not in names and recurrence.cell != "coupled":
        raise SettingError(
            f"forget_bias is {value!r}, but cell {recurrence.cell!r} has no forget gate; "
            "cells that have one: " + ", ".join(FORGETTING)
        )
    if not bias:
        raise SettingError(f"forget_bias is {value!r}, but bias is False; set bias=True")
    return check_number("forget_bias", value)


def check_gradient(value: object) -> str:
    """A gradient algorithm's name, as :func:`carrousel.contracts.gradient_cut` reads it."""
    gradient_cut(value)  # pyright: ignore[reportArgumentType]  it refuses what is no name
    return str(value)


def check_recompute(value: object) -> int | str:
    """Steps of a segment that the way back computes anew, 0 for none, or ``"auto"``."""
    if isinstance(value, str):
        return check_choice("recompute", value, ("auto",))
    return check_int("recompute", value, minimum=0)


def check_initial(value: object) -> str:
    """How sequences start that are handed no state: from zero, or from learned values."""
    return check_choice("initial_state", value, ("zero", "learned"))


def check_factory(device: object, dtype: object) -> dict[str, Any]:
    """``device`` and ``dtype`` for torch's factories."""
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise OptionTypeError(
            f"dtype is {dtype!r}, expected a floating point type such as torch.float32"
        )
    if device is not None:
        try:
            device = torch.device(device)  # pyright: ignore[reportArgumentType,reportCallIssue]
        except (RuntimeError, TypeError) as error:
            raise SettingError(
                f"device is {device!r}, expected a torch device such as 'cpu': {error}"
            ) from error
    return {"device": device, "dtype": dtype}


def nonlinearity_cell(nonlinearity: object) -> str:
    """The cell of a simple recurrent net: ``rnn_tanh`` or ``rnn_relu``."""
    if nonlinearity not in ("tanh", "relu"):
        near = suggestion(str(nonlinearity), ("tanh", "relu"))
        raise OptionNameError(f"Unknown nonlinearity {nonlinearity!r}; {near}")
    return f"rnn_{nonlinearity}"


def written(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Arguments as torch writes them: sizes, then by name what is not at its default.

    >>> written({"input_size": 3, "hidden_size": 4, "bias": False}, {"bias": True})
    '3, 4, bias=False'
    """
    sizes = [str(values[name]) for name in SIZES]
    names = sorted(defaults, key=lambda name: name != "proj_size")  # torch has it come first
    other = [
        f"{name}={values[name]}"
        for name in names
        if name not in SIZES and values[name] != defaults[name]
    ]
    return ", ".join(sizes + other)


def settings_of(module: Any, names: Iterable[str]) -> dict[str, Any]:
    """A module's arguments by name, as they stand now."""
    values = {name: getattr(module, name) for name in names}
    zone_h, zone_s = values["zoneout"]
    if zone_h == zone_s or not module.recurrence.n_states:
        values["zoneout"] = zone_h
    return values
