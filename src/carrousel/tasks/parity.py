"""Parity of long random sequences: easy for weight guessing, hard for gradients.

Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient descent is difficult",
IEEE Transactions on Neural Networks 5(2), 1994; in the version of Schmidhuber, Hochreiter & Bengio,
"Evaluating benchmark problems by random guessing", 2001, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from carrousel import _native
from carrousel.checks import check_int, check_number
from carrousel.sequences import Sequences, within
from carrousel.shapes import Bools, Floats
from carrousel.tasks.sampling import new_key, one_target_each, uniform_lengths


@dataclass(frozen=True)
class Parity:
    """Classify a sequence of random 1.0 and -1.0 by the parity of its number of ones.

    The target is 1.0 for odd and 0.0 for even. It is ``pause`` steps after the last element; these
    steps have the input 0. The pause is an addition. In a network whose units change all at once,
    the last element reaches an output through a single weight only, at any parity so far. Without a
    pause, such a network could not be correct.

    Args:
        length: minimum number of elements.
        longest: maximum number of elements; numbers are uniform.
        noise: each element has uniform noise from ``[-noise, noise]`` (Bengio et al.: 0.2).
        pause: number of steps between the last element and the target.

    Raises:
        SettingError: a number is out of range.

    >>> data = Parity(length=5, longest=5).sample(np.random.default_rng(2), 1)
    >>> data.inputs[:, 0].tolist(), data.targets.tolist()
    ([-1.0, 1.0, -1.0, -1.0, -1.0, 0.0], [[1.0]])
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
        """Middle of the range of lengths, plus the pause."""
        return (self.length + self.longest) / 2 + self.pause

    def draw(self, rng: np.random.Generator) -> Parity:
        """Return the task itself; it has no fixed sets."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences; both parities are equally likely."""
        key = new_key(rng)
        offsets = uniform_lengths(key, n, self.length + self.pause, self.longest + self.pause)
        inputs = np.empty((int(offsets[-1]), 1), np.float32)
        targets = np.empty((n, 1), np.float32)
        _native.draw_ones(key, offsets, inputs, targets, pause=self.pause, noise=self.noise)
        return one_target_each(offsets, inputs, 1, targets, 1)

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether the output at the end is off by less than 0.1.

        Raises:
            ShapeError: ``outputs`` is not ``[N, 1]``.
        """
        return within(outputs, data, self.tolerance)
