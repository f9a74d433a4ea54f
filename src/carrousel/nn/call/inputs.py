"""Checks the arguments of a module's call and converts between its layout and the kernels'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from carrousel.checks import check_choice
from carrousel.contracts import Recurrence
from carrousel.errors import InputError
from carrousel.nn.call.layered import Layered
from carrousel.nn.call.ragged import (
    Lengths,
    Packed,
    Resets,
    active_steps,
    read_lengths,
    read_resets,
)

Padding = Literal["right", "left"]
"""Side of the padding in a batch of sequences of unequal length."""

_PADDINGS = get_args(Padding)
_DEVICES = ("cpu", "cuda", "hpu", "ipu", "mps", "mtia", "xla", "xpu", "privateuseone")
_AUTOCAST = frozenset(kind for kind in _DEVICES if torch.amp.is_autocast_available(kind))
"""Devices with autocast. (torch 2.9 cannot compile a call of ``is_autocast_available``.)"""

State = Tensor | tuple[Tensor, Tensor]
"""``h``, or ``(h, c)`` for cells that have states besides ``h``."""


@dataclass(frozen=True)
class CallArguments:
    """Arguments of a call in the layout of the kernels, in packed order for packed input.

    Attributes:
        x: input ``[T, B, I]``.
        h0, s0: initial states ``[layers * directions, B, ...]``; None: zero or learned.
        active: ``[T, B]``, True at steps that are not padding; None: all steps.
        resets: ``[T, B]``, True where the state is reset before a step; None: nowhere.
        batch_first: whether the caller's layout is ``[B, T, I]``.
        batched: whether the caller's input has a batch dimension.
        packed: the caller's packed batch, or None.
        result: type of the results if it is not that of ``x``, under autocast; else None.
    """

    x: Tensor
    h0: Tensor | None
    s0: Tensor | None
    active: Tensor | None
    resets: Tensor | None
    batch_first: bool
    batched: bool
    packed: Packed | None
    result: torch.dtype | None

    def output(self, out: Tensor) -> Tensor | PackedSequence:
        """Convert outputs ``[T, B, H]`` to the layout of the input."""
        out = out if self.result is None else out.to(self.result)
        return self.steps(out) if self.packed is None else self.packed.gather(out)

    def steps(self, values: Tensor) -> Tensor:
        """Convert values ``[T, B, ...]`` to batch order and the input's layout."""
        if self.packed is not None:
            values = self.packed.unsort(values)
        if not self.batched:
            return values.squeeze(1)
        return values.transpose(0, 1) if self.batch_first else values

    def state(self, last: Tensor) -> Tensor:
        """Convert last states ``[layers * directions, B, H]`` to batch order."""
        last = last if self.result is None else last.to(self.result)
        if self.packed is not None:
            return self.packed.unsort(last)
        return last if self.batched else last.squeeze(1)


