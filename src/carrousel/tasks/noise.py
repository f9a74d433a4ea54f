"""Noise and signal on one channel: Experiments 3a, 3b and 3c (section 5.3, Tables 4 to 6).

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, Literal

import numpy as np

from carrousel import _native
from carrousel.checks import check_choice, check_int, check_number
from carrousel.contracts import later
from carrousel.sequences import Sequences
from carrousel.shapes import Bools, Floats
from carrousel.tasks.sampling import new_key, one_target_each, uniform_lengths

NOISE_VARIANCE = 0.2
TARGET_VARIANCE = 0.1


@dataclass(frozen=True)
class TwoSequence:
    """The 2-sequence problem: classify a long noisy sequence by its first elements.

    The first ``informative`` elements are 1.0 (class 1) or -1.0 (class 2). All later ones are
    Gaussian with mean 0 and variance 0.2. The last step has the target.

    - ``"a"``: target 1.0 for class 1 and 0.0 for class 2.
    - ``"b"``: as ``"a"``, and Gaussian noise of variance 0.2 is added to the informative elements.
    - ``"c"``: as ``"a"``, but with targets 0.2 and 0.8, to which Gaussian noise of variance 0.1 is
      added in training. The paper does not say whether informative elements are noisy; here they
      are not.

    Args:
        length: ``T``; lengths are uniform on ``T`` to ``T + T // 10``.
        informative: number of elements that determine the class (the paper's ``N``), at most ``T``.
        variant: the experiment, 3a, 3b or 3c.
        longest: maximum length; None: ``T + T // 10``.
        within: tolerance of an output; None: that of the experiment.

    Raises:
        SettingError: a number is out of range.
        UnknownNameError: ``variant`` is unknown.

    >>> task = TwoSequence(length=100, informative=3, variant="a")
    >>> data = task.sample(np.random.default_rng(0), 1)
    >>> data.inputs[:3, 0].tolist(), data.targets.tolist(), 100 <= data.n_steps <= 110
    ([1.0, 1.0, 1.0], [[1.0]], True)
    """

    length: int
    informative: int
    variant: Literal["a", "b", "c"]
    longest: int | None = later(None)
    within: float | None = later(None)

    def __post_init__(self) -> None:
        check_int("length", self.length, minimum=1, maximum=2**24)
        check_int("informative", self.informative, minimum=1, maximum=self.length)
        check_choice("variant", self.variant, ("a", "b", "c"))
        if self.longest is not None:
            check_int("longest", self.longest, minimum=self.length, maximum=2**24)
        if self.within is not None:
            check_number("within", self.within, above=0.0)

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
        """The output must be off by less than ``within``; None: 0.2, or 0.1 for variant c."""
        if self.within is not None:
            return self.within
        return 0.1 if self.variant == "c" else 0.2

    @property
    def mean_length(self) -> float:
        """Middle of the range of lengths."""
        return (self.length + self._longest) / 2

    def draw(self, rng: np.random.Generator) -> TwoSequence:
        """Return the task itself; it has no fixed sets."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences; both classes are equally likely."""
        return self._draw(rng, n, TARGET_VARIANCE if self.variant == "c" else 0.0)

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences with noise-free targets."""
        return self._draw(rng, n, 0.0)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether the output is off by less than the tolerance.

        In variant c it is compared with the noise-free target, even if ``data`` have a noisy one.

        Raises:
            ShapeError: ``outputs`` is not ``[N, 1]``.
        """
        data.check_outputs(outputs)
        targets = data.targets
        if self.variant == "c":
            first_class = data.inputs[data.offsets[:-1], 0] > 0
            one, two = self._goals
            targets = np.where(first_class, np.float32(one), np.float32(two))[:, None]
        return np.abs(outputs - targets)[:, 0] < self.tolerance

    @property
    def _longest(self) -> int:
        return self.length + self.length // 10 if self.longest is None else self.longest

    @property
    def _goals(self) -> tuple[float, float]:
        return (0.2, 0.8) if self.variant == "c" else (1.0, 0.0)

    def _draw(self, rng: np.random.Generator, n: int, target_variance: float) -> Sequences:
        key = new_key(rng)
        offsets = uniform_lengths(key, n, self.length, self._longest)
        inputs = np.empty((int(offsets[-1]), 1), np.float32)
        targets = np.empty((n, 1), np.float32)
        first_goal, second_goal = self._goals
        _native.draw_two_classes(
            key,
            offsets,
            inputs,
            targets,
            informative=self.informative,
            noisy=self.variant == "b",
            deviation=sqrt(NOISE_VARIANCE),
            first_goal=first_goal,
            second_goal=second_goal,
            target_deviation=sqrt(target_variance),
        )
        return one_target_each(offsets, inputs, 1, targets, 1)
