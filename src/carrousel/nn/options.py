"""Checks of the options of recurrent modules; messages follow torch where torch has the check."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol, get_args, runtime_checkable

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

FirstState = Literal["zero", "learned"]
"""Initial state of a layer where a call gives none."""
Recompute = int | Literal["auto"]
"""Length of the segments that the backward pass computes again; 0: none."""
Nonlinearity = Literal["tanh", "relu"]
LstmCell = Literal["lstm", "lstm97", "peephole", "coupled", "no_output_gate"]
LSTM_CELLS: tuple[LstmCell, ...] = get_args(LstmCell)
"""Built-in cells of :class:`carrousel.nn.LSTM`; the other cells have separate modules."""

SIZES = ("input_size", "hidden_size")
FORGET_CELLS = ("lstm", "peephole", "coupled", "no_output_gate")


@runtime_checkable
class CellObject(Protocol):
    """A user-defined cell: any object with the name of a registered recurrence."""

    @property
    def recurrence_name(self) -> str: ...


def cell_name(cell: object) -> str:
    """Return the recurrence name for the ``cell`` argument of an LSTM.

    Raises:
        OptionNameError: no LSTM cell has this name.
        OptionTypeError: ``cell`` is neither a string nor an object with a ``recurrence_name``.
    """
    if isinstance(cell, str):
        if cell in LSTM_CELLS:
            return cell
        if cell.startswith("user:"):
            return _check_registered(cell)
        if cell in CELLS:
            module = "GRU" if cell == "gru" else "RNN"
            raise OptionNameError(
                f"cell {cell!r} is not an LSTM cell",
                argument="cell",
                got=cell,
                fix=f"use carrousel.nn.{module}",
            )
        raise OptionNameError(
            f"cell {cell!r} is unknown",
            argument="cell",
            got=cell,
            fix=suggestion(cell, LSTM_CELLS),
        )
    if isinstance(cell, CellObject):
        return cell.recurrence_name
    names = ", ".join(map(repr, LSTM_CELLS))
    raise OptionTypeError(
        argument="cell", got=cell, expected=f"one of {names}, or a carrousel.nn.Equations"
    )


def _check_registered(cell: str) -> str:
    """Return the name of a user-defined cell, or raise if no such cell was created."""
    try:
        cell_kind(cell)
    except UnknownNameError as error:
        name = cell.removeprefix("user:")
        raise OptionNameError(
            f"cell {cell!r} is unknown",
            argument="cell",
            got=cell,
            fix=f"create carrousel.nn.Equations({name!r}, ...) and pass it as {{cell}}",
        ) from error
    return cell


def check_size(name: str, value: object) -> int:
    """Return a size of at least 1, or raise with torch's message."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise OptionTypeError(
            f"{name} should be of type int, got: {_typed(value)}",
            argument=name,
            got=value,
            expected="a whole number of at least 1",
        )
    if value <= 0:  # pyright: ignore[reportOperatorIssue]  Integral declares no order
        raise SettingError(
            f"{name} must be greater than zero, but it is {value}",
            argument=name,
            got=value,
            expected="a whole number of at least 1",
        )
    return check_int(name, int(value), minimum=1)


def check_flag(name: str, value: object) -> bool:
    """Return a bool, or raise: numbers and strings are not accepted."""
    if not isinstance(value, bool):
        raise OptionTypeError(
            f"{name} should be of type bool, got: {_typed(value)}",
            argument=name,
            got=value,
            expected="True or False",
            fix="write True or False",
        )
    return value


def _typed(value: object) -> str:
    return f"{type(value).__name__} ({value!r})"


def check_probability(name: str, value: object, *, below_one: bool = False) -> float:
    """Return a probability from 0 to 1, or below 1."""
    probability = check_number(name, value, least=0.0)
    if probability > 1 or (below_one and probability == 1):
        bound = "below 1" if below_one else "from 0 to 1"
        raise SettingError(argument=name, got=value, expected=f"a probability {bound}")
    return probability


def check_dropout(value: object, num_layers: int) -> float:
    """Return the dropout between layers; warn, as torch does, if there is only one layer."""
    dropout = check_probability("dropout", value)
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
            f"expects num_layers greater than 1, but got dropout={value} and num_layers=1",
            stacklevel=4,
        )
    return dropout


def check_projection(value: object, hidden_size: int) -> int:
    """Return the width of a projection of the hidden state, or 0 for none."""
    size = check_int("proj_size", value, minimum=0)
    if size >= hidden_size:
        raise SettingError(
            argument="proj_size",
            got=size,
            expected=f"less than hidden_size, which is {hidden_size}",
            fix="0 means no projection",
        )
    return size


def reject_projection(proj_size: object) -> None:
    """Raise, with torch's message, if GRU or RNN got a ``proj_size``."""
    if proj_size is not None:
        raise SettingError(
            f"proj_size is {proj_size!r}, but proj_size argument is only supported for LSTM, "
            "not RNN or GRU",
            argument="proj_size",
            got=proj_size,
            fix="leave it out, or use carrousel.nn.LSTM",
        )


