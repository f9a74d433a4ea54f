"""Letters of shapes, array types, and the order of gates.

A letter means the same thing in every docstring, comment and annotation of the package and of
``native/``:

=====  ===========================================================================================
``T``  time steps of one sequence or window
``B``  entries of a batch: sequences, lanes (independent trials) or streams
``I``  inputs: components of an input vector, or symbols of the input alphabet
``O``  outputs
``C``  memory cells of a layer; a simple unit counts as a cell
``U``  units of a hidden layer: gates and cells together, in the order of :data:`GATE_ORDER`
``H``  components of the hidden state that is fed back; equals ``C`` without a projection
``D``  state vectors of a cell besides the hidden state (LSTM: 1, GRU: 0)
``P``  parameters of a cell besides its weights and biases, such as peepholes
``S``  sources of a hidden unit: inputs, units fed back, and the constant 1 of the bias
``W``  weights of one network
``N``  sequences of a ragged container, or rows of a stream
``M``  time steps that have a target
=====  ===========================================================================================

Other sizes are written as words (``"steps"``, ``"rows"``) or as sums and products of these
(``"N+1"``, ``"D*C"``). ``"I or 1"`` is a size that depends on a setting.
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

Interval: TypeAlias = tuple[float, float]
"""The lower and the upper end of an interval."""
