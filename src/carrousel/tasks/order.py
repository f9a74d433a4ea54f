"""Temporal order: Experiments 6a and 6b (section 5.6, Table 9).

Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from carrousel import _native
from carrousel.checks import check_int
from carrousel.contracts import later
from carrousel.sequences import Sequences, within
from carrousel.shapes import Bools, Floats
from carrousel.tasks.sampling import new_key, one_target_each, uniform_lengths

SYMBOLS = ("E", "B", "a", "b", "c", "d", "X", "Y")
PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
CLASSES = {2: "QRSU", 3: "QRSUVABC"}


@dataclass(frozen=True)
class TemporalOrder:
    """Classify a sequence by the order of two or three symbols ``X`` or ``Y`` among distractors.

    A sequence of 100 to 110 symbols starts with ``E`` and ends with the trigger ``B``. At two
    positions (6a: 10-20, 50-60) or three (6b: 10-20, 33-43, 66-76) it has ``X`` or ``Y``; all other
    symbols are random from ``{a, b, c, d}``. The target at the end is the class: XX, XY, YX, YY are
    Q, R, S, U; XXX ... YYY in the same binary order are Q, R, S, U, V, A, B, C.

    Both ends of a range are included. If positions are counted from 1, the last relevant symbol is
    at least 40 (6a) or 24 (6b) steps before the target, as in Table 10; counted from 0, it is one
    step less.

    Args:
        relevant: number of relevant symbols: 2 (Experiment 6a) or 3 (6b).
        first_position: position of the first symbol, ``E``: 1 or 0.

    Raises:
        SettingError: ``relevant`` is not 2 or 3, or ``first_position`` not 0 or 1.

    >>> data = TemporalOrder(relevant=2).sample(np.random.default_rng(1), 1)
    >>> "".join(SYMBOLS[symbol] for symbol in data.inputs if symbol >= 6), int(data.targets[0])
    ('YX', 2)
    """

    relevant: Literal[2, 3]
    first_position: Literal[0, 1] = later(1)

    def __post_init__(self) -> None:
        check_int("relevant", self.relevant, minimum=2, maximum=3)
        check_int("first_position", self.first_position, minimum=0, maximum=1)

    @property
    def n_inputs(self) -> int:
        """Eight symbols, in the order of :data:`SYMBOLS`."""
        return len(SYMBOLS)

    @property
    def n_outputs(self) -> int:
        """Four classes, or eight."""
        return 2**self.relevant

    @property
    def tolerance(self) -> float:
        """All outputs must be off by less than 0.3."""
        return 0.3

    @property
    def mean_length(self) -> float:
        """105 steps."""
        return 105.0

    def draw(self, rng: np.random.Generator) -> TemporalOrder:
        """Return the task itself; it has no fixed sets."""
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences; all classes are equally likely."""
        key = new_key(rng)
        offsets = uniform_lengths(key, n, 100, 110)
        inputs, classes = np.empty(int(offsets[-1]), np.int32), np.empty(n, np.int32)
        first = self.first_position
        steps = [(low - first, high - first) for low, high in PLACES[self.relevant]]
        _native.draw_order(key, offsets, steps, inputs, classes)
        return one_target_each(offsets, inputs, self.n_inputs, classes, self.n_outputs)

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        """Draw ``n`` sequences in the same way."""
        return self.sample(rng, n)

    def correct(self, outputs: Annotated[Floats, "M O"], data: Sequences) -> Annotated[Bools, "N"]:
        """Return whether all outputs at the end are off by less than 0.3.

        Raises:
            ShapeError: ``outputs`` is not ``[N, 4]`` (6b: ``[N, 8]``).
        """
        return within(outputs, data, self.tolerance)
