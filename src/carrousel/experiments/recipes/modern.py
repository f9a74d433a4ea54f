"""The modern recipe: full gradient, Adam, forget gates where they help.

Nearly all rows use the same rate. Short sequences are learned in batches of ten, long ones one by
one. Only Experiment 1 has forget gates: its strings require states to be reset, while long lags
require states to be kept. Input gates of the longest lags start closed, as in the robust recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carrousel.contracts import Batches

Changes = Mapping[str, Any]


def _adam(training: Batches, **others: Any) -> Changes:
    return {"learner": "adam", "training": training, **others}


_TENS = Batches(rate=0.01, size=10)
_ONES = Batches(rate=0.01)


def _grammar(blocks: int) -> Changes:
    return _adam(
        Batches(rate=0.005, size=2),
        **{
            "network.cell.g": "[-2,2]",
            "network.cell.h": "[-1,1]",
            "network.cell.forget_gate": True,
            "network.bias": "all",
            "network.init.forget_gate_bias": (1.0,) * blocks,
            "network.init.output_gate_bias": (),
            "stop.every": 1000,
            "budget": 100_000,
        },
    )


_LONG_LAG = _adam(
    _ONES,
    **{
        "network.init.range": 0.2,
        "network.init.input_gate_weights": -3.0,
        "stop.every": 500,
        "budget": 50_000,
    },
)
_NOISE = _adam(_TENS)


def _product() -> Changes:
    ranges = {"network.cell.g": "[-2,2]", "network.cell.h": "[-1,1]"}
    return _adam(Batches(rate=0.003, size=10), budget=600_000, **ranges)


def _long_sum(bias: tuple[float, ...]) -> Changes:
    return _adam(_TENS, **{"network.init.input_gate_bias": bias, "budget": 400_000})


MODERN: Mapping[str, Changes] = {
    "1-1": _grammar(4),
    "1-2": _grammar(3),
    "1-3": _grammar(3),
    "1-4": _grammar(4),
    "1-5": _grammar(3),
    "2a": _adam(Batches(rate=0.003), budget=30_000),
    "2b": _adam(Batches(rate=0.003), budget=30_000),
    **dict.fromkeys((f"2c-{row}" for row in range(1, 10)), _LONG_LAG),
    **dict.fromkeys(("3a-1", "3a-2", "3a-3", "3b-1", "3b-2", "3b-3", "3c-1", "3c-2"), _NOISE),
    "4-1": _adam(_TENS),
    "4-2": _long_sum((-5.0, -6.0)),
    "4-3": _long_sum((-6.0, -7.0)),
    "5-1": _product(),
    "5-2": _product(),
    "6a": _adam(_TENS),
    "6b": _adam(_TENS, budget=600_000),
}
"""Changes by row."""