def read_call(
    module: Layered,
    input: Any,
    hx: Any,
    lengths: Lengths | None,
    padding: str,
    resets: Resets | None,
) -> CallArguments:
    """Check the arguments of a module's call and convert them to the layout of the kernels.

    Raises:
        InputError: a tensor has the wrong shape, type or device, arguments contradict each other,
            or padding is on the left and ``lengths`` is missing.
        UnknownNameError: ``padding`` is neither ``"right"`` nor ``"left"``.
    """
    who = type(module).__name__
    weight = getattr(module, "weight_ih_l0")  # noqa: B009  not declared for type checkers
    padding = check_choice("padding", padding, _PADDINGS)
    if padding == "left" and lengths is None:
        raise InputError(
            f"{who}: padding is 'left', but no lengths were given",
            argument="padding",
            fix="pass {lengths}, or leave {padding} out",
        )
    active = cuts = packed = None
    batched = True
    if isinstance(input, PackedSequence):
        if lengths is not None:
            raise InputError(
                f"{who}: lengths were given with a PackedSequence, which contains its lengths",
                argument="lengths",
                fix="leave {lengths} out, or pass a padded tensor",
            )
        if torch.compiler.is_compiling() and torch.compiler.is_exporting():
            raise InputError(
                f"{who}: input is a PackedSequence, which torch.export and torch.onnx.export "
                "cannot export, because its size depends on the lengths",
                argument="input",
                fix="pass a padded tensor and {lengths}",
            )
        check_tensor(f"{who}: input.data", input.data, 2, module.input_size, weight)
        packed = Packed(input)
        x, active = packed.spread(), packed.active
    else:
        x = _padded_input(who, module, input, weight)
        batched = input.dim() == 3
    T, B = x.shape[0], x.shape[1]
    if lengths is not None:
        if not batched:
            raise InputError(
                f"{who}: lengths were given with unbatched input of shape "
                f"{tuple(x[:, 0].shape)}, expected (T, B, I)",
                argument="lengths",
                fix="cut the one sequence instead",
            )
        active = active_steps(read_lengths(lengths, T, B, x.device), T, padding)
    if resets is not None:
        first = module.batch_first and packed is None
        cuts = read_resets(resets, T, B, x.device, batch_first=first, batched=batched)
        cuts = cuts if packed is None else packed.sort(cuts)
    h0, s0 = _read_state(who, module, hx, B, batched, weight)
    if packed is not None:
        h0 = None if h0 is None else packed.sort(h0)
        s0 = None if s0 is None else packed.sort(s0)
    result = None
    if autocast_dtype(x) is not None:
        wide = autocast_wide(weight.dtype)
        result = autocast_result(module.recurrence, x, wide, keeps=packed is not None)
        x, h0, s0 = (None if one is None else one.to(wide) for one in (x, h0, s0))
    assert x is not None
    first = module.batch_first and packed is None
    return CallArguments(x, h0, s0, active, cuts, first, batched, packed, result)


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """Return the type to compute in if autocast is enabled, else None."""
    kind = x.device.type
    if kind not in _AUTOCAST or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def autocast_wide(dtype: torch.dtype) -> torch.dtype:
    """Return the type to compute in under autocast: halves round the state at every step."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def autocast_result(
    recurrence: Recurrence, x: Tensor, wide: torch.dtype, *, keeps: bool
) -> torch.dtype | None:
    """Return the type of the results under autocast, which is torch's; None: ``wide``.

    Args:
        recurrence: the cell.
        x: the caller's input.
        wide: the type that is computed in.
        keeps: whether torch keeps the states of cells that have some in ``float32``: in a
            ``PackedSequence``, and in a single step.
    """
    if wide == torch.float64:
        return None
    if recurrence.cell == "gru" or (keeps and recurrence.n_states):
        return x.dtype if x.dtype != wide else None
    return autocast_dtype(x)


def check_tensor(name: str, tensor: Any, dims: int, width: int, like: Tensor) -> None:
    """Check dimensions, width, type and device of a tensor against a module's weights.

    Raises:
        InputError: ``tensor`` is not a tensor, or one of these differs.
    """
    if not isinstance(tensor, Tensor):
        raise InputError(
            f"{name} is of type {type(tensor).__name__}, expected a torch.Tensor",
            argument="input",
            got=tensor,
            fix="convert arrays and lists of numbers with torch.as_tensor",
        )
    shape = tuple(tensor.shape)
    if tensor.dim() != dims or shape[-1] != width:
        raise InputError(
            f"{name} has shape {shape}, expected {dims} dimensions, the last of size {width}, "
            "which is the module's input_size",
            argument="input",
        )
    check_like(name, tensor, like)


def check_like(name: str, tensor: Tensor, like: Tensor) -> None:
    """Check type and device of a tensor against a module's weights.

    Raises:
        InputError: one of them differs.
    """
    if tensor.device != like.device:
        raise InputError(
            f"{name} is on device {tensor.device}, expected {like.device}, where the weights are",
            fix=f"call .to({str(like.device)!r}) on it or on the module",
        )
    if tensor.dtype != like.dtype and autocast_dtype(like) is None:
        model = f", or convert model: model.to({tensor.dtype})"
        raise InputError(
            f"{name}: RNN input dtype ({tensor.dtype}) does not match weight dtype "
            f"({like.dtype}). Convert input: input.to({like.dtype})"
            + (model if tensor.is_floating_point() else "")
        )


def _padded_input(who: str, module: Layered, input: Any, weight: Tensor) -> Tensor:
    """Check a padded input and return it as ``[T, B, I]``."""
    if isinstance(input, Tensor) and input.dim() not in (2, 3):
        letters = "(B, T, I)" if module.batch_first else "(T, B, I)"
        raise InputError(
            f"{who}: input has shape {tuple(input.shape)}, expected {letters}, or (T, I) for one "
            f"sequence, with I = {module.input_size}",
            argument="input",
        )
    dims = input.dim() if isinstance(input, Tensor) else 3
    check_tensor(f"{who}: input", input, dims, module.input_size, weight)
    if dims == 2:
        return input.unsqueeze(1)
    return input.transpose(0, 1) if module.batch_first else input


def _read_state(
    who: str, module: Layered, hx: Any, B: int, batched: bool, weight: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Check ``hx``; return ``h0`` and ``s0``, each ``[layers * directions, B, ...]`` or None."""
    if hx is None:
        return None, None
    recurrence = module.recurrence
    rows = module.num_layers * module.num_directions
    if not recurrence.n_states:
        return _one_state(f"{who}: hx", hx, (rows, B, recurrence.n_sources), batched, weight), None
    if not isinstance(hx, Sequence) or len(hx) != 2:
        raise InputError(
            f"{who}: hx is {described(hx)}, expected a pair of tensors (h_0, c_0)", argument="hx"
        )
    widths = (recurrence.n_sources, recurrence.n_states)
    h0, s0 = (
        _one_state(f"{who}: hx[{which}]", one, (rows, B, width), batched, weight)
        for which, (one, width) in enumerate(zip(hx, widths, strict=True))
    )
    return h0, s0


def _one_state(
    name: str, state: Any, expected: tuple[int, int, int], batched: bool, weight: Tensor
) -> Tensor:
    if not isinstance(state, Tensor):
        raise InputError(f"{name} is {described(state)}, expected a torch.Tensor", argument="hx")
    wanted = expected if batched else (expected[0], expected[2])
    if state.shape != wanted:
        letters = (
            "(layers * directions, batch, width)" if batched else "(layers * directions, width)"
        )
        raise InputError(
            f"{name} has shape {tuple(state.shape)}, expected {letters} = {wanted}"
            + (" for any batch_first" if batched else " because input is unbatched"),
            argument="hx",
        )
    check_like(name, state, weight)
    return state if batched else state.unsqueeze(1)


def described(value: Any) -> str:
    """Describe a value that is not the expected tensor.

    >>> described(torch.zeros(2, 3)), described([1, 2]), described(None)
    ('a tensor of shape (2, 3)', 'a list of 2', 'of type NoneType')
    """
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, Sequence):
        return f"a {type(value).__name__} of {len(value)}"
    return f"of type {type(value).__name__}"
