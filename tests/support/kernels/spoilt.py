"""Ways to make an array wrong, and the exceptions that it may raise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# Exceptions of nanobind and of our checks.
REFUSALS = (TypeError, ValueError, KeyError, OverflowError, RuntimeError, MemoryError)


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
    """Whether the array is still right: rows of one entry have the same layout in any order."""
    return (
        isinstance(spoilt, np.ndarray)
        and (spoilt.shape, spoilt.dtype) == (array.shape, array.dtype)
        and (spoilt.flags.c_contiguous or not spoilt.size)
    )
