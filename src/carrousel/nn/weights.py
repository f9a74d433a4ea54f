"""Parameters of one direction of one layer: names, shapes and initial values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.layer import merged_biases
from carrousel.nn.initial import Value, fill

TORCH_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
"""Parameters that torch's modules also have, in torch's order."""


class LayerWeights(NamedTuple):
    """Weights of one direction of one layer in the form that kernels take; None: absent.

    Shapes and meaning are those of :class:`carrousel.kernels.autograd.layer.LayerInputs`.
    """

    w_ih: Tensor
    w_hh: Tensor
    bias: Tensor | None
    unit: Tensor | None
    w_hr: Tensor | None
    ln_ih: Tensor | None
    ln_hh: Tensor | None
    ln_c: Tensor | None
    fresh_h: Tensor | None
    fresh_s: Tensor | None

    def to(self, dtype: torch.dtype) -> LayerWeights:
        """Return the same weights in another type."""
        cast = {name: None if w is None else w.to(dtype) for name, w in self._asdict().items()}
        return self._replace(**cast)


_KERNEL_ORDER = (
    ("weight_ih",),
    ("weight_hh",),
    ("bias_ih",),
    ("bias_hh",),
    ("weight_peephole", "weight_unit"),
    ("weight_hr",),
    ("norm_ih",),
    ("norm_hh",),
    ("norm_state",),
)


def in_kernel_order(names: Iterable[str], suffix: str = "") -> tuple[str | None, ...]:
    """Return parameter names in the order of ``LayerParameters``, with None for absent ones.

    >>> in_kernel_order(("weight_ih", "weight_hh", "weight_hr"), "_l0")[:6]
    ('weight_ih_l0', 'weight_hh_l0', None, None, None, 'weight_hr_l0')
    """
    there = set(names)
    return tuple(
        next((name + suffix for name in choice if name in there), None) for choice in _KERNEL_ORDER
    )


def parameter_shapes(
    recurrence: Recurrence, n_inputs: int, *, bias: bool, learned: bool
) -> dict[str, tuple[int, ...]]:
    """Return parameter names without suffix and their shapes, in state-dictionary order.

    >>> parameter_shapes(Recurrence("peephole", 3), 2, bias=False, learned=False)
    {'weight_ih': (12, 2), 'weight_hh': (12, 3), 'weight_peephole': (3, 3)}
    """
    U, H, C = recurrence.n_net_inputs, recurrence.n_sources, recurrence.units
    kind = recurrence.kind
    rows_x, rows_r = (
        U - len(absent) * C for absent in (recurrence.without_x, recurrence.without_r)
    )
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows_x, n_inputs)}
    if rows_r:
        shapes["weight_hh"] = (rows_r, H)
    if bias:
        shapes |= {"bias_ih": (rows_x,), "bias_hh": (rows_x,)}
    if recurrence.projection:
        shapes["weight_hr"] = (H, C)
    if recurrence.cell == "peephole":
        shapes["weight_peephole"] = (3, C)
    elif recurrence.cell != "gru":
        vectors = len(kind.unit_parameters) - len(kind.scalars)
        if vectors:
            shapes["weight_unit"] = (vectors, C)
        if kind.scalars:
            shapes["weight_scalar"] = (len(kind.scalars),)
    if recurrence.layer_norm:
        shapes["norm_ih"] = (U,)
        if rows_r:
            shapes["norm_hh"] = (U,)
        if kind.state_norm:
            shapes["norm_state"] = (2, C)
    if learned:
        shapes["initial_h"] = (H,)
        shapes |= {f"initial_{state}": (C,) for state in kind.states}
    return shapes


def drop_unused_rows(
    recurrence: Recurrence, state: MutableMapping[str, Any], prefix: str, endings: Iterable[str]
) -> None:
    """Remove rows that no equation uses from a state dictionary of an earlier version, in place.

    Args:
        recurrence: the equations and sizes.
        state: tensors by name.
        prefix: of the module, as in ``state_dict``.
        endings: suffixes of the parameters of every direction of every layer.
    """
    U, C = recurrence.n_net_inputs, recurrence.units
    parts = {
        ("weight_ih", "bias_ih", "bias_hh"): recurrence.without_x,
        ("weight_hh",): recurrence.without_r,
    }
    for names, absent in parts.items():
        for key in (prefix + name + end for name in names for end in endings):
            weights = state.get(key)
            if not absent or weights is None or weights.shape[0] != U:
                continue
            net_inputs = zip(recurrence.kind.net_inputs, weights.split(C), strict=True)
            kept = [rows for name, rows in net_inputs if name not in absent]
            if kept:
                state[key] = torch.cat(kept)
            else:
                del state[key]
                state.pop(key.replace("weight_hh", "norm_hh"), None)


def assemble(
    recurrence: Recurrence, names: Iterable[str], value: Callable[[str], Tensor]
) -> LayerWeights:
    """Convert the parameters of one direction to the weights that kernels take.

    Args:
        recurrence: the equations and sizes.
        names: names of the parameters, without suffix.
        value: returns the parameter of a name.
    """
    part = {name: value(name) for name in names}
    b_ih, b_hh = part.get("bias_ih"), part.get("bias_hh")
    bias, unit = None, part.get("weight_peephole", _unit(recurrence, part))
    if b_ih is not None and b_hh is not None:
        both, new = merged_biases(recurrence, b_ih, b_hh)
        bias = _all_rows(both, recurrence, recurrence.without_x)
        unit = unit if new is None else new
    fresh_s = [part[f"initial_{s}"] for s in recurrence.kind.states if f"initial_{s}" in part]
    return LayerWeights(
        w_ih=_all_rows(part["weight_ih"], recurrence, recurrence.without_x),
        w_hh=_recurrent(recurrence, part),
        bias=bias,
        unit=unit,
        w_hr=part.get("weight_hr"),
        ln_ih=part.get("norm_ih"),
        ln_hh=part.get("norm_hh"),
        ln_c=part.get("norm_state"),
        fresh_h=part.get("initial_h"),
        fresh_s=torch.cat(fresh_s) if fresh_s else None,
    )


def _all_rows(
    weights: Tensor,
    recurrence: Recurrence,
    absent: tuple[str, ...],
    matrices: Mapping[str, tuple[float, float, float]] | None = None,
) -> Tensor:
    """Insert zeros for net inputs without rows, and form the matrices ``a W + b W.T + c I``."""
    if not absent and not matrices:
        return weights
    C = recurrence.units
    given = iter(weights.split(C))
    rows = []
    for name in recurrence.kind.net_inputs:
        W = weights.new_zeros(C, *weights.shape[1:]) if name in absent else next(given)
        if matrices and name in matrices:
            a, b, c = matrices[name]
            W = a * W + b * W.T
            if c:
                W = W + c * torch.eye(C, dtype=W.dtype, device=W.device)
        rows.append(W)
    return torch.cat(rows)


def _recurrent(recurrence: Recurrence, part: Mapping[str, Tensor]) -> Tensor:
    if "weight_hh" not in part:
        return part["weight_ih"].new_zeros(recurrence.n_net_inputs, recurrence.n_sources)
    matrices = dict(recurrence.kind.matrices)
    return _all_rows(part["weight_hh"], recurrence, recurrence.without_r, matrices)


def _unit(recurrence: Recurrence, part: Mapping[str, Tensor]) -> Tensor | None:
    """Return the unit parameters, with the scalars repeated for all units."""
    unit, scalars = part.get("weight_unit"), part.get("weight_scalar")
    if scalars is None:
        return unit
    wide = scalars.unsqueeze(1).expand(-1, recurrence.units)
    return wide if unit is None else torch.cat((unit, wide))


@torch.no_grad()
def draw(
    layers: Iterable[Mapping[str, Tensor]],
    recurrence: Recurrence,
    forget_bias: float | None,
    initial: Mapping[str, Value] = MappingProxyType({}),
) -> None:
    """Set parameters to their initial values, in place.

    Weights and biases are uniform within ``1 / sqrt(C)``. Parameters that torch has are drawn
    first and in torch's order, so one seed gives torch's module and this one the same weights.
    Scales start at one; shifts and learned initial states start at zero.

    Args:
        layers: parameters of each direction of each layer, by name without suffix.
        recurrence: the equations and sizes.
        forget_bias: initial bias of the forget gate; None: drawn like the others.
        initial: values of unit parameters, scalars and biases of net inputs by name.
    """
    bound = 1 / math.sqrt(recurrence.units)
    layers = list(layers)
    for part in layers:
        for name in TORCH_NAMES:
            if name in part:
                part[name].uniform_(-bound, bound)
    for part in layers:
        for name, tensor in part.items():
            if name in ("weight_peephole", "weight_unit", "weight_scalar"):
                tensor.uniform_(-bound, bound)
            elif name in ("norm_ih", "norm_hh"):
                tensor.fill_(1.0)
            elif name == "norm_state":
                tensor[0].fill_(1.0)
                tensor[1].fill_(0.0)
            elif name.startswith("initial_"):
                tensor.fill_(0.0)
        for name, value in initial.items():
            _set_initial(part, recurrence, name, value)
        if forget_bias is not None:
            if recurrence.forget_gate:
                _set_initial(part, recurrence, recurrence.forget_gate, forget_bias)
            else:  # coupled: f = 1 - i
                _set_initial(part, recurrence, "input", -forget_bias)


def _set_initial(
    part: Mapping[str, Tensor], recurrence: Recurrence, name: str, value: Value
) -> None:
    """Set a unit parameter, a scalar, or the sum of the two biases of a net input."""
    kind = recurrence.kind
    if name in kind.scalars:
        place = kind.scalars.index(name)
        fill(part["weight_scalar"][place : place + 1], name, value)
    elif name in kind.unit_parameters:
        fill(part["weight_unit"][kind.unit_parameters.index(name)], name, value)
    else:
        widths = zip(kind.net_inputs, recurrence.widths, strict=True)
        present = {net: width for net, width in widths if net not in recurrence.without_x}
        start = sum(list(present.values())[: list(present).index(name)])
        rows = slice(start, start + present[name])
        fill(part["bias_ih"][rows], name, value)
        part["bias_hh"][rows].fill_(0.0)
