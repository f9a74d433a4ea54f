"""From the gradient of a batch to a change of weights: plain, with momentum, or Adam."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np

from carrousel.contracts import Batches
from carrousel.shapes import Floats, Ints


class Rule:
    """What all lanes keep between two changes, and how they change: in float64, weight by weight.

    A lane's numbers are the same to the last bit whatever its neighbours do: no sum runs over
    lanes, and powers are taken one at a time.

    Args:
        settings: the rule and its constants.
        n_lanes: independent lanes.
        n_weights: weights of each.

    >>> rule = Rule(Batches(rate=0.5, rule="plain", halves_every=1), n_lanes=1, n_weights=2)
    >>> rule.step(np.array([0]), np.array([[1.0, -2.0]])).tolist()
    [[0.5, -1.0]]
    >>> rule.step(np.array([0]), np.array([[1.0, -2.0]])).tolist()
    [[0.25, -0.5]]
    """

    def __init__(self, settings: Batches, n_lanes: int, n_weights: int) -> None:
        self.settings = settings
        self.changes = np.zeros(n_lanes, np.int64)
        kept = {"plain": (), "momentum": ("first",), "adam": ("first", "second")}[settings.rule]
        self._kept = {name: np.zeros((n_lanes, n_weights)) for name in kept}

    def begin(self, lane: int) -> None:
        """Forget what a lane has kept."""
        self.changes[lane] = 0
        for array in self._kept.values():
            array[lane] = 0.0

    def step(
        self, lanes: Annotated[Ints, "D"], gradient: Annotated[Floats, "D W"]
    ) -> Annotated[Floats, "D W"]:
        """Return what is to be added to the weights of some lanes.

        Args:
            lanes: their numbers, each once.
            gradient: of what is to grow: minus that of the error. It may be overwritten.
        """
        if self.settings.clip is not None:
            for row in gradient:
                _clip(row, self.settings.clip)
        rates = self._column(lanes, self._rate)
        if self.settings.rule == "plain":
            change = rates * gradient
        elif self.settings.rule == "momentum":
            first = self.settings.momentum * self._kept["first"][lanes] + gradient
            self._kept["first"][lanes] = first
            change = rates * first
        else:
            change = rates * self._adam(lanes, gradient)
        self.changes[lanes] += 1
        return change

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of what a lane has kept."""
        kept = {name: array[lane].copy() for name, array in self._kept.items()}
        return {"changes": self.changes[lane].copy(), **kept}

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Put a lane back into a state that :meth:`state` returned."""
        self.changes[lane] = state["changes"]
        for name, array in self._kept.items():
            array[lane] = state[name]

    @property
    def nbytes(self) -> int:
        """Bytes of what all lanes keep."""
        return self.changes.nbytes + sum(array.nbytes for array in self._kept.values())

    def _adam(self, lanes: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        beta_1, beta_2 = self.settings.momentum, self.settings.second
        first = beta_1 * self._kept["first"][lanes] + (1 - beta_1) * gradient
        second = beta_2 * self._kept["second"][lanes] + (1 - beta_2) * np.square(gradient)
        self._kept["first"][lanes], self._kept["second"][lanes] = first, second
        first /= self._column(lanes, lambda count: 1 - beta_1 ** (count + 1))
        second /= self._column(lanes, lambda count: 1 - beta_2 ** (count + 1))
        np.sqrt(second, out=second)
        second += self.settings.epsilon
        first /= second
        return first

    def _rate(self, changes: int) -> float:
        if not self.settings.halves_every:
            return self.settings.rate
        last = (changes + 1) * self.settings.size - 1  # the last sequence of this change
        return self.settings.rate * 0.5 ** (last // self.settings.halves_every)

    def _column(self, lanes: np.ndarray, of_count: Callable[[int], float]) -> np.ndarray:
        return np.array([of_count(count) for count in self.changes[lanes].tolist()])[:, None]


def _clip(gradient: np.ndarray, most: float) -> None:
    """Scale a gradient down to a norm in place; one of NaN or infinity becomes NaN."""
    # The largest entry is taken out first: squares of the rest do not overflow.
    largest = float(np.abs(gradient).max(initial=0.0))
    if largest == 0.0:
        return
    norm = largest * float(np.sqrt(np.square(gradient / largest).sum()))
    if not norm <= most:
        gradient *= most / norm
