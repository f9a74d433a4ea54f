"""One direction of one layer by torch's own fused kernel: what accelerators have for plain cells.

On CUDA that is cuDNN's. It knows no options beyond a projection, and no derivatives beyond the
first; where cuDNN is switched off (``torch.backends.cudnn.enabled = False``), torch's own code
takes over, which has second ones.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions, LayerResult

_FUSED = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def vendor_fits(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> bool:
    """Whether torch's kernel computes this call, and nothing that it could not differentiate."""
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
    """Run a layer for which :func:`vendor_fits`; shapes and meaning as in :class:`LayerInputs`.

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
    # Called as if training: dropout is zero, and a way back is wanted in evaluation too.
    rest = (weights, biased, 1, 0.0, True, False, False)
    if recurrence.cell == "lstm":
        out, h, s = torch._VF.lstm(x, (h0, inputs.s0.unsqueeze(0)), *rest)  # type: ignore[attr-defined]
        s = s.squeeze(0)
    else:
        out, h = getattr(torch._VF, recurrence.cell)(x, h0, *rest)
        s = inputs.s0
    return LayerResult(out.flip(0) if options.reverse else out, h.squeeze(0), s)


def _biases(inputs: LayerInputs, recurrence: Recurrence) -> list[Tensor]:
    """Torch's two biases; that of a gru's new value inside the product belongs to the second."""
    first = inputs.w_ih.new_zeros(recurrence.n_net_inputs) if inputs.bias is None else inputs.bias
    second = torch.zeros_like(first)
    if inputs.unit is not None:
        second = torch.cat((second[: 2 * recurrence.units], inputs.unit[0]))
    return [first, second]
