"""What several learners share: random generators that travel as arrays."""

from __future__ import annotations

import numpy as np


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
