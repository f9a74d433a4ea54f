"""Good calls of the sequence kernels, for tests that change one argument at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import _native
from carrousel.contracts import Recurrence
from support.kernels import sequence_runs
from support.kernels.recurrent_cases import make_case
from support.kernels.spoilt import REFUSALS

EVERYTHING = frozenset({"bias", "unit", "norms", "fresh", "drop", "lengths", "resets", "masks"})

# Together they use every array.
LAYERS = {
    "peephole": Recurrence("peephole", 3, projection=2),
    "normed": Recurrence("lstm", 3, layer_norm=True),
    "gru": Recurrence("gru", 3),
}
T, B, I = 4, 2, 5  # noqa: E741


class Call:
    """A good call of the forward or backward pass: the description, and other arguments."""

    def __init__(self, layer: str = "peephole", *, learn: bool = False, recompute: int = 0) -> None:
        self.R, self.learn = LAYERS[layer], learn
        case = make_case(self.R, EVERYTHING, T=T, B=B, I=I)
        setup = sequence_runs.Setup()
        caught: list[Any] = []

        def catch(dtype: str, description: dict[str, Any], call: dict[str, Any]) -> None:
            caught[:] = [dict(description), call]
            real(dtype, description, call)

        name = "sequence_backward" if learn else "sequence_forward"
        tape = sequence_runs.forward(case, setup, recompute=recompute)
        with pytest.MonkeyPatch.context() as patch:
            real = getattr(_native, name)
            patch.setattr(_native, name, catch)
            if learn:
                sequence_runs.backward(case, tape, None, setup, recompute=recompute)
            else:
                sequence_runs.forward(case, setup, recompute=recompute)
        self.description, call = caught
        # Copies of all arrays, so that none share memory.
        self.call: dict[str, Any] = {
            name: np.nan_to_num(value) if isinstance(value, np.ndarray) else value
            for name, value in call.items()
        }

    def run(self, dtype: str = "float64") -> None:
        kernel = _native.sequence_backward if self.learn else _native.sequence_forward
        kernel(dtype, self.description, self.call)

    def put(self, name: str, value: Any) -> Call:
        assert name in self.call
        self.call[name] = value
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: a for name, a in self.call.items() if isinstance(a, np.ndarray)}

    @property
    def outputs(self) -> list[str]:
        every = {"h", "s", "out", "states", "gates", "extra", "marks"}
        if self.learn:
            every = {"dh", "ds", "d_x", *(f"d_{name}" for name in sequence_runs.WEIGHTS)}
        return sorted(every & set(self.arrays()))


def refused(call: Call, match: str | None = None) -> None:
    """Assert that a call raises and changes no array."""
    before = {name: array.copy() for name, array in call.arrays().items()}
    with pytest.raises(REFUSALS, match=match):
        call.run()
    for name, array in call.arrays().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
