"""Programs that learn the same thing, behind one interface."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from carrousel.sequences import Sequences
from carrousel.shapes import Floats


class Outcome(NamedTuple):
    """What a contender has done with some data: weights afterwards, and what it got wrong."""

    weights: Annotated[Floats, "B W"]
    sum_sq: Annotated[Floats, "B N"]  # squared errors of a sequence, summed, when it was presented


class Contender(Protocol):
    """A program that trains ``n_lanes`` independent nets side by side.

    Args:
        name: as tables show it.
        detail: which of its forms this is, in a few words.
        n_lanes: nets side by side.
        exact: whether it follows the algorithm of 1997, so that its results must agree with the
            reference; another algorithm cannot be checked in this way.
    """

    name: str
    detail: str
    n_lanes: int
    exact: bool

    def draw(self, rng: np.random.Generator) -> list[Sequences]:
        """Draw training data: the sequences of lane 0, then those of lane 1, and so on.

        How these are divided among the parts of the list is the contender's own choice.
        """
        ...

    def pack(self, parts: list[Sequences]) -> Any:
        """Bring data into the form the contender learns from; equally many for each lane."""
        ...

    def start(self, weights: Annotated[Floats, "B W"]) -> None:
        """Begin anew with these weights."""
        ...

    def learn(self, packed: Any) -> None:
        """Learn all of it, forward, gradient and weight changes; return when it is done."""
        ...

    def outcome(self) -> Outcome:
        """Weights now, and the errors of the latest :meth:`learn`."""
        ...
