"""What several learners share: checks of lanes, errors of pieces, generators as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carrousel.contracts import Errors
from carrousel.errors import SettingError, ShapeError


def words_of(rng: np.random.Generator) -> np.ndarray:
    """Write down where a generator of NumPy's SFC64 stands: six words of 64 bits.

    Args:
        rng: the generator; drawing from it later does not change what was written down.

    >>> rng = np.random.Generator(np.random.SFC64(1997))
    >>> words = words_of(rng)
    >>> len(words), generator_of(words).random() == rng.random()
    (6, True)
    """
    state = rng.bit_generator.state
    # Half a word may be left over. All of one type: joined with others it would become float64.
    half = np.array([state["has_uint32"], state["uinteger"]], np.uint64)
    return np.concatenate([state["state"]["state"], half])


def generator_of(words: np.ndarray) -> np.random.Generator:
    """Return a generator that stands where :func:`words_of` found one.

    Args:
        words: what :func:`words_of` returned.
    """
    rng = np.random.Generator(np.random.SFC64(0))
    rng.bit_generator.state = {
        "bit_generator": "SFC64",
        "state": {"state": words[:-2]},
        "has_uint32": int(words[-2]),
        "uinteger": int(words[-1]),
    }
    return rng


def check_lane(lane: int, n_lanes: int) -> int:
    """Return the number of a lane, or raise :class:`SettingError` where there is no such lane."""
    if not 0 <= lane < n_lanes:
        raise SettingError(f"lane is {lane}, expected 0..{n_lanes - 1}")
    return lane


def check_parts(data: Sequence[object], n_lanes: int) -> None:
    """Raise :class:`ShapeError` unless there is one part of data, or None, for each lane."""
    if len(data) != n_lanes:
        raise ShapeError(
            f"data has {len(data)} parts for {n_lanes} lanes; pass None for idle lanes"
        )


def joined(found: Sequence[Errors]) -> Errors:
    """The errors of pieces that were learned one after the other, as if they were one.

    >>> joined([]).n_values
    array([], dtype=int64)
    """
    if not found:  # there was no sequence
        return Errors(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    return Errors(*(np.concatenate(column) for column in zip(*found, strict=True)))
