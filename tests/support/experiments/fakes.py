"""Made-up experiments and trials for tests of stores and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from carrousel.contracts import (
    Cell,
    Errors,
    Exam,
    ExamData,
    Experiment,
    Memory,
    Network,
    Published,
    Reading,
    Task,
    Training,
    Trial,
)
from carrousel.experiments.store.store import Store
from carrousel.sequences import Sequences


@dataclass(frozen=True)
class FakeTask:
    """A task with fields but no data."""

    n_inputs: int = 2
    n_outputs: int = 1
    length: int = 100
    targets: tuple[float, ...] = (0.5, 1.0)

    def draw(self, rng: np.random.Generator) -> FakeTask:
        return self

    def sample(self, rng: np.random.Generator, n: int) -> Sequences:
        raise NotImplementedError

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        raise NotImplementedError

    def correct(self, outputs: np.ndarray, data: Sequences) -> np.ndarray:
        raise NotImplementedError

    @property
    def tolerance(self) -> float:
        return 0.04

    @property
    def mean_length(self) -> float:
        return float(self.length)


@dataclass(frozen=True)
class FakeStop:
    """A stop rule with a description but no function."""

    describe: str = "2000 sequences in a row are right"
    bounds: dict[str, float] = field(default_factory=lambda: {"error": 0.01})

    @property
    def every(self) -> int:
        return 0

    def begin(self) -> Memory:
        raise NotImplementedError

    def watch(self, memory: Memory, errors: Errors, tolerance: float) -> int | None:
        raise NotImplementedError

    def exam(self, memory: Memory, task: Task, tests: ExamData) -> Exam:
        raise NotImplementedError

    def measures(self, memory: Memory) -> Mapping[str, float]:
        raise NotImplementedError


def experiment(name: str = "4-1", **changes: Any) -> Experiment:
    """An experiment like the first row of Table 7, with changes."""
    row: dict[str, Any] = {
        "name": name,
        "title": "adding problem, T = 100",
        "task": FakeTask(),
        "network": Network(2, 1, Cell(2, 2), bias="all"),
        "learner": "truncated",
        "training": Training(rate=0.5),
        "stop": FakeStop(),
        "budget": 1_000_000,
        "published": Published("Table 7", 100.0, 74_000.0, 93, 10, {"wrong of 2560": 1.0}),
        "readings": (Reading("first marker", "1", "the paper does not say"),),
    }
    return Experiment(**{**row, **changes})


def trial(index: int, name: str = "4-1", seed: int = 0, **changes: Any) -> Trial:
    """A solved trial whose figures depend on seed and index, with changes."""
    rng = np.random.default_rng([seed, index])
    sequences = int(60_000 + rng.integers(40_000))
    seen = np.linspace(1000, sequences, 25).astype(int)
    errors = 0.25 * np.exp(-4.0 * seen / sequences) * rng.uniform(0.8, 1.25, seen.size)
    row: dict[str, Any] = {
        "experiment": name,
        "index": index,
        "seed": seed,
        "ending": "solved",
        "sequences": sequences,
        "steps": sequences * 105,
        "seconds": 1.5 + index / 10,
        "measures": {"wrong of 2560": float(index % 3)},
        "curve": tuple(zip(seen.tolist(), errors.tolist(), strict=True)),
    }
    return Trial(**{**row, **changes})


def put(store: Store, *trials: Trial, **changes: Any) -> list[bool]:
    """Append trials of :func:`experiment`; return which of them were new."""
    return [
        store.append(each, experiment(each.experiment, **changes), instruction_set="plain")
        for each in trials
    ]
