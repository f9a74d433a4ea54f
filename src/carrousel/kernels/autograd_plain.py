"""One direction of one layer in plain torch operations: every option, differentiable any order."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from carrousel.contracts import Recurrence, gradient_cut
from carrousel.contracts.recurrence import ACTIVE, NORM_EPSILON, RESET
from carrousel.kernels.autograd_layer import LayerInputs, LayerOptions, LayerResult


def plain_layer(inputs: LayerInputs, recurrence: Recurrence, options: LayerOptions) -> LayerResult:
    """Run a layer step by step; shapes and meaning as in :class:`LayerInputs`."""
    raise NotImplementedError
