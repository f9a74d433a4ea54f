"""Entry point from torch to the kernels: one direction of one layer, differentiable."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad
from torch.nn.functional import layer_norm, linear

from carrousel.contracts import CELLS, Recurrence, gradient_cut
from carrousel.contracts.recurrence import ACTIVE, NORM_EPSILON
from carrousel.kernels.autograd.layer import LayerInputs as LayerInputs
from carrousel.kernels.autograd.layer import LayerOptions as LayerOptions
from carrousel.kernels.autograd.layer import LayerResult as LayerResult
from carrousel.kernels.autograd.ops import run_forward
from carrousel.kernels.autograd.plain import plain_layer as plain_layer
from carrousel.kernels.autograd.stored import bfloat16_layer, fits_bfloat16
from carrousel.kernels.autograd.vendor import vendor_fits, vendor_layer
from carrousel.kernels.autograd.vmap import TENSORS
from carrousel.kernels.native.sequence import is_compiled

_HALVES = (torch.bfloat16, torch.float16)


def layer(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> LayerResult:
    """Run a layer with the fastest implementation for these tensors.

    - On the CPU: the compiled kernel. ``float16`` and ``bfloat16`` are computed in ``float32`` and
      rounded; without gradients and for few sequences, ``bfloat16`` weights are read as they are.
    - On other devices: torch's own kernel, for cells that it has.
    - Otherwise the plain path: variants on other devices, forward-mode differentiation, recorded
      gates of cells from equations.

    Args:
        inputs: tensors, shapes as in :class:`LayerInputs`.
        recurrence: equations and sizes.
        options: settings of the call.
    """
    if inputs.x.dtype in _HALVES and _fits(inputs, recurrence, options, torch.float32):
        if fits_bfloat16(inputs, recurrence, options):
            result = bfloat16_layer(inputs, recurrence, options)
        else:
            result = _compiled(_cast(inputs, torch.float32), recurrence, options)
        return LayerResult(*(None if r is None else r.to(inputs.x.dtype) for r in result))  # type: ignore[arg-type]
    if _fits(inputs, recurrence, options, inputs.x.dtype):
        return _compiled(inputs, recurrence, options)
    if inputs.x.device.type not in ("cpu", "meta") and vendor_fits(inputs, recurrence, options):
        return vendor_layer(inputs, recurrence, options)
    return plain_layer(inputs, recurrence, options)


def _fits(
    inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions, dtype: torch.dtype
) -> bool:
    return (
        inputs.x.device.type == "cpu"
        and forward_ad._current_level < 0  # the operations have no forward-mode derivative
        and not (torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active())
        and not (options.record and recurrence.cell not in CELLS)
        # The exporter translates the operation and does not run it.
        and (
            is_compiled(recurrence, str(dtype).removeprefix("torch."))
            or torch.onnx.is_in_onnx_export()
        )
    )


def _cast(inputs: LayerInputs, dtype: torch.dtype) -> LayerInputs:
    return LayerInputs(
        *(v.to(dtype) if v is not None and v.is_floating_point() else v for v in inputs)  # type: ignore[arg-type]
    )


def _compiled(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> LayerResult:
    if recurrence.layer_norm and recurrence.cell not in CELLS:
        inputs = _projected(inputs, recurrence)
    inputs = _complete(inputs, recurrence)
    # Under torch.func a sample does not show whether an outer transform differentiates.
    mapped = torch._C._are_functorch_transforms_active()
    tape = options.record or mapped or (torch.is_grad_enabled() and inputs.learns)
    tensors = inputs._asdict()
    found = run_forward(
        *(tensors[name] for name in TENSORS),
        recurrence.key,
        options.reverse,
        gradient_cut(options.gradient),
        0 if options.record else min(options.recompute, max(1, inputs.x.shape[0])),
        options.zone_h,
        options.zone_s,
        tape,
    )
    out, h, s, states, gates = found[:5]
    return LayerResult(out, h, s, *((states, gates) if options.record else ()))


def _projected(inputs: LayerInputs, recurrence: Recurrence) -> LayerInputs:
    """Replace ``x`` by ``LN(w_ih x) + bias``, which cells from equations receive."""
    x, size = inputs.x, (recurrence.n_net_inputs,)
    if inputs.flags is not None:  # padding may be NaN, and NaN times an error of zero is NaN
        x = torch.where((inputs.flags & ACTIVE).bool().unsqueeze(2), x, 0.0)
    x = layer_norm(linear(x, inputs.w_ih), size, inputs.ln_ih, eps=NORM_EPSILON)
    x = x if inputs.bias is None else x + inputs.bias
    return inputs._replace(x=x, w_ih=inputs.w_ih.new_empty(0), ln_ih=None, bias=None)


def _complete(inputs: LayerInputs, recurrence: Recurrence) -> LayerInputs:
    """Add neutral values for absent parameters that the kernel requires."""
    C, kind, missing = recurrence.units, recurrence.kind, {}
    if recurrence.layer_norm and inputs.ln_hh is None:
        missing["ln_hh"] = inputs.x.new_ones(recurrence.n_net_inputs)
    if recurrence.layer_norm and inputs.ln_ih is None and not inputs.is_projected:
        missing["ln_ih"] = inputs.x.new_ones(recurrence.n_net_inputs)
    if recurrence.layer_norm and kind.state_norm and inputs.ln_c is None:
        missing["ln_c"] = torch.stack((inputs.x.new_ones(C), inputs.x.new_zeros(C)))
    if kind.unit_parameters and inputs.unit is None:
        missing["unit"] = inputs.x.new_zeros(len(kind.unit_parameters), C)
    return inputs._replace(**missing)
