"""Addresses of a cell's compiled functions, made when first asked for."""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from carrousel.nn.equations.derive import Derived
from carrousel.nn.equations.flat import Flat, flatten
from carrousel.nn.equations.names import Names
from carrousel.nn.equations.program import Rows


class Addresses(Mapping[str, int]):
    """Addresses by data type, ``"float32"`` and ``"float64"``; code is compiled when asked for."""

    def __init__(self, program: Flat, arguments: tuple[Rows, ...]) -> None:
        self._program, self._arguments = program, arguments
        self._compiled: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __getitem__(self, dtype: str) -> int:
        return self._function(dtype).address

    def __iter__(self) -> Iterator[str]:
        return iter(("float32", "float64"))

    def __len__(self) -> int:
        return 2

    def assembly(self, dtype: str) -> str:
        """The machine code of the function for a data type, to be read."""
        return self._function(dtype)._library.get_asm_str()

    def _function(self, dtype: str) -> Any:
        if dtype not in tuple(self):
            raise KeyError(dtype)
        with self._lock:
            if dtype not in self._compiled:
                bits = 32 if dtype == "float32" else 64
                from carrousel.nn.equations.compile import compiled  # imports Numba

                self._compiled[dtype] = compiled(self._program, self._arguments, bits)
            return self._compiled[dtype]


def prototype(pointers: int) -> Callable[[int], Callable[..., None]]:
    """The type of a function with so many pointers, for calls of its address from Python."""
    return ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * pointers)


def addresses(derived: Derived, names: Names) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Of the way there and the way back, as ``kernels/described.py`` has them.

    Empty where Numba is missing.
    """
    if importlib.util.find_spec("numba") is None:
        return {}, {}
    x, r = (tuple(f"{name}_{part}" for name in names.net_inputs) for part in "xr")
    states = tuple(f"{name}_prev" for name in names.states)
    tape = tuple(symbol.name for symbol in derived.tape)
    d_states = tuple(f"d:{name}" for name in names.states)
    there = flatten(derived.there, names.inputs, ("states", "output", "tape"))
    kept = (*tape, *states, "h_prev", *names.unit_parameters)
    back = flatten(derived.back, (*kept, "d:h", *d_states), tuple(derived.back.results))
    given = (Rows(states), Rows(("h_prev",)), Rows(names.unit_parameters))
    out = [Rows((), result) for result in ("states", "output", "tape")]
    gradients = [Rows((), result) for result in ("x", "r", "h")]
    arguments = (
        Rows(tape),
        *given,
        Rows(("d:h",)),
        Rows(d_states, "states"),
        *gradients,
        Rows((), "unit", adds=True),
    )
    return Addresses(there, (Rows(x), Rows(r), *given, *out)), Addresses(back, arguments)
