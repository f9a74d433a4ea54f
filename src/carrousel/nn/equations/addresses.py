"""Addresses of a cell's compiled functions, which are compiled at the first access."""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from carrousel.nn.equations.derive import Derived
from carrousel.nn.equations.flat import Flat, flatten
from carrousel.nn.equations.names import Names
from carrousel.nn.equations.program import PointerArgument


class Addresses(Mapping[str, int]):
    """Addresses by data type, ``"float32"`` and ``"float64"``, compiled at the first access."""

    def __init__(self, program: Flat, arguments: tuple[PointerArgument, ...]) -> None:
        self._program, self._arguments = program, arguments
        self._compiled: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __getitem__(self, dtype: str) -> int:
        return self._function(dtype).address

    def __iter__(self) -> Iterator[str]:
        return iter(("float32", "float64"))

    def __contains__(self, dtype: object) -> bool:
        # Compiles nothing, and takes no lock: ``torch.compile`` traces this test.
        return dtype in ("float32", "float64")

    def __len__(self) -> int:
        return 2

    def assembly(self, dtype: str) -> str:
        """Return the machine code of the function for a data type as readable text."""
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
    """Return the ctypes prototype of a function with this number of pointers."""
    return ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * pointers)


Pair = tuple[Mapping[str, int], Mapping[str, int]]
"""Addresses of a forward and of a backward function."""


def addresses(derived: Derived, names: Names) -> tuple[Pair, list[Pair]]:
    """Return the addresses of the functions of ``kernels/described.py``.

    The first pair belongs to the step, the others to the sources of the recurrent products. All
    mappings are empty if Numba is not installed.
    """
    products = range(1, sum(name.startswith("r:") for name in derived.backward.results))
    if importlib.util.find_spec("numba") is None:
        return ({}, {}), [({}, {}) for _ in products]
    x, r = (tuple(f"{name}_{part}" for name in names.net_inputs) for part in "xr")
    states = tuple(f"{name}_prev" for name in names.states)
    tape = tuple(symbol.name for symbol in derived.tape)
    d_states = tuple(f"d:{name}" for name in names.states)
    forward = flatten(derived.forward, names.inputs, ("states", "output", "tape"))
    kept = (*tape, *states, "h_prev", *names.learned)
    d_sources = tuple(f"d:@{k}" for k in products)
    known = (*kept, "d:h", *d_states, *d_sources)
    backward = flatten(derived.backward, known, ("states", "x", "r", "h", "unit"))
    given = (
        PointerArgument(states),
        PointerArgument(("h_prev",)),
        PointerArgument(names.learned),
    )
    out = [PointerArgument((), result) for result in ("states", "output", "tape")]
    gradients = [PointerArgument((), result) for result in ("x", "r", "h")]
    arguments = (
        PointerArgument(tape),
        *given,
        PointerArgument(("d:h",)),
        PointerArgument(d_states, "states"),
        *gradients,
        PointerArgument((), "unit", adds=True),
        *([PointerArgument(d_sources)] if d_sources else []),
    )
    before = (PointerArgument(x), PointerArgument(r), *given)
    sources = []
    for k in products:
        source = flatten(derived.forward, names.inputs, (f"source:{k}",))
        back = flatten(derived.backward, known, (f"r:{k}",))
        errors = (PointerArgument(tape), *given, PointerArgument(("d:h",)))
        errors += (PointerArgument(d_states), PointerArgument(d_sources))
        sources.append(
            (
                Addresses(source, (*before, PointerArgument((), f"source:{k}"))),
                Addresses(back, (*errors, PointerArgument((), f"r:{k}"))),
            )
        )
    return (Addresses(forward, (*before, *out)), Addresses(backward, arguments)), sources
