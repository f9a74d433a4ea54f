"""Good calls of the native single step, with NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from carrousel import _native
from carrousel.contracts import Recurrence
from carrousel.kernels.native.sequence import _description
from support.kernels.recurrent_cases import Case, make_case

WEIGHTS = (
    *("w_ih", "w_hh", "bias", "unit", "w_hr"),
    *("ln_ih", "ln_hh", "ln_c", "fresh_h", "fresh_s"),
)
CLASSES = {"float32": _native.StepFloat, "float64": _native.StepDouble}
FEATURES = frozenset({"bias", "unit", "norms", "fresh"})


def layer_cases(R: Recurrence, layers: int, T: int, B: int, inputs: int = 5) -> list[Case]:
    """A case for each layer of a stack; a layer reads the outputs of the layer below."""
    return [
        make_case(R, FEATURES, T=T, B=B, I=R.n_outputs if index else inputs, seed=index)
        for index in range(layers)
    ]


def weights_of(cases: list[Case], dtype: str) -> list[dict[str, Any]]:
    """Weights as arguments of the native classes."""
    return [
        {
            name: None if (a := case.arrays.get(name)) is None else a.astype(dtype)
            for name in WEIGHTS
        }
        for case in cases
    ]


def open_native(
    R: Recurrence,
    weights: Any,
    dtype: str,
    *,
    batch: Any,
    inputs: Any = 5,
    zones: Any = (0.0, 0.0),
    storage: Any = "",
    isa: Any = "",
) -> Any:
    """The native object itself, whose exceptions are not translated."""
    return CLASSES[dtype](
        dict(_description(R, dtype)), weights, batch, inputs, *zones, storage, isa
    )


def run_all(native: Any, x: np.ndarray, *, prepare: bool = False) -> np.ndarray:
    """Outputs of all steps of ``x [T, B, I]``."""
    view, out, rows = native.input, native.output, []
    for row in x:
        if prepare:
            native.prepare()
        view[...] = row
        native.run()
        rows.append(out.copy())
    return np.stack(rows)
