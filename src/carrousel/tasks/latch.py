"""The latch problem: remember one bit, given at the first step, in spite of noise.

Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient descent is difficult",
IEEE Transactions on Neural Networks 5(2), 1994; in the version of Schmidhuber, Hochreiter & Bengio,
"Evaluating benchmark problems by random guessing", 2001, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, Literal

import numpy as np

from carrousel import _native
from carrousel.checks import check_choice, check_int
from carrousel.sequences import Sequences, within
from carrousel.shapes import Bools, Floats
from carrousel.tasks.sampling import new_key, one_target_each, uniform_lengths

NOISE_VARIANCE = 0.2


@dataclass(frozen=True)
class Latch:
    """Classify a long noisy sequence by its first step.

    Every element but the first is Gaussian with mean 0 and variance 0.2.

    - ``"I"``: the first inputs of the two classes are free parameters of the network. There are
      therefore three inputs. The first step is ``(1, 0, 0)`` or ``(0, 1, 0)``, whose weights are
      these parameters; all later steps are ``(0, 0, noise)``, whose weight must be fixed at 1.
      Targets are 0.8 and -0.8. An output is correct if it has the target's sign. (The authors'
      general bound of 0.1 would require a self-weight near 1.4 of a tanh unit. Guessing it from
      [-100, 100] takes hundreds of trials, while they report six on average.)
    - ``"II"``: one input; sequences start with 1.0 or -1.0. Targets are 1.0 and -1.0, and an output
      is correct if it is off by less than 0.1.

    Args:
        variant: ``"I"`` or ``"II"``.
        length: minimum number of steps.
        longest: maximum number of steps; lengths are uniform.

    Raises:
        SettingError: a length is out of range.
        UnknownNameError: ``variant`` is unknown.

    >>> data = Latch("II", length=3, longest=3).sample(np.random.default_rng(2), 2)
    >>> data.inputs[data.offsets[:-1], 0].tolist(), data.targets[:, 0].tolist()
    ([1.0, -1.0], [1.0, -1.0])
    """

    variant: Literal["I", "II"]
    length: int = 500
    longest: int = 600

    def __post_init__(self) -> None:
        check_choice("variant", self.variant, ("I", "II"))
        check_int("length", self.length, minimum=1, maximum=2**24)
        check_int("longest", self.longest, minimum=self.length, maximum=2**24)

    @property
    def n_inputs(self) -> int:
        """Three channels, or one."""
        return 3 if self.variant == "I" else 1

    @property
    def n_outputs(self) -> int:
        """One output."""
        return 1

    @property
    def tolerance(self) -> float:
        """Outputs must be off by less than 0.8 (the correct sign), or by less than 0.1."""
        return 0.8 if self.variant == "I" else 0.1

    @property
    def mean_length(self) -> float:
        """Middle of the range of lengths."""
        return (self.length + self.longest) / 2

    def draw(self, rng: np.random.Generator) -> Latch:
        """Return the task itself; it has no fixed sets."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences; both classes are equally likely."""
        key = new_key(rng)
        offsets = uniform_lengths(key, n, self.length, self.longest)
        inputs = np.empty((int(offsets[-1]), self.n_inputs), np.float32)
        targets = np.empty((n, 1), np.float32)
        _native.draw_latched(
            key,
            offsets,
            inputs,
            targets,
            wide=self.variant == "I",
            deviation=sqrt(NOISE_VARIANCE),
            goal=0.8 if self.variant == "I" else 1.0,
        )
        return one_target_each(offsets, inputs, self.n_inputs, targets, 1)

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether the output at the end is off by less than the tolerance.

        Raises:
            ShapeError: ``outputs`` is not ``[N, 1]``.
        """
        return within(outputs, data, self.tolerance)
