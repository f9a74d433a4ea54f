"""Programs that run the same learning task, behind one interface."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np

from carrousel.sequences import Sequences
from carrousel.shapes import Floats


class Outcome(NamedTuple):
    """Result of learning some data: the weights afterwards, and the errors."""

    weights: Annotated[Floats, "B W"]
    sum_sq: Annotated[Floats, "B N"]  # summed squared errors of each sequence


class Contender(Protocol):
    """A program that trains ``n_lanes`` independent nets side by side.

    Args:
        name: label in tables.
        detail: the form of the program, in a few words.
        n_lanes: number of nets.
        exact: whether it follows the algorithm of 1997, so that its results can be verified against
            the reference.
    """

    name: str
    detail: str
    n_lanes: int
    exact: bool

    def draw(self, rng: np.random.Generator) -> list[Sequences]:
        """Draw training data: the sequences of lane 0, then those of lane 1, and so on.

        Each contender may divide them among the parts of the list as it likes.
        """
        ...

    def pack(self, parts: list[Sequences]) -> Any:
        """Convert data to the contender's own format; each lane has equally many sequences."""
        ...

    def start(self, weights: Annotated[Floats, "B W"]) -> None:
        """Reset to these weights."""
        ...

    def learn(self, packed: Any) -> None:
        """Learn all packed data: forward pass, gradient and weight changes. Blocks until done."""
        ...

    def outcome(self) -> Outcome:
        """Return the current weights and the errors of the last :meth:`learn`."""
        ...
