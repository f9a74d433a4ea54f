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

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.floating[Any]]
"""An array of real numbers; ``Annotated[Floats, "T B I"]`` names its axes."""
Ints: TypeAlias = npt.NDArray[np.integer[Any]]
"""An array of whole numbers: symbols, offsets, steps."""
Array: TypeAlias = npt.NDArray[Any]
"""Values (floats) or symbols (whole numbers), where either is allowed."""
Bools: TypeAlias = npt.NDArray[np.bool_]
"""An array of truth values: masks."""

GATE_ORDER = ("input", "forget", "cell", "output")
"""The order of gate and cell units in every weight matrix (the order of ``torch.nn.LSTM``)."""


Interval = tuple[float, float]
