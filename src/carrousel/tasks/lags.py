"""Long time lags: Experiments 2a, 2b and 2c (section 5.2, Tables 2 and 3).

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from carrousel.checks import check_choice, check_int
from carrousel.contracts import later
from carrousel.sequences import Sequences, within
from carrousel.shapes import Bools, Floats, Ints

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
        check_int("n", n, minimum=1)
        return _next_symbol(self._both[rng.integers(0, 2, n)], self.n_inputs)

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Return the two sequences, ``x ... x`` first; ``n`` and ``rng`` are not used.

        The paper tests 10,000 successive sequences, which are correct if and only if these two are.
        """
        return _next_symbol(self._both, self.n_inputs)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether all outputs at all steps of a sequence are off by less than 0.25.

        Raises:
            ShapeError: ``outputs`` is not ``[M, p + 1]``.
        """
        wrong = ~within(outputs, data, self.tolerance)
        wrong_until = np.concatenate([[0], np.cumsum(wrong)])
        return np.diff(wrong_until[data.target_offsets]) == 0

    @property
    def _both(self) -> Annotated[Ints, "2 T"]:
        both = np.empty((2, self.p + 1), dtype=np.int32)
        both[:, 1:-1] = np.arange(self.p - 1)
        both[:, 0] = both[:, -1] = self.p - 1, self.p
        return both


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
        check_int("n", n, minimum=1)
        rows = np.empty((n, self.p + 1), dtype=np.int32)
        rows[:, 1:-1] = _draw_symbols(rng, self.p - 1, (n, self.p - 1))
        rows[:, 0] = rows[:, -1] = self.p - 1 + rng.integers(0, 2, n)
        return _next_symbol(rows, self.n_inputs, first=self.p - 1 if self.targets == "last" else 0)

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
    >>> one = task.sample(np.random.default_rng(0), 1)
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
        check_int("n", n, minimum=1)
        second = rng.integers(0, 2, n, dtype=np.int32)
        # distractors beyond q, and the trigger
        geometric = self.length_law == "geometric"
        until_trigger = rng.geometric(0.1, n) if geometric else np.ones(n, np.int64)
        offsets = np.concatenate([[0], np.cumsum(self.q + 2 + until_trigger)])
        starts, ends = offsets[:-1], offsets[1:] - 1
        inputs = _draw_symbols(rng, self.p, offsets[-1]).astype(np.int32)
        inputs[starts] = self.p + 1
        inputs[starts + 1] = self.p + 2 + second
        inputs[ends] = self.p
        return Sequences(
            inputs=inputs,
            n_inputs=self.n_inputs,
            offsets=offsets,
            targets=second,
            n_outputs=2,
            target_steps=ends,
        )

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether both outputs are off by less than 0.2 at the trigger.

        Raises:
            ShapeError: ``outputs`` is not ``[N, 2]``.
        """
        return within(outputs, data, self.tolerance)


def _draw_symbols(
    rng: np.random.Generator, count: int, size: int | np.integer | tuple[int, int]
) -> np.ndarray:
    # 16 random bits take two thirds of the time of 32.
    return rng.integers(0, count, size, dtype=np.uint16 if count <= 2**16 else np.uint32)


def _next_symbol(rows: Annotated[Ints, "N T"], n_symbols: int, first: int = 0) -> Sequences:
    """Return sequences of equal length; from step ``first`` on, the target is the next symbol."""
    n, steps = rows.shape
    positions = np.arange(n * steps).reshape(n, steps)
    return Sequences(
        inputs=rows.reshape(-1),
        n_inputs=n_symbols,
        offsets=np.arange(n + 1) * steps,
        targets=rows[:, first + 1 :].reshape(-1),
        n_outputs=n_symbols,
        target_steps=positions[:, first:-1].reshape(-1),
    )
