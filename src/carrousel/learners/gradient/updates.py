"""Shared weights of gradient learners, and the interface of weight updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol

import numpy as np

from carrousel.contracts import Batches, Errors, Gradient, Kernel, Network, Training
from carrousel.kernels import gradient_numbers
from carrousel.memory import check_memory
from carrousel.sequences import Sequences
from carrousel.shapes import Floats, Ints


class GradientLanes:
    """Weights and random generators of independent copies of one network.

    Args:
        network: the net, the same for all lanes.
        gradient: the gradient that the lanes follow.
        kernel: runs the network.
        n_lanes: number of copies ``B``.
    """

    def __init__(self, network: Network, gradient: Gradient, kernel: Kernel, n_lanes: int) -> None:
        self.network, self.gradient, self.kernel = network, gradient, kernel
        self.weights: Annotated[Floats, "B W"] = np.zeros(
            (n_lanes, network.n_weights), kernel.dtype
        )
        self.rngs = [np.random.Generator(np.random.SFC64(0)) for _ in range(n_lanes)]
        self._longest = 0

    def note_lengths(self, data: Sequence[Sequences | None]) -> None:
        """Remember the longest sequence, on which the memory of BPTT depends.

        Raises:
            SettingError: it needs more memory than this process may use.
        """
        longest = max(
            (int(part.lengths.max(initial=0)) for part in data if part is not None), default=0
        )
        if longest <= self._longest:
            return
        check_memory(
            f"gradient {self.gradient.name!r}",
            self._bytes_for(longest),
            argument="data",
            got=f"a sequence of {longest:,} steps",
            fix="take 'truncated' or 'bptt:h', or shorter sequences",
        )
        self._longest = longest

    @property
    def nbytes(self) -> int:
        """Bytes of the weights and of what the gradient keeps between time steps."""
        return self._bytes_for(self._longest)

    def _bytes_for(self, longest: int) -> int:
        kept = gradient_numbers(self.network, self.gradient, longest)
        return self.weights.nbytes + len(self.weights) * kept * self.weights.itemsize


class Updates(Protocol):
    """A way of changing the weights of :class:`GradientLanes` by their gradient."""

    @property
    def cells_from(self) -> Annotated[Ints, "B"]:
        """Sequences of the next call after which the cells and gates of each lane take part."""
        ...

    def begin(self, lane: int) -> None:
        """Reset a lane; its settings are kept."""
        ...

    def assign(self, lane: int, training: Training | Batches) -> None:
        """Give a lane the rate and the schedule of some settings."""
        ...

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        """Learn one ragged batch per lane, in order; ``None`` leaves a lane alone."""
        ...

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of everything a lane keeps apart from weights and random generator."""
        ...

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned."""
        ...

    def measures(self, lane: int) -> Mapping[str, float]:
        """Further figures of a lane by name."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes in addition to those of :class:`GradientLanes`."""
        ...
