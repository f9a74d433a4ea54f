"""Long time lags: Experiments 2a, 2b and 2c (section 5.2, Tables 2 and 3).

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Literal

import numpy as np

from carrousel import _native
from carrousel.checks import check_choice, check_int
from carrousel.contracts import later
from carrousel.sequences import Sequences, within
from carrousel.shapes import Bools, Floats
from carrousel.tasks.sampling import geometric_lengths, new_key, one_target_each, uniform_lengths
from carrousel.tasks.strings import Strings, copies, draw_picks

LARGEST_ALPHABET = 2**24


@dataclass(frozen=True)
class NoiseFreeLag:
    """Experiment 2a: predict the next symbol; the last one depends on the first.

    The alphabet is ``a_1 ... a_{p-1}, x, y`` (symbols ``0 ... p``, in this order). There are two
    sequences, ``y a_1 ... a_{p-1} y`` and ``x a_1 ... a_{p-1} x``, equally likely. The target at
    every step but the last is the next symbol. The last symbol is an input too, for learners that
    respond to unexpected inputs (the chunker).

    Args:
        p: time lag between the first symbol and the last, at least 2.

    Raises:
        SettingError: ``p`` is out of range.

    >>> task = NoiseFreeLag(p=4)
    >>> both = task.test(np.random.default_rng(0), 1)
    >>> both.inputs.reshape(2, 5).tolist()
    [[3, 0, 1, 2, 3], [4, 0, 1, 2, 4]]
    >>> both.targets.reshape(2, 4).tolist()
    [[0, 1, 2, 3], [0, 1, 2, 4]]
    """

    p: int

    def __post_init__(self) -> None:
        check_int("p", self.p, minimum=2, maximum=LARGEST_ALPHABET - 1)

    @property
    def n_inputs(self) -> int:
        """``p + 1`` symbols."""
        return self.p + 1

    @property
    def n_outputs(self) -> int:
        """``p + 1`` symbols."""
        return self.p + 1

    @property
    def tolerance(self) -> float:
        """All outputs must be off by less than 0.25 at every step."""
        return 0.25

    @property
    def mean_length(self) -> float:
        """``p + 1`` steps."""
        return self.p + 1.0

    def draw(self, rng: np.random.Generator) -> NoiseFreeLag:
        """Return the task itself; both sequences are fixed."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences, each one of the two with probability 0.5."""
        return copies(self._both, draw_picks(rng, n, 2))

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Return the two sequences, ``x ... x`` first; ``n`` and ``rng`` are not used.

        The paper tests 10,000 successive sequences, which are correct if and only if these two are.
        """
        return copies(self._both, np.arange(2))

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether all outputs at all steps of a sequence are off by less than 0.25.

        Raises:
            ShapeError: ``outputs`` is not ``[M, p + 1]``.
        """
        wrong = ~within(outputs, data, self.tolerance)
        wrong_until = np.concatenate([[0], np.cumsum(wrong)])
        return np.diff(wrong_until[data.target_offsets]) == 0

    @cached_property
    def _both(self) -> Strings:
        middle = np.arange(self.p - 1)
        rows = [[outer, *middle, outer] for outer in (self.p - 1, self.p)]
        return Strings(np.array(rows, np.int32).ravel(), np.arange(3) * (self.p + 1), self.p + 1)


