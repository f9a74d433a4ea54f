"""One direction of one layer by torch's fused kernel, for plain cells on accelerators.

On CUDA this is cuDNN's kernel. It supports no options besides a projection, and only first
derivatives. With ``torch.backends.cudnn.enabled = False``, torch uses its own code, which has
second derivatives.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions, LayerResult

_FUSED = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def vendor_fits(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> bool:
    """Return whether torch's kernel supports this call and its derivatives."""
    given = (inputs.flags, inputs.keep_h, inputs.keep_s, inputs.drop)
    return (
        recurrence.cell in _FUSED
        and not recurrence.layer_norm
        and all(value is None for value in given)
        and not (options.zone_h or options.zone_s or options.record or options.recompute)
        and options.gradient == "bptt"
        and inputs.x.numel() > 0
        and forward_ad._current_level < 0
        and not torch._C._are_functorch_transforms_active()
    )


def vendor_layer(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> LayerResult:
    """Run a layer for which :func:`vendor_fits` is true; shapes as in :class:`LayerInputs`.

    >>> x, state = torch.ones(3, 1, 1), torch.zeros(1, 2)
    >>> inputs = LayerInputs(x, torch.ones(8, 1), torch.zeros(8, 2), state, state)
    >>> result = vendor_layer(inputs, Recurrence("lstm", 2), LayerOptions())
    >>> [round(float(h), 4) for h in result.out[:, 0, 0]]
    [0.3696, 0.5453, 0.6225]
    """
    x = inputs.x.flip(0) if options.reverse else inputs.x
    weights = [inputs.w_ih, inputs.w_hh]
    biased = inputs.bias is not None or inputs.unit is not None
    if biased:
        weights += _biases(inputs, recurrence)
    if inputs.w_hr is not None:
        weights.append(inputs.w_hr)
    h0 = inputs.h0.unsqueeze(0)
    # Called in training mode: dropout is zero, and gradients are wanted in evaluation too.
    rest = (weights, biased, 1, 0.0, True, False, False)
    if recurrence.cell == "lstm":
        out, h, s = torch._VF.lstm(x, (h0, inputs.s0.unsqueeze(0)), *rest)  # type: ignore[attr-defined]
        s = s.squeeze(0)
    else:
        out, h = getattr(torch._VF, recurrence.cell)(x, h0, *rest)
        s = inputs.s0
    return LayerResult(out.flip(0) if options.reverse else out, h.squeeze(0), s)


def _biases(inputs: LayerInputs, recurrence: Recurrence) -> list[Tensor]:
    """Return torch's two biases; the second contains the bias ``b`` of a gru."""
    first = inputs.w_ih.new_zeros(recurrence.n_net_inputs) if inputs.bias is None else inputs.bias
    second = torch.zeros_like(first)
    if inputs.unit is not None:
        second = torch.cat((second[: 2 * recurrence.units], inputs.unit[0]))
    return [first, second]
