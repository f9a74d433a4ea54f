"""Samples of a fixed set of strings, whose targets are the next symbols."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from carrousel import _native
from carrousel.checks import check_int
from carrousel.sequences import Sequences
from carrousel.shapes import Ints
from carrousel.tasks.sampling import new_key


class Strings(NamedTuple):
    """A set of strings.

    Args:
        symbols: all strings, one after the other, ``[steps]`` (int32).
        offsets: ``[N+1]`` (int64). String ``n`` is ``symbols[offsets[n] : offsets[n + 1]]``.
        n_symbols: size of the alphabet.
    """

    symbols: Annotated[Ints, "steps"]
    offsets: Annotated[Ints, "N+1"]
    n_symbols: int


def draw_picks(rng: np.random.Generator, n: int, count: int) -> Annotated[Ints, "N"]:
    """Draw ``n`` numbers that are uniform on 0 to ``count - 1``.

    Raises:
        SettingError: ``n`` is below 1.
    """
    picks = np.empty(check_int("n", n, minimum=1, maximum=2**40), np.int64)
    _native.draw_picks(new_key(rng), count, picks)
    return picks


def copies(strings: Strings, picks: Annotated[Ints, "N"]) -> Sequences:
    """Return the strings with the numbers ``picks``, in that order; repeats are allowed.

    The target of every step but the last is the next symbol.

    >>> both = Strings(np.array([0, 1, 2, 1], np.int32), np.array([0, 2, 4]), n_symbols=3)
    >>> data = copies(both, np.array([1, 0, 1]))
    >>> data.inputs.tolist(), data.targets.tolist(), data.target_steps.tolist()
    ([2, 1, 0, 1, 2, 1], [1, 1, 1], [0, 2, 4])
    """
    offsets = np.zeros(len(picks) + 1, np.int64)
    np.cumsum(np.diff(strings.offsets)[picks], out=offsets[1:])
    inputs = np.empty(int(offsets[-1]), np.int32)
    targets = np.empty(len(inputs) - len(picks), np.int32)
    target_steps = np.empty(len(targets), np.int64)
    _native.copy_strings(
        strings.symbols, strings.offsets, picks, offsets, inputs, targets, target_steps
    )
    return Sequences.unchecked(
        inputs=inputs,
        n_inputs=strings.n_symbols,
        offsets=offsets,
        targets=targets,
        n_outputs=strings.n_symbols,
        target_steps=target_steps,
        target_offsets=offsets - np.arange(len(offsets)),
    )
