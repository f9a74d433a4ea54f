"""Parity of long random sequences: easily guessed, hardly learned by gradients.

Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient descent is difficult",
IEEE Transactions on Neural Networks 5(2), 1994; as set up by Schmidhuber, Hochreiter & Bengio,
"Evaluating benchmark problems by random guessing", 2001, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel.checks import check_int, check_number
from carrousel.sequences import Sequences, within
from carrousel.shapes import Bools, Floats


@dataclass(frozen=True)
class Parity:
    """Tell whether the number of ones among many random 1.0 and -1.0 is odd.

    The target is 1.0 for odd and 0.0 for even; it comes ``pause`` steps after the last element, at
    steps whose input is 0. A pause is a choice of ours: where all units change at once, an output
    depends on the last element by the sign of a single weight, whatever the parity so far, so that
    no such net could be right without one.

    Args:
        length: least number of elements.
        longest: greatest number; all between are equally likely.
        noise: uniform noise from ``[-noise, noise]`` on each element (Bengio took 0.2).
        pause: steps between the last element and the target.

    Raises:
        SettingError: a number is out of its range.

    >>> data = Parity(length=5, longest=5).sample(np.random.default_rng(1), 1)
    >>> data.inputs[:, 0].tolist(), data.targets.tolist()
    ([1.0, 1.0, -1.0, -1.0, 1.0, 0.0], [[1.0]])
    """

    length: int = 500
    longest: int = 600
    noise: float = 0.0
    pause: int = 1

    def __post_init__(self) -> None:
        check_int("length", self.length, minimum=1, maximum=2**24)
        check_int("longest", self.longest, minimum=self.length, maximum=2**24)
        check_number("noise", self.noise, least=0.0)
        check_int("pause", self.pause, minimum=0, maximum=2**24)

    @property
    def n_inputs(self) -> int:
        """One channel."""
        return 1

    @property
    def n_outputs(self) -> int:
        """One output."""
        return 1

    @property
    def tolerance(self) -> float:
        """The output must be off by less than 0.1."""
        return 0.1

    @property
    def mean_length(self) -> float:
        """Middle of the range of lengths, and the pause."""
        return (self.length + self.longest) / 2 + self.pause

    def draw(self, rng: np.random.Generator) -> Parity:
        """Return the task itself: sequences are made afresh."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences; both parities are equally likely."""
        check_int("n", n, minimum=1)
        elements = rng.integers(self.length, self.longest, n, endpoint=True)
        offsets = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(elements + self.pause, out=offsets[1:])
        steps = int(offsets[-1])
        ones = np.frombuffer(rng.bytes(steps), dtype=np.int8) < 0  # one bit of each byte
        inputs = np.where(ones, np.float32(1.0), np.float32(-1.0))
        if self.noise:
            inputs += np.float32(self.noise) * (2 * rng.random(steps, dtype=np.float32) - 1)
        blank = (offsets[1:, None] - 1 - np.arange(self.pause)).ravel()
        inputs[blank] = 0.0
        counted = ones.copy()
        counted[blank] = False
        so_far = np.concatenate([[0], np.cumsum(counted)])
        odd = np.diff(so_far[offsets]) % 2
        return Sequences(
            inputs=inputs[:, None],
            n_inputs=1,
            offsets=offsets,
            targets=odd.astype(np.float32)[:, None],
            n_outputs=1,
            target_steps=offsets[1:] - 1,
        )

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Whether the output at the end is off by less than 0.1.

        Raises:
            ShapeError: ``outputs`` has not one row of 1 for each sequence.
        """
        return within(outputs, data, self.tolerance)
