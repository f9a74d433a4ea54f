"""Continuous values over long lags: Experiments 4 and 5 (sections 5.4 and 5.5, Tables 7 and 8).

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.

Both tasks mark two pairs in a long sequence of pairs (value, marker). Where the paper is ambiguous:

- "one of the first T/2 - 1 still unmarked pairs" means the first T/2 - 1 of the remaining pairs.
  The second mark is then on one of the first T/2 pairs, and the minimal lag is T/2, as printed.
- The argument ``second`` decides whether the second mark may be on the first pair, and whether "if
  the first pair gets marked, we set X1 to zero" then applies to the value that it marks.
- The argument ``first_pair`` decides what this exception changes besides the target.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from carrousel import _native
from carrousel.checks import check_choice, check_int
from carrousel.contracts import later
from carrousel.sequences import Sequences, within
from carrousel.shapes import Bools, Floats
from carrousel.tasks.sampling import new_key, one_target_each, uniform_lengths

FirstPair = Literal["target", "input", "marker", "both"]
FIRST_PAIRS = ("target", "input", "marker", "both")
Second = Literal["any", "not_first", "counts"]
SECONDS = ("any", "not_first", "counts")
SHORTEST = 11  # a shorter sequence could have its first mark, on one of ten pairs, at the end


@dataclass(frozen=True)
class Adding:
    """The adding problem: remember two marked values and output their sum at the end.

    A sequence consists of pairs (value, marker), with values uniform on [-1, 1]. One of the first
    ten pairs is marked by 1.0 (its value is ``X1``), then one of the first ``T/2 - 1`` remaining
    pairs (``X2``), which may precede the other. The markers of the first and last pair are -1, all
    others 0. If the first pair is marked, its value counts as 0. The target at the end is
    ``0.5 + (X1 + X2) / 4``.

    Args:
        length: ``T``, at least 11; lengths are uniform on ``T`` to ``T + T // 10``.
        first_pair: input and marker of a marked first pair, whose value counts as 0. ``"target"``:
            both are shown, the marker being 1.0. ``"input"``: the input is 0. ``"marker"``: the
            marker stays -1. ``"both"``: the input is 0 and the marker stays -1.
        second: whether the second mark may be on the first pair. ``"any"``: yes, with the
            exception of ``first_pair``. ``"not_first"``: no; it is drawn from the other candidates.
            ``"counts"``: yes, and the value counts and is shown, since the paper sets only ``X1``
            to 0.

    Raises:
        SettingError: ``length`` is out of range.
        UnknownNameError: ``first_pair`` or ``second`` is unknown.

    Source: Hochreiter & Schmidhuber 1997, section 5.4, Table 7.

    >>> data = Adding(length=100).sample(np.random.default_rng(0), 1)
    >>> marked = data.inputs[data.inputs[:, 1] == 1.0, 0]
    >>> len(marked), bool(abs(data.targets[0, 0] - (0.5 + marked.sum() / 4)) < 1e-6)
    (2, True)
    """

    length: int
    first_pair: FirstPair = "input"
    second: Literal["any", "not_first", "counts"] = later("any")

    def __post_init__(self) -> None:
        check_int("length", self.length, minimum=SHORTEST, maximum=2**24)
        check_choice("first_pair", self.first_pair, FIRST_PAIRS)
        check_choice("second", self.second, SECONDS)

    @property
    def n_inputs(self) -> int:
        """Value and marker."""
        return 2

    @property
    def n_outputs(self) -> int:
        """One output."""
        return 1

    @property
    def tolerance(self) -> float:
        """The output must be off by less than 0.04."""
        return 0.04

    @property
    def mean_length(self) -> float:
        """Middle of the range of lengths."""
        return self.length + self.length // 10 / 2

    def draw(self, rng: np.random.Generator) -> Adding:
        """Return the task itself; it has no fixed sets."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences."""
        return _draw(self, rng, n, product=False)

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether the output at the end is off by less than 0.04.

        Raises:
            ShapeError: ``outputs`` is not ``[N, 1]``.
        """
        return within(outputs, data, self.tolerance)


@dataclass(frozen=True)
class Multiplication:
    """The multiplication problem: remember two marked values and output their product at the end.

    As :class:`Adding`, but values are uniform on [0, 1], the value of a marked first pair counts as
    1.0, and the target is ``X1 * X2``.

    Args:
        length: ``T``, at least 11; lengths are uniform on ``T`` to ``T + T // 10``.
        first_pair: as in :class:`Adding`, with 1.0 in place of 0.
        second: as in :class:`Adding`.

    Raises:
        SettingError: ``length`` is out of range.
        UnknownNameError: ``first_pair`` or ``second`` is unknown.

    Source: Hochreiter & Schmidhuber 1997, section 5.5, Table 8.

    >>> data = Multiplication(length=100).sample(np.random.default_rng(0), 1)
    >>> marked = data.inputs[data.inputs[:, 1] == 1.0, 0]
    >>> len(marked), bool(abs(data.targets[0, 0] - marked.prod()) < 1e-6)
    (2, True)
    """

    length: int
    first_pair: FirstPair = "input"
    second: Literal["any", "not_first", "counts"] = later("any")

    def __post_init__(self) -> None:
        check_int("length", self.length, minimum=SHORTEST, maximum=2**24)
        check_choice("first_pair", self.first_pair, FIRST_PAIRS)
        check_choice("second", self.second, SECONDS)

    @property
    def n_inputs(self) -> int:
        """Value and marker."""
        return 2

    @property
    def n_outputs(self) -> int:
        """One output."""
        return 1

    @property
    def tolerance(self) -> float:
        """The output must be off by less than 0.04."""
        return 0.04

    @property
    def mean_length(self) -> float:
        """Middle of the range of lengths."""
        return self.length + self.length // 10 / 2

    def draw(self, rng: np.random.Generator) -> Multiplication:
        """Return the task itself; it has no fixed sets."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences."""
        return _draw(self, rng, n, product=True)

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether the output at the end is off by less than 0.04.

        Raises:
            ShapeError: ``outputs`` is not ``[N, 1]``.
        """
        return within(outputs, data, self.tolerance)


def _draw(
    task: Adding | Multiplication, rng: np.random.Generator, n: int, *, product: bool
) -> Sequences:
    key = new_key(rng)
    offsets = uniform_lengths(key, n, task.length, task.length + task.length // 10)
    inputs = np.empty((int(offsets[-1]), 2), np.float32)
    targets = np.empty((n, 1), np.float32)
    _native.draw_pairs(
        key,
        offsets,
        inputs,
        targets,
        length=task.length,
        product=product,
        hide_value=task.first_pair in ("input", "both"),
        hide_marker=task.first_pair in ("marker", "both"),
        skip_first=task.second == "not_first",
        second_counts=task.second == "counts",
    )
    return one_target_each(offsets, inputs, 2, targets, 1)
