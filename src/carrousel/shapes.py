"""Letters, array types, checks and every exception: the leaf that all modules may import.

Letters used in shapes throughout the package:

=====  ==========================================================================
``T``  time steps of one sequence
``B``  sequences of one batch, or lanes (independent trials) where a kernel says so
``I``  inputs, or symbols of an input alphabet
``H``  hidden units: gates and cells together
``C``  memory cells
``G``  gates of one block
``O``  outputs
``W``  weights of one network
``N``  sequences of a ragged container
``M``  steps that carry a target
=====  ==========================================================================

Gates and cells are always stored in the order of :data:`GATE_ORDER`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool as Bool
    from jaxtyping import Float as Float
    from jaxtyping import Int as Int
else:  # shapes are enforced while testing only, so jaxtyping stays out of the core's dependencies
    try:
        from jaxtyping import Bool, Float, Int
    except ImportError:

        class _Unchecked:
            def __class_getitem__(cls, item: Any) -> type[np.ndarray]:
                return np.ndarray

        Bool = Float = Int = _Unchecked

GATE_ORDER = ("input", "forget", "cell", "output")
"""The order of gate and cell units in every weight matrix (the order of ``torch.nn.LSTM``)."""


Interval = tuple[float, float]
