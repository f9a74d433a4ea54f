"""The door of torch to the kernels: one direction of one layer, differentiable."""

from __future__ import annotations

from carrousel.contracts import Recurrence
from carrousel.kernels.autograd_layer import LayerInputs as LayerInputs
from carrousel.kernels.autograd_layer import LayerOptions as LayerOptions
from carrousel.kernels.autograd_layer import LayerResult as LayerResult
from carrousel.kernels.autograd_plain import plain_layer as plain_layer


def layer(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> LayerResult:
    """Run a layer by the fastest way there is for these tensors."""
    return plain_layer(inputs, recurrence, options)
