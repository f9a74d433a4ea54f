"""A study: a row of the paper's tables, its published figures, one trial's outcome."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts.learning import Errors, Task
from carrousel.contracts.network import Network
from carrousel.sequences import Sequences


@dataclass(frozen=True)
class Published:
    """The paper's own figures for one row of its tables; ``None`` where it gives none.

    Args:
        table: where the row stands, e.g. ``"Table 7"``.
        success_percent: share of successful trials.
        sequences: mean number of training sequences until the stop rule held.
        weights: the paper's count of trainable weights.
        trials: how many trials the paper ran.
        others: further printed figures by name, e.g. ``{"wrong of 2560": 1}``.
    """

    table: str
    success_percent: float | None
    sequences: float | None
    weights: int | None
    trials: int
    others: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One place where the paper is silent or contradicts itself, and what is done about it.

    Args:
        field: the setting that the choice decides.
        chosen: what is done.
        why: the reason.
        departs: whether the choice contradicts what the paper prints, instead of answering where
            it is silent or says two things at once.
    """

    field: str
    chosen: str
    why: str
    departs: bool = False


Memory = dict[str, np.ndarray]
"""What a stop rule remembers of one trial: a few small arrays, changed in place."""

Exam = Generator[Sequences, Any, bool]
"""A test in parts: yields sequences, is sent the outputs at their targets, returns the verdict."""


@runtime_checkable
class ExamData(Protocol):
    """Where a trial's test data come from."""

    def fresh(self, count: int) -> np.random.Generator:
        """Return a generator that this trial uses for nothing but the test number ``count``."""
        ...

    def kept(
        self, make: Callable[[np.random.Generator], Iterable[Sequences]]
    ) -> Iterator[Sequences]:
        """Return the parts of the trial's fixed test set, which ``make`` draws when first asked."""
        ...


@runtime_checkable
class StopRule(Protocol):
    """When a trial has solved its task; see ``experiments/stopping.py`` for those of the paper.

    A rule is a frozen description; what it remembers of a trial lives in a :data:`Memory` that the
    runner keeps and may write to disk between two calls.
    """

    @property
    def describe(self) -> str:
        """One sentence in words, for tables."""
        ...

    @property
    def every(self) -> int:
        """Training sequences between two exams; 0 for a rule that looks at training alone."""
        ...

    def begin(self) -> Memory:
        """Return the memory of a trial that has not learned anything."""
        ...

    def watch(self, memory: Memory, errors: Errors, tolerance: float) -> int | None:
        """Note the errors of the next training sequences, in order.

        Return after how many of them the rule first held, or None if it does not hold yet.
        """
        ...

    def exam(self, memory: Memory, task: Task, tests: ExamData) -> Exam:
        """Test a net whose training stands still, after each :attr:`every` sequences."""
        ...

    def measures(self, memory: Memory) -> Mapping[str, float]:
        """Return further figures by name, such as the count at which an earlier rule held."""
        ...


@dataclass(frozen=True)
class Experiment:
    """One row of the paper's tables: task, network, learner, stop rule, trials, published figure.

    Args:
        name: the row's fixed name, e.g. ``"4-1"``.
        title: a few words, e.g. ``"adding problem, T = 100"``.
        task: what is learned.
        network: the net, whose ``n_weights`` equals the paper's count.
        learner: name of the learning algorithm, as the registry of learners reads it.
        training: its settings, the frozen dataclass that this learner asks for.
        stop: when a trial has solved the task.
        budget: training sequences after which a trial is given up.
        published: the paper's figures.
        readings: choices made where the paper is silent.
        test_size: fresh sequences on which a trial is judged at its end; 0 for no such test.
        draws: how often the task's fixed sets are drawn; trial ``i`` uses draw ``i % draws``.
    """

    name: str
    title: str
    task: Task
    network: Network
    learner: str
    training: Any
    stop: StopRule
    budget: int
    published: Published
    readings: tuple[Reading, ...] = ()
    test_size: int = 0
    draws: int = 1

    def __post_init__(self) -> None:
        check_int("budget", self.budget, minimum=1)
        check_int("test_size", self.test_size, minimum=0)
        check_int("draws", self.draws, minimum=1)


Ending = Literal["solved", "budget", "diverged"]


@dataclass(frozen=True)
class Trial:
    """One seed's outcome.

    Args:
        experiment: name of the experiment.
        index: number of the trial within the run, from 0.
        seed: seed of the run; experiment, index and seed together fix everything below but
            ``seconds``.
        ending: ``"solved"``, ``"budget"`` (given up) or ``"diverged"`` (weights no longer finite).
        sequences: training sequences presented until the stop rule held, or until given up.
        steps: time steps among them.
        seconds: this trial's share of the wall time of its worker.
        measures: further figures by name: the first stop rule's count, test errors, accuracies.
        curve: thinned learning curve: pairs of sequences seen and mean absolute training error
            since the pair before.
    """

    experiment: str
    index: int
    seed: int
    ending: Ending
    sequences: int
    steps: int
    seconds: float
    measures: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def success(self) -> bool:
        """Whether the stop rule held within the budget."""
        return self.ending == "solved"
