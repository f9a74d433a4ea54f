"""The forms of the JAX program, described without importing JAX."""

from __future__ import annotations

from typing import Literal, NamedTuple

Gradient = Literal["traces", "stream", "grad"]


class Form(NamedTuple):
    """One way to compute the result; see :mod:`benchmarks.contenders.jax.equations`."""

    gradient: Gradient
    one_hot: bool  # whether symbols are converted to vectors instead of looking up weights
