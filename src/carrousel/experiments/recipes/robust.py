"""The robust recipe: settings with which nearly every trial of a row succeeds.

Blocks, cells, wiring and the truncated gradient are those of the row. The changes are:

- Experiment 1: states grow to 30 to 60 and act as biases, where a squashing ``h`` is saturated and
  has no gradient. So ``h`` is wide or the identity, ``g`` is narrow, and output gates start open.
  The output error omits the factor ``f'``, and the rate is small.
- 2c with lags above 200, and 4 with T above 100: input gates start closed to suppress noise. Their
  gradient is then as small as their activation, which Adam compensates. Plain gradient descent
  solved some of these rows, but not in every trial.
- 6b: no factor ``f'``, and a tenth of the rate.
- The others keep the settings of the row, with a larger budget where one trial of fifty was slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carrousel.contracts import Batches, Training

Changes = Mapping[str, Any]

_GENTLE = {
    "network.cell.g": "[-1,1]",
    "network.init.range": 0.1,
    "network.init.output_gate_bias": (),
    "budget": 4_000_000,
}
_BLOCKS_OF_TWO: Changes = {
    **_GENTLE,
    "network.cell.h": "[-4,4]",
    "training": Training(rate=0.01, update="step", output_derivative=False),
}
_BLOCKS_OF_ONE: Changes = {
    **_GENTLE,
    "network.cell.h": "identity",
    "training": Training(rate=0.01, update="step", output_derivative=False),
}
_STEPS = Batches(rate=0.01, gradient="truncated")
_LONG_LAG: Changes = {
    "network.init.range": 0.2,
    "network.init.input_gate_weights": -3.0,
    "learner": "adam",
    "training": _STEPS,
    "stop.every": 500,
    "budget": 50_000,
}


def _long_sum(bias: tuple[float, ...]) -> Changes:
    return {
        "network.init.input_gate_bias": bias,
        "learner": "adam",
        "training": Batches(rate=0.01, size=10, gradient="truncated"),
        "budget": 400_000,
    }


ROBUST: Mapping[str, Changes] = {
    "1-1": _BLOCKS_OF_ONE,
    "1-2": _BLOCKS_OF_TWO,
    "1-3": _BLOCKS_OF_TWO,
    "1-4": _BLOCKS_OF_ONE,
    "1-5": _BLOCKS_OF_TWO,
    "2a": {},
    "2b": {"training": Training(rate=4.0, update="step", cells_added_after=1000)},
    "2c-1": {},
    "2c-2": {"budget": 1_000_000},
    "2c-3": {"budget": 1_000_000},
    **dict.fromkeys(("2c-4", "2c-5", "2c-6", "2c-7", "2c-8", "2c-9"), _LONG_LAG),
    "3a-1": {"budget": 2_000_000},
    "3a-2": {"budget": 2_000_000},
    "3a-3": {},
    "3b-1": {},
    "3b-2": {},
    "3b-3": {},
    "3c-1": {},
    "3c-2": {},
    "4-1": {},
    "4-2": _long_sum((-5.0, -6.0)),
    "4-3": _long_sum((-6.0, -7.0)),
    "5-1": {"network.cell.g": "[-1,1]", "network.cell.h": "[-1,1]"},
    "5-2": {"network.cell.g": "[-1,1]", "network.cell.h": "[-1,1]"},
    "6a": {},
    "6b": {"training": Training(rate=0.01, output_derivative=False), "budget": 5_000_000},
}
"""Changes by row; empty where nearly every trial succeeds with the settings of the row."""
