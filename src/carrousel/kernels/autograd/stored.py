"""The forward pass with weights stored in fewer bits: no gradients, float32 states and sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from carrousel.contracts import CELLS, Recurrence
from carrousel.errors import SettingError
from carrousel.kernels.autograd.compiled import lent
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions, LayerResult
from carrousel.kernels.autograd.ops import ORDINARY, is_eager
from carrousel.kernels.native import sequence as native

MATRICES = {"w_ih": "s_ih", "w_hh": "s_hh", "w_hr": "s_hr"}
"""Weights that can be stored in fewer bits, and the names of their scales in int8."""

STORAGES = ("bfloat16", "float16", "int8")
"""Types that matrices can be stored in."""

_HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Int8Rows(NamedTuple):
    """A matrix as int8: ``rows[i, k] * scales[i]``."""

    rows: Tensor
    scales: Tensor


def to_int8(matrix: Tensor) -> Int8Rows:
    """Round a matrix to int8 with one scale for each row: its largest number divided by 127.

    Raises:
        SettingError: a number is not finite.

    >>> to_int8(torch.tensor([[1.0, -2.0], [0.0, 0.0]])).rows.tolist()
    [[64, -127], [0, 0]]
    """
    if not torch.isfinite(matrix).all():
        raise SettingError(
            "a weight is infinite or NaN, which int8 cannot store",
            argument="storage",
            got="int8",
            fix="repair the weights, or use another storage",
        )
    scales = matrix.abs().amax(1) / 127
    rows = torch.where(scales.unsqueeze(1) > 0, matrix / scales.unsqueeze(1), 0.0)
    return Int8Rows(rows.round().clamp(-127, 127).to(torch.int8), scales)


def store(weights: Mapping[str, Tensor | None], storage: str) -> dict[str, Tensor | None]:
    """Return weights with the matrices in another type, and the scales of int8 by name.

    Args:
        weights: tensors by the names of ``LayerInputs``.
        storage: one of :data:`STORAGES`.

    Raises:
        SettingError: a number does not fit into the type.
    """
    found = dict(weights)
    for name, scale in MATRICES.items():
        matrix = weights.get(name)
        if matrix is None:
            continue
        if storage == "int8":
            found[name], found[scale] = to_int8(matrix)
            continue
        found[name] = half = matrix.to(_HALVES[storage])
        if not torch.equal(torch.isfinite(half), torch.isfinite(matrix)):
            raise SettingError(
                f"a weight of {matrix.abs().max():g} is too large for {storage}",
                argument="storage",
                got=storage,
                fix="use storage='bfloat16' or 'int8'",
            )
    return found


def arrays_of(weights: Mapping[str, Tensor | None]) -> dict[str, Any]:
    """Return tensors by name, as native code takes them; 16 bits as whole numbers."""
    return {name: None if one is None else _array(one) for name, one in weights.items()}


def _array(tensor: Tensor) -> Any:
    tensor = tensor.detach().resolve_neg().contiguous()
    return lent(tensor.view(torch.uint16) if tensor.dtype in _HALVES.values() else tensor)


def check_storable(recurrence: Recurrence) -> None:
    """Check that the kernels run a cell with stored weights.

    Raises:
        SettingError: they do not.
    """
    if not native.is_compiled(recurrence, "float32"):
        raise SettingError(
            f"cell {recurrence.cell_name!r} is not compiled, so its weights cannot be stored in "
            "fewer bits",
            argument="storage",
            fix="install Numba: pip install 'carrousel[cells]'",
        )
    if recurrence.kind.products:
        raise SettingError(
            f"cell {recurrence.cell_name!r} has several recurrent products, whose weights can only "
            "be stored as float32",
            argument="storage",
            fix="keep this layer in float32",
        )


def stored_layer(
    inputs: LayerInputs,
    recurrence: Recurrence,
    options: LayerOptions,
    storage: str,
    scales: Mapping[str, Tensor] | None = None,
) -> LayerResult:
    """Run one direction of one layer without gradients.

    Args:
        inputs: float32, but for matrices in the type of ``storage``, and masks.
        recurrence: equations and sizes; :func:`check_storable` accepts them. A cell from equations
            has no layer_norm: torch would normalise its net inputs.
        options: settings of the call, without ``record``.
        storage: one of :data:`STORAGES`.
        scales: those of int8, by the names in :data:`MATRICES`.
    """
    T, B = inputs.x.shape[:2]
    out = torch.empty(T, B, recurrence.n_sources)
    h, s = torch.empty(inputs.h0.shape), torch.empty(inputs.s0.shape)
    call = arrays_of({**inputs._asdict(), **(scales or {}), "out": out, "h": h, "s": s})
    call |= {
        "storage": storage,
        "threads": torch.get_num_threads(),
        "reverse": options.reverse,
        "zone_h": options.zone_h,
        "zone_s": options.zone_s,
    }
    native.forward(recurrence, "float32", call)
    return LayerResult(out, h, s)


_FEW = 64
"""Sequences times steps, below which a call is mostly the packing of its weights."""


def fits_bfloat16(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> bool:
    """Return whether :func:`bfloat16_layer` can run a call, and saves time.

    With several sequences arithmetic limits the speed, not the bytes of the weights.
    """
    x = inputs.x
    return (
        x.dtype == torch.bfloat16
        and type(x) in ORDINARY
        and (x.shape[1] <= 2 or x.shape[0] * x.shape[1] <= _FEW)
        and not (torch.is_grad_enabled() and inputs.learns)
        and not options.record
        and not inputs.is_projected
        and not (recurrence.layer_norm and recurrence.cell not in CELLS)
        and is_eager()
    )


def bfloat16_layer(
    inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions
) -> LayerResult:
    """Run a layer whose tensors are bfloat16 as :func:`stored_layer`; results are float32."""
    wide = {
        name: one if one is None or name in MATRICES or not one.is_floating_point() else one.float()
        for name, one in inputs._asdict().items()
    }
    return stored_layer(LayerInputs(**wide), recurrence, options, "bfloat16")  # type: ignore[arg-type]