def check_zoneout(value: object, recurrence: Recurrence) -> tuple[float, float]:
    """Return the probabilities of keeping the previous hidden state and the other states."""
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise SettingError(
                argument="zoneout",
                got=value,
                expected="a probability, or two: (zone_h, zone_c)",
            )
        zone_h, zone_s = (check_probability("zoneout", part) for part in value)
    else:
        zone_h = zone_s = check_probability("zoneout", value)
    if not recurrence.n_states:
        if isinstance(value, tuple | list) and zone_s > 0:
            raise SettingError(
                f"zoneout is {value!r}, but cell {recurrence.cell_name!r} has no state besides h",
                argument="zoneout",
                got=value,
                fix="give one probability",
            )
        zone_s = 0.0
    return zone_h, zone_s


def check_forget_bias(value: object, recurrence: Recurrence, bias: bool) -> float | None:
    """Return the initial bias of the forget gate; None: drawn as in torch."""
    if value is None:
        return None
    if not recurrence.forget_gate and recurrence.cell != "coupled":
        raise SettingError(
            f"forget_bias is {value!r}, but cell {recurrence.cell_name!r} has no forget gate",
            argument="forget_bias",
            got=value,
            fix="cells that have one: " + ", ".join(FORGET_CELLS) + ", and cells from equations "
            "with a net input named 'f' or 'forget'; set the bias of other net inputs by "
            "Equations(..., initial=...)",
        )
    if not bias:
        raise SettingError(
            f"forget_bias is {value!r}, but bias is False",
            argument="forget_bias",
            got=value,
            fix="set {bias}=True",
        )
    return check_number("forget_bias", value)


def check_biases(initial: Mapping[str, object], recurrence: Recurrence, bias: bool) -> None:
    """Raise if a cell has an initial value for a bias, but the layer has no biases."""
    names = [name for name in initial if name in recurrence.kind.net_inputs]
    if names and not bias:
        raise SettingError(
            f"bias is False, but the cell has an initial value for the bias of {names[0]!r}",
            argument="bias",
            got=bias,
            fix="set {bias}=True",
        )


def check_gradient(value: object) -> str:
    """Return the name of a gradient algorithm of :func:`carrousel.contracts.gradient_cut`."""
    gradient_cut(value)  # pyright: ignore[reportArgumentType]  it raises for anything else
    return str(value)


def check_recompute(value: object) -> int | str:
    """Return the steps of a segment to recompute, 0 for none, or ``"auto"``."""
    if isinstance(value, str) and value != "auto":
        raise UnknownNameError(
            argument="recompute",
            got=value,
            expected="'auto' or a whole number of steps, 0 for none",
        )
    return value if isinstance(value, str) else check_int("recompute", value, minimum=0)


def check_initial(value: object) -> str:
    """Return the kind of initial state: ``"zero"`` or ``"learned"``."""
    return check_choice("initial_state", value, get_args(FirstState))


def check_factory(device: object, dtype: object) -> dict[str, Any]:
    """Check ``device`` and ``dtype``; return them as keyword arguments for torch's factories."""
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise OptionTypeError(
            argument="dtype", got=dtype, expected="a floating point type such as torch.float32"
        )
    if device is not None:
        try:
            device = torch.device(device)  # pyright: ignore[reportArgumentType,reportCallIssue]
        except (RuntimeError, TypeError) as error:
            raise SettingError(
                f"device is {device!r}, expected a torch device such as 'cpu': {error}",
                argument="device",
                got=device,
            ) from error
    return {"device": device, "dtype": dtype}


def nonlinearity_cell(nonlinearity: object) -> str:
    """Return the cell of a simple recurrent net: ``rnn_tanh`` or ``rnn_relu``."""
    if nonlinearity not in ("tanh", "relu"):
        near = suggestion(str(nonlinearity), ("tanh", "relu"))
        raise OptionNameError(
            f"Unknown nonlinearity {nonlinearity!r}",
            argument="nonlinearity",
            got=nonlinearity,
            fix=near,
        )
    return f"rnn_{nonlinearity}"


def format_arguments(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Format constructor arguments as torch does: sizes, then those that differ from a default.

    >>> format_arguments({"input_size": 3, "hidden_size": 4, "bias": False}, {"bias": True})
    '3, 4, bias=False'
    """
    sizes = [str(values[name]) for name in SIZES]
    names = sorted(defaults, key=lambda name: name != "proj_size")  # torch's order
    other = [
        f"{name}={values[name]}"
        for name in names
        if name not in SIZES and values[name] != defaults[name]
    ]
    return ", ".join(sizes + other)


def settings_of(module: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return the current constructor arguments of a module by name."""
    values = {name: getattr(module, name) for name in names}
    zone_h, zone_s = values["zoneout"]
    if zone_h == zone_s or not module.recurrence.n_states:
        values["zoneout"] = zone_h
    return values
