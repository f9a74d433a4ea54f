"""Helpers that learners share: checks of lanes, joined errors, random generators as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from carrousel.contracts import Errors
from carrousel.errors import SettingError, ShapeError


def generator_words(rng: np.random.Generator) -> np.ndarray:
    """Return the state of a NumPy generator (SFC64) as six words of 64 bits.

    Args:
        rng: the generator; drawing from it later does not change the words.

    >>> rng = np.random.Generator(np.random.SFC64(1997))
    >>> words = generator_words(rng)
    >>> len(words), restored_generator(words).random() == rng.random()
    (6, True)
    """
    state = rng.bit_generator.state
    # The generator may buffer half a word. uint64 throughout: mixed types would become float64.
    half = np.array([state["has_uint32"], state["uinteger"]], np.uint64)
    return np.concatenate([state["state"]["state"], half])


def restored_generator(words: np.ndarray) -> np.random.Generator:
    """Return a generator with the state that :func:`generator_words` returned.

    Args:
        words: what :func:`generator_words` returned.
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
    """Return ``lane``, or raise :class:`SettingError` if it is out of range."""
    if not 0 <= lane < n_lanes:
        raise SettingError(argument="lane", got=lane, expected=f"0..{n_lanes - 1}")
    return lane


def check_parts(data: Sequence[object], n_lanes: int) -> None:
    """Raise :class:`ShapeError` unless ``data`` has one entry (or None) for each lane."""
    if len(data) != n_lanes:
        raise ShapeError(
            f"data has {len(data)} parts for {n_lanes} lanes",
            argument="data",
            got=len(data),
            expected=f"{n_lanes} parts",
            fix="pass None for idle lanes",
        )


def joined_errors(found: Sequence[Errors]) -> Errors:
    """Concatenate the errors of successive pieces.

    >>> joined_errors([]).n_values
    array([], dtype=int64)
    """
    if not found:  # there was no sequence
        return Errors(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    return Errors(*(np.concatenate(column) for column in zip(*found, strict=True)))
