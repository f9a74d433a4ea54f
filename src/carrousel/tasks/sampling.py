"""Samples drawn by compiled code: keys, lengths, and sequences with one target at their end."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from carrousel import _native
from carrousel.checks import check_int
from carrousel.sequences import Sequences
from carrousel.shapes import Array, Floats, Ints


def new_key(rng: np.random.Generator) -> int:
    """Draw the key of one sample, 64 bits.

    Everything in the sample is a function of the key (Philox 4x32-10; see
    ``native/sample/sample.h``), the same on all processors.
    """
    return int.from_bytes(rng.bytes(8), "little")


def uniform_lengths(key: int, n: int, least: int, most: int) -> Annotated[Ints, "N+1"]:
    """Return the offsets of ``n`` sequences whose lengths are uniform on ``least`` to ``most``.

    Raises:
        SettingError: ``n`` is below 1.

    >>> np.diff(uniform_lengths(1997, 5, 100, 110)).tolist()
    [106, 100, 104, 106, 109]
    """
    offsets = np.empty(check_int("n", n, minimum=1, maximum=2**40) + 1, np.int64)
    _native.draw_lengths(key, least, most, offsets)
    return offsets


def geometric_lengths(key: int, n: int, least: int) -> Annotated[Ints, "N+1"]:
    """Return the offsets of ``n`` sequences of ``least`` steps, and ``k`` with ``0.1 * 0.9**k``.

    Raises:
        SettingError: ``n`` is below 1.

    >>> np.diff(geometric_lengths(1997, 5, 100)).tolist()
    [105, 135, 109, 105, 101]
    """
    offsets = np.empty(check_int("n", n, minimum=1, maximum=2**40) + 1, np.int64)
    _native.draw_geometric_lengths(key, least, offsets)
    return offsets


def gaussians(
    key: int, rows: int, columns: int, deviation: float, stream: int = 0
) -> Annotated[Floats, "rows columns"]:
    """Draw Gaussians with mean 0; those of different streams are independent.

    >>> drawn = gaussians(1997, 1000, 12, deviation=0.5)
    >>> drawn.shape, bool(abs(drawn.std() - 0.5) < 0.02)
    ((1000, 12), True)
    """
    drawn = np.empty(rows * columns, np.float32)
    _native.draw_gaussians(key, stream, deviation, drawn)
    return drawn.reshape(rows, columns)


def one_target_each(
    offsets: Annotated[Ints, "N+1"],
    inputs: Array,
    n_inputs: int,
    targets: Array,
    n_outputs: int,
) -> Sequences:
    """Return sequences whose only target belongs to their last step."""
    return Sequences.unchecked(
        inputs=inputs,
        n_inputs=n_inputs,
        offsets=offsets,
        targets=targets,
        n_outputs=n_outputs,
        target_steps=offsets[1:] - 1,
        target_offsets=np.arange(len(offsets)),
    )
