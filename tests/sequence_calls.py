"""Good calls of the sequence kernels, to be spoilt one argument at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sequence_runs
from carrousel.contracts import Recurrence
from carrousel.kernels.sequence import (
    _description,
    extra_width,
    gates_width,
    has_own_errors,
)
from recurrent_cases import make_case

# What nanobind and our checks raise; whatever else, or nothing at all, is a failure.
REFUSALS = (TypeError, ValueError, KeyError, OverflowError, RuntimeError, MemoryError)
EVERYTHING = frozenset({"bias", "unit", "norms", "fresh", "drop", "lengths", "resets", "masks"})

# Between the two, every array there is.
LAYERS = {
    "peephole": Recurrence("peephole", 3, projection=2, layer_norm=True),
    "gru": Recurrence("gru", 3),
}
T, B = 4, 2


class Call:
    """One good call of each way, to be spoilt: arguments of the constructor, and of a window."""

    def __init__(self, layer: str = "peephole", *, learn: bool = False) -> None:
        R = self.R = LAYERS[layer]
        case = make_case(R, EVERYTHING, T=T, B=B)
        arrays = sequence_runs.completed(case, "float64")
        self.weights = {name: arrays.get(name) for name in sequence_runs.WEIGHTS}
        self.description: Any = dict(_description(R, "float64"))
        self.opening: dict[str, Any] = {
            **{"batch": B, "threads": 1, "cut": 0, "learn": learn, "sources": True},
            **{"h": arrays["h0"].copy(), "s": arrays["s0"].copy(), "instruction_set": ""},
        }
        self.window: dict[str, Any] = {name: arrays[name] for name in sequence_runs.MASKS}
        self.window |= {"steps": T, "first": 0, "reverse": False, "zone_h": 0.0, "zone_s": 0.0}
        sizes = {
            **{"out": R.n_sources, "states": R.n_states, "gates": gates_width(R)},
            **{"extra": extra_width(R, True), "x": R.n_net_inputs},
            **{"d_out": R.n_sources, "d_states": R.n_states, "d_x": R.n_net_inputs},
        }
        if has_own_errors(R):
            sizes["d_r"] = R.n_net_inputs
        if R.projection:
            sizes["d_projected"] = R.n_sources
        forward = ("x", "out", "states", "gates", "extra")
        for name, width in sizes.items():
            if (learn and name != "x") or (not learn and name in forward):
                self.window[name] = np.zeros((T, B, width))
        if learn:
            self.window |= {"h_enter": arrays["h0"], "s_enter": arrays["s0"]}
        self.learn = learn

    def open(self) -> Any:
        opening = dict(self.opening)
        places = ("batch", "threads", "cut", "learn", "sources", "h", "s", "instruction_set")
        return sequence_runs.native_class("float64")(
            self.description, self.weights, *(opening[name] for name in places)
        )

    def run(self) -> None:
        sequence = self.open()
        (sequence.backward if self.learn else sequence.forward)(self.window)

    def place(self, name: str) -> dict[str, Any]:
        """The dictionary that holds an argument."""
        for place in (self.weights, self.opening, self.window, self.description):
            if name in place:
                return place
        raise KeyError(name)

    def put(self, name: str, value: Any) -> Call:
        self.place(name)[name] = value
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        every = {**self.weights, **self.opening, **self.window}
        return {name: a for name, a in every.items() if isinstance(a, np.ndarray)}


def refused(call: Call, match: str | None = None) -> None:
    """An exception, and every array as it was."""
    before = {name: array.copy() for name, array in call.arrays().items()}
    with pytest.raises(REFUSALS, match=match):
        call.run()
    for name, array in call.arrays().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def zero_strides(a: np.ndarray) -> np.ndarray:
    return np.broadcast_to(a[:1], a.shape)


def fortran(a: np.ndarray) -> np.ndarray:
    return np.asfortranarray(a) if a.ndim > 1 else np.repeat(a, 2)[::2]


SPOILT: dict[str, Callable[[np.ndarray], Any]] = {
    "a list": lambda a: a.tolist(),
    "a number": lambda a: 1.0,
    "text": lambda a: "array",
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "complex": lambda a: a.astype(complex),
    "integers": lambda a: a.astype(np.int64),
    "objects": lambda a: a.astype(object),
    "other byte order": lambda a: a.astype(">f8"),
    "one more dimension": lambda a: a[None],
    "flat": lambda a: np.append(a.ravel(), 0),
    "one row less": lambda a: a[:-1].copy(),
    "one row more": lambda a: np.concatenate([a, a[-1:]]),
    "one column less": lambda a: np.ascontiguousarray(a[..., :-1]),
    "one column more": lambda a: np.concatenate([a, a[..., -1:]], -1),
    "nothing": lambda a: a[:0].copy(),
    "Fortran's order": fortran,
    "no strides": zero_strides,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1],
    "inner stride": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
}


def is_still_good(spoilt: Any, array: np.ndarray) -> bool:
    """Whether nothing was spoilt: rows of one entry have the same layout either way."""
    return (
        isinstance(spoilt, np.ndarray)
        and (spoilt.shape, spoilt.dtype) == (array.shape, array.dtype)
        and (spoilt.flags.c_contiguous or not spoilt.size)
    )
