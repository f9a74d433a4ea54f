"""Parts of series that may lie on disk: blocks in order, and a selection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from carrousel.estimators.data.series import Series, Source
from carrousel.shapes import Ints

BLOCK = 1 << 18
"""Steps that are read at once, at most, unless a single series has more."""


def blocks(
    lengths: Annotated[Ints, "N"], steps: int | None = None
) -> Iterator[Annotated[Ints, "some"]]:
    """Yield the positions of consecutive series that together have at most ``steps`` steps.

    None: :data:`BLOCK`. A longer series is a block alone.

    >>> [some.tolist() for some in blocks(np.array([2, 2, 5, 1]), steps=4)]
    [[0, 1], [2], [3]]
    """
    ends, first = np.cumsum(lengths), 0
    steps = BLOCK if steps is None else steps
    while first < len(lengths):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + steps, side="right")))
        yield np.arange(first, last)
        first = last


class Selection:
    """Some series of a data set, in a given order, read when they are taken."""

    def __init__(self, source: Source, indices: Annotated[Ints, "N"]) -> None:
        self.source, self.indices = source, indices
        self.lengths: Annotated[Ints, "N"] = source.lengths[indices]
        self.offsets: Annotated[Ints, "N+1"] = np.append(0, np.cumsum(self.lengths))

    @property
    def channels(self) -> tuple[str, ...]:
        return self.source.channels

    @property
    def n_channels(self) -> int:
        return len(self.channels)

    @property
    def n_steps(self) -> int:
        return int(self.offsets[-1])

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, n: int) -> str:
        return self.source.name(int(self.indices[n]))

    def take(self, indices: Annotated[Ints, "indices"]) -> Series:
        return self.source.take(self.indices[indices])


def select(source: Source, indices: Annotated[Ints, "N"]) -> Source:
    """Return some series: copies of a :class:`Series`, a :class:`Selection` of what is on disk."""
    return source.take(indices) if isinstance(source, Series) else Selection(source, indices)