@dataclass(frozen=True)
class RandomLag:
    """Experiment 2b: as 2a, but the symbols between the first and the last are unpredictable.

    The ``p - 1`` symbols in between are drawn at random from ``a_1 ... a_{p-1}``. Again the target
    at every step but the last is the next symbol. Only the last prediction is judged.

    Args:
        p: time lag between the first symbol and the last, at least 2.
        targets: ``"every"``: every step but the last has a target. ``"last"``: only the step before
            the last has one.

    Raises:
        SettingError: ``p`` is out of range.
        UnknownNameError: ``targets`` is unknown.

    >>> data = RandomLag(p=100).sample(np.random.default_rng(0), 3)
    >>> rows = data.inputs.reshape(3, 101)
    >>> rows[:, 0].tolist() == rows[:, -1].tolist(), bool(rows[:, 1:-1].max() < 99)
    (True, True)
    """

    p: int
    targets: Literal["every", "last"] = later("every")

    def __post_init__(self) -> None:
        check_int("p", self.p, minimum=2, maximum=LARGEST_ALPHABET - 1)
        check_choice("targets", self.targets, ("every", "last"))

    @property
    def n_inputs(self) -> int:
        """``p + 1`` symbols, in the order of :class:`NoiseFreeLag`."""
        return self.p + 1

    @property
    def n_outputs(self) -> int:
        """``p + 1`` symbols."""
        return self.p + 1

    @property
    def tolerance(self) -> float:
        """All outputs must be off by less than 0.25."""
        return 0.25

    @property
    def mean_length(self) -> float:
        """``p + 1`` steps."""
        return self.p + 1.0

    def draw(self, rng: np.random.Generator) -> RandomLag:
        """Return the task itself; it has no fixed sets."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences; ``x`` and ``y`` are equally likely."""
        n = check_int("n", n, minimum=1, maximum=2**32)
        first = self.p - 1 if self.targets == "last" else 0
        inputs = np.empty(n * (self.p + 1), np.int32)
        targets = np.empty(n * (self.p - first), np.int32)
        target_steps = np.empty(len(targets), np.int64)
        _native.draw_lags(new_key(rng), self.p, first, inputs, targets, target_steps)
        return Sequences.unchecked(
            inputs=inputs,
            n_inputs=self.p + 1,
            offsets=np.arange(n + 1) * (self.p + 1),
            targets=targets,
            n_outputs=self.p + 1,
            target_steps=target_steps,
            target_offsets=np.arange(n + 1) * (self.p - first),
        )

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether all outputs are off by less than 0.25 at the last target of a sequence.

        Raises:
            ShapeError: ``outputs`` is not ``[M, p + 1]``.
        """
        data.check_outputs(outputs)
        last = data.target_offsets[1:] - 1
        ends = replace(data, targets=data.targets[last], target_steps=data.target_steps[last])
        return within(outputs[last], ends, self.tolerance)


@dataclass(frozen=True)
class LongLag:
    """Experiment 2c: remember one symbol over at least ``q`` random ones, until a trigger.

    A sequence is ``b``, then ``x`` or ``y``, then ``q`` random distractors, then further ones, each
    with probability 9/10, then the trigger ``e``. At the trigger the network must output whether
    the second symbol was ``x`` (class 0) or ``y`` (class 1). The alphabet is ``a_1 ... a_p, e, b,
    x, y`` (symbols ``0 ... p + 3``).

    In the paper, the second symbol appears again as the last one. It is omitted here: it follows
    the only error, and all activations are reset after it, so it has no effect. Sequences have one
    step less than in the paper.

    Args:
        p: number of different distractors.
        q: minimum number of distractors; the lag is at least ``q + 1``.
        length_law: ``"geometric"``: as above. ``"fixed"``: the trigger follows ``q`` distractors.
            By the paper's formula the length is ``q + 4 + k`` with a geometric ``k`` of mean 9; the
            printed mean length ``q + 14`` contradicts it.

    Raises:
        SettingError: ``p`` or ``q`` is out of range.
        UnknownNameError: ``length_law`` is unknown.

    >>> task = LongLag(p=50, q=50)
    >>> one = task.sample(np.random.default_rng(1), 1)
    >>> one.inputs[:2].tolist(), one.targets.tolist(), int(one.inputs[-1])  # b y ... e -> y
    ([51, 53], [1], 50)
    """

    p: int
    q: int
    length_law: Literal["geometric", "fixed"] = later("geometric")

    def __post_init__(self) -> None:
        check_int("p", self.p, minimum=1, maximum=LARGEST_ALPHABET - 4)
        check_int("q", self.q, minimum=1, maximum=2**24)
        check_choice("length_law", self.length_law, ("geometric", "fixed"))

    @property
    def n_inputs(self) -> int:
        """``p + 4`` symbols."""
        return self.p + 4

    @property
    def n_outputs(self) -> int:
        """Two classes, ``x`` and ``y``."""
        return 2

    @property
    def tolerance(self) -> float:
        """Both outputs must be off by less than 0.2."""
        return 0.2

    @property
    def mean_length(self) -> float:
        """``q + 12`` steps: 3 fixed symbols, ``q`` distractors, 9 more on average; or ``q + 3``."""
        return self.q + (12.0 if self.length_law == "geometric" else 3.0)

    def draw(self, rng: np.random.Generator) -> LongLag:
        """Return the task itself; it has no fixed sets."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences; ``x`` and ``y`` are equally likely."""
        key = new_key(rng)
        if self.length_law == "geometric":
            offsets = geometric_lengths(key, n, self.q + 3)
        else:
            offsets = uniform_lengths(key, n, self.q + 3, self.q + 3)
        inputs, classes = np.empty(int(offsets[-1]), np.int32), np.empty(n, np.int32)
        _native.draw_long_lags(key, offsets, self.p, inputs, classes)
        return one_target_each(offsets, inputs, self.n_inputs, classes, 2)

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether both outputs are off by less than 0.2 at the trigger.

        Raises:
            ShapeError: ``outputs`` is not ``[N, 2]``.
        """
        return within(outputs, data, self.tolerance)
