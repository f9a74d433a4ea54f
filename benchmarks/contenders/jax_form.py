"""Which form of a JAX contender is timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    pass


Gradient = Literal["traces", "stream", "grad"]


class Form(NamedTuple):
    """Which of the ways to the same result; see :mod:`contenders.jax_equations`."""

    gradient: Gradient
    one_hot: bool  # whether symbols become vectors, or weights are looked up
