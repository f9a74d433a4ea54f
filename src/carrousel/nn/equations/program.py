"""What the pointer arguments of a compiled function mean."""

from __future__ import annotations

from typing import NamedTuple


class Rows(NamedTuple):
    """What one pointer argument of a function means: rows of ``M`` numbers each.

    ``inputs``: which of the program's inputs are read there. ``result``: what is stored there after
    all inputs of the block have been read; with ``adds``, added to what is there.
    """

    inputs: tuple[str, ...] = ()
    result: str = ""
    adds: bool = False
