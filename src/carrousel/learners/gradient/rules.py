"""Update rules: from the gradient of a batch to a change of weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np

from carrousel.contracts import Batches
from carrousel.shapes import Floats, Ints


class UpdateRule(ABC):
    """Turns gradients into changes of weights, in float64, for each lane on its own.

    Clips the gradient, asks the rule for a direction, and multiplies it by the learning rate.
    A lane's numbers do not depend on its neighbours, to the last bit: no sum runs over lanes, and
    powers are computed one at a time.

    Args:
        settings: the rule's constants.
        n_lanes: independent lanes.
        n_weights: weights of each, ``W``.

    >>> rule = update_rule(Batches(rate=0.5, rule="plain", halves_every=1), n_lanes=1, n_weights=2)
    >>> rule.step(np.array([0]), np.array([[1.0, -2.0]])).tolist()
    [[0.5, -1.0]]
    >>> rule.step(np.array([0]), np.array([[1.0, -2.0]])).tolist()
    [[0.25, -0.5]]
    """

    keeps: tuple[str, ...] = ()
    """Names of the averages that the rule keeps for each weight."""

    def __init__(self, settings: Batches, n_lanes: int, n_weights: int) -> None:
        self.settings = settings
        self.changes = np.zeros(n_lanes, np.int64)
        self._rates = np.full(n_lanes, settings.rate)
        self._halves = np.full(n_lanes, settings.halves_every)
        self.kept = {name: np.zeros((n_lanes, n_weights)) for name in self.keeps}

    @abstractmethod
    def direction(self, lanes: Annotated[Ints, "D"], gradient: Annotated[Floats, "D W"]) -> Floats:
        """Return the change ``[D, W]`` at a rate of 1, and update what is kept."""

    def assign(self, lane: int, settings: Batches) -> None:
        """Give a lane the rate of some settings, and their interval of halving."""
        self._rates[lane], self._halves[lane] = settings.rate, settings.halves_every

    def begin(self, lane: int) -> None:
        """Reset a lane; its rate is kept."""
        self.changes[lane] = 0
        for array in self.kept.values():
            array[lane] = 0.0

    def step(
        self, lanes: Annotated[Ints, "D"], gradient: Annotated[Floats, "D W"]
    ) -> Annotated[Floats, "D W"]:
        """Return what to add to the weights of some lanes.

        Args:
            lanes: their numbers, each once.
            gradient: the direction of descent, as kernels return it. It may be overwritten.
        """
        if self.settings.clip is not None:
            for row in gradient:
                _clip(row, self.settings.clip)
        change = self._rate(lanes) * self.direction(lanes, gradient)
        self.changes[lanes] += 1
        return change

    def state(self, lane: int) -> dict[str, np.ndarray]:
        """Copies of what a lane keeps."""
        kept = {name: array[lane].copy() for name, array in self.kept.items()}
        rate = {"rate": self._rates[lane].copy(), "halves_every": self._halves[lane].copy()}
        return {"changes": self.changes[lane].copy(), **rate, **kept}

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` returned."""
        self.changes[lane] = state["changes"]
        self._rates[lane], self._halves[lane] = state["rate"], state["halves_every"]
        for name, array in self.kept.items():
            array[lane] = state[name]

    @property
    def nbytes(self) -> int:
        """Bytes of what all lanes keep."""
        return self.changes.nbytes + sum(array.nbytes for array in self.kept.values())

    def column(self, lanes: np.ndarray, of_count: Callable[[int], float]) -> np.ndarray:
        """Evaluate a function of the number of changes so far for each lane, ``[D, 1]``."""
        return np.array([of_count(count) for count in self.changes[lanes].tolist()])[:, None]

    def _rate(self, lanes: np.ndarray) -> np.ndarray:
        """Rates of some lanes now, ``[D, 1]``."""
        rates = self._rates[lanes]
        for place, lane in enumerate(lanes.tolist()):
            if every := int(self._halves[lane]):
                # the last sequence of this change
                last = (int(self.changes[lane]) + 1) * self.settings.size - 1
                rates[place] *= 0.5 ** (last // every)
        return rates[:, None]


class PlainRule(UpdateRule):
    """Gradient descent: the direction is the gradient itself."""

    def direction(self, lanes: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        return gradient


class MomentumRule(UpdateRule):
    """Momentum: ``v <- momentum v + gradient``; the direction is ``v``."""

    keeps = ("first",)

    def direction(self, lanes: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        first = self.settings.momentum * self.kept["first"][lanes] + gradient
        self.kept["first"][lanes] = first
        return first


class AdamRule(UpdateRule):
    """Adam with bias correction (Kingma & Ba 2015, algorithm 1)."""

    keeps = ("first", "second")

    def direction(self, lanes: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        beta_1, beta_2 = self.settings.momentum, self.settings.second
        first = beta_1 * self.kept["first"][lanes] + (1 - beta_1) * gradient
        second = beta_2 * self.kept["second"][lanes] + (1 - beta_2) * np.square(gradient)
        self.kept["first"][lanes], self.kept["second"][lanes] = first, second
        first /= self.column(lanes, lambda count: 1 - beta_1 ** (count + 1))
        second /= self.column(lanes, lambda count: 1 - beta_2 ** (count + 1))
        np.sqrt(second, out=second)
        second += self.settings.epsilon
        first /= second
        return first


RULES: Mapping[str, type[UpdateRule]] = {
    "plain": PlainRule,
    "momentum": MomentumRule,
    "adam": AdamRule,
}
"""Update rules by the name that ``Batches.rule`` and ``GradientLearner(rule=...)`` take."""


def update_rule(settings: Batches, n_lanes: int, n_weights: int) -> UpdateRule:
    """Create the update rule that some settings name."""
    return RULES[settings.rule](settings, n_lanes, n_weights)


def _clip(gradient: np.ndarray, most: float) -> None:
    """Scale a gradient down to a norm in place; one of NaN or infinity becomes NaN."""
    # Divided by the largest entry first, so that no square overflows.
    largest = float(np.abs(gradient).max(initial=0.0))
    if largest == 0.0:
        return
    norm = largest * float(np.sqrt(np.square(gradient / largest).sum()))
    if not norm <= most:
        gradient *= most / norm
