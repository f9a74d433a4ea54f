"""Parameters of one direction of one layer: names, shapes and initial values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from carrousel.contracts import Recurrence

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
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (U, n_inputs), "weight_hh": (U, H)}
    if bias:
        shapes |= {"bias_ih": (U,), "bias_hh": (U,)}
    if recurrence.projection:
        shapes["weight_hr"] = (H, C)
    if recurrence.cell == "peephole":
        shapes["weight_peephole"] = (3, C)
    elif kind.unit_parameters and recurrence.cell != "gru":
        shapes["weight_unit"] = (len(kind.unit_parameters), C)
    if recurrence.layer_norm:
        shapes |= {"norm_ih": (U,), "norm_hh": (U,)}
        if kind.state_norm:
            shapes["norm_state"] = (2, C)
    if learned:
        shapes["initial_h"] = (H,)
        shapes |= {f"initial_{state}": (C,) for state in kind.states}
    return shapes


def assemble(
    recurrence: Recurrence, names: Iterable[str], value: Callable[[str], Tensor]
) -> LayerWeights:
    """Convert the parameters of one direction to the weights that kernels take.

    Kernels take the sum of torch's two biases. The new value of a GRU needs them apart:
    ``tanh(x_n + b_in + r (r_n + b_hn))``, so ``b_hn`` becomes a unit parameter.

    Args:
        recurrence: the equations and sizes.
        names: names of the parameters, without suffix.
        value: returns the parameter of a name.
    """
    part = {name: value(name) for name in names}
    b_ih, b_hh, C = part.get("bias_ih"), part.get("bias_hh"), recurrence.units
    bias, unit = None, part.get("weight_peephole", part.get("weight_unit"))
    if b_ih is not None and b_hh is not None:
        bias = b_ih + b_hh
        if recurrence.cell == "gru":
            bias = torch.cat([bias[: 2 * C], b_ih[2 * C :]])
            unit = b_hh[2 * C :].unsqueeze(0)
    fresh_s = [part[f"initial_{s}"] for s in recurrence.kind.states if f"initial_{s}" in part]
    return LayerWeights(
        w_ih=part["weight_ih"],
        w_hh=part["weight_hh"],
        bias=bias,
        unit=unit,
        w_hr=part.get("weight_hr"),
        ln_ih=part.get("norm_ih"),
        ln_hh=part.get("norm_hh"),
        ln_c=part.get("norm_state"),
        fresh_h=part.get("initial_h"),
        fresh_s=torch.cat(fresh_s) if fresh_s else None,
    )


@torch.no_grad()
def draw(
    layers: Iterable[Mapping[str, Tensor]], recurrence: Recurrence, forget_bias: float | None
) -> None:
    """Set parameters to their initial values, in place.

    Weights and biases are uniform within ``1 / sqrt(C)``. Parameters that torch has are drawn
    first and in torch's order, so one seed gives torch's module and this one the same weights.
    Scales start at one; shifts and learned initial states start at zero.

    Args:
        layers: parameters of each direction of each layer, by name without suffix.
        recurrence: the equations and sizes.
        forget_bias: initial bias of the forget gate; None: drawn like the others.
    """
    bound = 1 / math.sqrt(recurrence.units)
    layers = list(layers)
    for part in layers:
        for name in TORCH_NAMES:
            if name in part:
                part[name].uniform_(-bound, bound)
    for part in layers:
        for name, tensor in part.items():
            if name in ("weight_peephole", "weight_unit"):
                tensor.uniform_(-bound, bound)
            elif name in ("norm_ih", "norm_hh"):
                tensor.fill_(1.0)
            elif name == "norm_state":
                tensor[0].fill_(1.0)
                tensor[1].fill_(0.0)
            elif name.startswith("initial_"):
                tensor.fill_(0.0)
        if forget_bias is not None:
            _set_forget_bias(part, recurrence, forget_bias)


def _set_forget_bias(part: Mapping[str, Tensor], recurrence: Recurrence, value: float) -> None:
    """Set the sum of the two biases of the forget gate; ``coupled`` has ``f = 1 - i``."""
    names = recurrence.kind.net_inputs
    gate = names.index("forget" if "forget" in names else "input")
    start = sum(recurrence.widths[:gate])
    rows = slice(start, start + recurrence.widths[gate])
    part["bias_ih"][rows].fill_(value if "forget" in names else -value)
    part["bias_hh"][rows].fill_(0.0)
