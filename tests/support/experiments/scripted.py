"""A task and a learner with predictable errors, for tests of the runner.

They are in a separate module so that worker processes can import them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from carrousel.contracts import (
    Cell,
    Errors,
    Experiment,
    Network,
    Published,
    StopRule,
    Training,
)
from carrousel.experiments.stopping import RecentTraining
from carrousel.sequences import Sequences

DIVERGES = 13.0
"""A learning rate with which errors are infinite after ``pace`` sequences."""


@dataclass(frozen=True)
class ScriptedTask:
    """Sequences of 3 to 8 random values with a random target at the end."""

    drawn: int = -1
    mean_length: float = 5.5
    tolerance: float = 0.3
    n_inputs: int = 1
    n_outputs: int = 1

    def draw(self, rng: np.random.Generator) -> ScriptedTask:
        return replace(self, drawn=int(rng.integers(1, 2**30)))

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        offsets = np.concatenate([[0], np.cumsum(rng.integers(3, 9, n))])
        return Sequences(
            inputs=rng.random((int(offsets[-1]), 1), dtype=np.float32),
            n_inputs=1,
            offsets=offsets,
            targets=rng.random((n, 1), dtype=np.float32),
            n_outputs=1,
            target_steps=offsets[1:] - 1,
        )

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        return self.sample(rng, n)

    def correct(self, outputs: np.ndarray, data: Sequences) -> np.ndarray:
        return np.abs(outputs - data.targets)[:, 0] < self.tolerance


class ScriptedLearner:
    """A learner whose error is the last input of a sequence times ``exp(-seen / pace)``.

    ``pace`` is drawn for each lane, and ``seen`` counts learned sequences. ``digest`` depends on
    all learned sequences and their order.
    """

    def __init__(self, network: Network, training: Training, n_lanes: int = 1) -> None:
        self.n_lanes, self.rate = n_lanes, training.rate
        self.pace = np.full(n_lanes, np.nan)
        self.seen = np.zeros(n_lanes, np.int64)
        self.digest = np.zeros(n_lanes, np.int64)

    def begin(self, lane: int, rng: np.random.Generator) -> None:
        self.pace[lane] = rng.uniform(50.0, 500.0)
        self.seen[lane] = self.digest[lane] = 0

    def learn(self, data: Sequence[Sequences | None]) -> list[Errors | None]:
        return [None if part is None else self._learn(lane, part) for lane, part in enumerate(data)]

    def _learn(self, lane: int, data: Sequences) -> Errors:
        error = last_inputs(data) * self.skill(lane, self.seen[lane] + np.arange(len(data)))
        for target in data.targets[:, 0]:
            self.digest[lane] = (31 * int(self.digest[lane]) + int(target * 1000)) % 1_000_003
        self.seen[lane] += len(data)
        if self.rate == DIVERGES:
            error[np.arange(len(data)) + self.seen[lane] - len(data) >= self.pace[lane]] = np.inf
        with np.errstate(invalid="ignore"):
            return Errors(error, error, error**2, np.ones(len(data), np.int64))

    def predict(self, data: Sequence[Sequences | None]) -> list[np.ndarray | None]:
        return [
            None if part is None else self._predict(lane, part) for lane, part in enumerate(data)
        ]

    def _predict(self, lane: int, data: Sequences) -> np.ndarray:
        error = last_inputs(data) * self.skill(lane, self.seen[lane])
        return data.targets + (error + 1e-9 * self.digest[lane])[:, None]

    def skill(self, lane: int, seen: np.ndarray | np.int64) -> np.ndarray:
        return np.exp(-seen / self.pace[lane])

    def state(self, lane: int) -> dict[str, np.ndarray]:
        return {
            "pace": self.pace[lane].copy(),
            "seen": self.seen[lane].copy(),
            "digest": self.digest[lane].copy(),
        }

    def restore(self, lane: int, state: Mapping[str, np.ndarray]) -> None:
        self.pace[lane], self.seen[lane] = state["pace"], state["seen"]
        self.digest[lane] = state["digest"]

    def measures(self, lane: int) -> Mapping[str, float]:
        return {}

    @property
    def nbytes(self) -> int:
        return 3 * 8 * self.n_lanes


def last_inputs(data: Sequences) -> np.ndarray:
    return data.inputs[data.offsets[1:] - 1, 0].astype(np.float64)


def experiment(
    stop: StopRule | None = None,
    *,
    budget: int = 100_000,
    rate: float = 1.0,
    test_size: int = 100,
    draws: int = 1,
    name: str = "scripted",
) -> Experiment:
    """An experiment with the scripted task and learner; a trial takes some hundred sequences."""
    return Experiment(
        name=name,
        title="scripted",
        task=ScriptedTask(),
        network=Network(1, 1, Cell(1, 1)),
        learner="scripted",
        training=Training(rate=rate),
        stop=stop or RecentTraining(window=50, wrong_at_most=0, mean_below=0.1),
        budget=budget,
        published=Published("none", 100.0, 500.0, None, 10),
        test_size=test_size,
        draws=draws,
    )
