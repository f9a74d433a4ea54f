"""Parameters of one direction of one layer: names, shapes, first values, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from carrousel.contracts import Recurrence

TORCH_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
"""Parameters that torch's modules have too, in torch's order."""


class LayerWeights(NamedTuple):
    """Weights of one direction of one layer as the kernels take them.

    Shapes and meaning are those of :class:`carrousel.kernels.autograd.dispatch.LayerInputs`; None: absent.
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
        """The same weights in another type."""
        cast = {name: None if w is None else w.to(dtype) for name, w in self._asdict().items()}
        return self._replace(**cast)


def parameter_shapes(
    recurrence: Recurrence, n_inputs: int, *, bias: bool, learned: bool
) -> dict[str, tuple[int, ...]]:
    """Names without suffix, and shapes, in the order of the state dictionary.

    >>> parameter_shapes(Recurrence("peephole", 3), 2, bias=False, learned=False)
    {'weight_ih': (12, 2), 'weight_hh': (12, 3), 'weight_peephole': (3, 3)}
    """
    N, K, M = recurrence.n_net_inputs, recurrence.n_sources, recurrence.units
    kind = recurrence.kind
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (N, n_inputs), "weight_hh": (N, K)}
    if bias:
        shapes |= {"bias_ih": (N,), "bias_hh": (N,)}
    if recurrence.projection:
        shapes["weight_hr"] = (K, M)
    if recurrence.cell == "peephole":
        shapes["weight_peephole"] = (3, M)
    elif kind.unit_parameters and recurrence.cell != "gru":
        shapes["weight_unit"] = (len(kind.unit_parameters), M)
    if recurrence.layer_norm:
        shapes |= {"norm_ih": (N,), "norm_hh": (N,)}
        if kind.state_norm:
            shapes["norm_state"] = (2, M)
    if learned:
        shapes["initial_h"] = (K,)
        shapes |= {f"initial_{state}": (M,) for state in kind.states}
    return shapes


def assemble(
    recurrence: Recurrence, names: Iterable[str], value: Callable[[str], Tensor]
) -> LayerWeights:
    """Parameters of one direction, whose ``value`` is asked for by name, as the kernels' weights.

    The two biases of torch are one to the kernels. Only the new gate of a GRU tells them apart:
    ``tanh(x_n + b_in + r (r_n + b_hn))``, so ``b_hn`` goes to the unit parameters.
    """
    have = {name: value(name) for name in names}
    b_ih, b_hh, M = have.get("bias_ih"), have.get("bias_hh"), recurrence.units
    bias, unit = None, have.get("weight_peephole", have.get("weight_unit"))
    if b_ih is not None and b_hh is not None:
        bias = b_ih + b_hh
        if recurrence.cell == "gru":
            bias = torch.cat([bias[: 2 * M], b_ih[2 * M :]])
            unit = b_hh[2 * M :].unsqueeze(0)
    fresh_s = [have[f"initial_{s}"] for s in recurrence.kind.states if f"initial_{s}" in have]
    return LayerWeights(
        w_ih=have["weight_ih"],
        w_hh=have["weight_hh"],
        bias=bias,
        unit=unit,
        w_hr=have.get("weight_hr"),
        ln_ih=have.get("norm_ih"),
        ln_hh=have.get("norm_hh"),
        ln_c=have.get("norm_state"),
        fresh_h=have.get("initial_h"),
        fresh_s=torch.cat(fresh_s) if fresh_s else None,
    )


@torch.no_grad()
def draw(
    layers: Iterable[Mapping[str, Tensor]], recurrence: Recurrence, forget_bias: float | None
) -> None:
    """Give parameters their first values; each mapping holds one direction, by base name.

    Weights and biases are uniform within ``1 / sqrt(M)``. Those that torch has are drawn first and
    in torch's order, so that one seed gives torch's module and this one the same weights, whatever
    else this one has. Scales start at one, shifts and learned initial states at zero.
    """
    bound = 1 / math.sqrt(recurrence.units)
    layers = list(layers)
    for have in layers:
        for name in TORCH_NAMES:
            if name in have:
                have[name].uniform_(-bound, bound)
    for have in layers:
        for name, tensor in have.items():
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
            _start_forgetting(have, recurrence, forget_bias)


def _start_forgetting(have: Mapping[str, Tensor], recurrence: Recurrence, value: float) -> None:
    """Let the two biases of the forget gate add up to ``value``; ``coupled`` forgets ``1 - i``."""
    names = recurrence.kind.net_inputs
    gate = names.index("forget" if "forget" in names else "input")
    start = sum(recurrence.widths[:gate])
    rows = slice(start, start + recurrence.widths[gate])
    have["bias_ih"][rows].fill_(value if "forget" in names else -value)
    have["bias_hh"][rows].fill_(0.0)
