"""Description of the pointer arguments of a compiled function."""

from __future__ import annotations

from typing import NamedTuple


class PointerArgument(NamedTuple):
    """One pointer argument of a compiled function: rows of ``C`` numbers.

    Attributes:
        inputs: the program's inputs that the function reads there, one for each row.
        result: the program's result that it writes there, after it has read all inputs of a block.
        adds: whether it adds the result to the old values instead of replacing them.
    """

    inputs: tuple[str, ...] = ()
    result: str = ""
    adds: bool = False
