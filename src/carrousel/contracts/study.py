"""Experiments (rows of the paper's tables), their published figures, and the outcome of a trial."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from carrousel.checks import check_int
from carrousel.contracts.interfaces import Errors, Task
from carrousel.contracts.network import Network
from carrousel.errors import SettingError
from carrousel.sequences import Sequences


@dataclass(frozen=True)
class Published:
    """The paper's figures for one row of its tables; ``None`` where it gives none.

    Args:
        table: the row's table, e.g. ``"Table 7"``.
        success_percent: share of successful trials.
        sequences: mean number of training sequences until the stop rule held.
        weights: the paper's count of trainable weights.
        trials: how many trials the paper ran.
        others: further printed figures by name, e.g. ``{"wrong of 2560": 1}``.
        spread: smallest and largest number of sequences of its successful trials, if printed.
    """

    table: str
    success_percent: float | None
    sequences: float | None
    weights: int | None
    trials: int
    others: Mapping[str, float] = field(default_factory=dict)
    spread: tuple[float, float] | None = None


@dataclass(frozen=True)
class Reading:
    """A choice made where the paper is silent or contradicts itself.

    Args:
        field: the setting that the choice decides.
        chosen: the choice.
        why: the reason.
        departs: whether the choice contradicts the printed text, rather than filling a gap or
            resolving a contradiction in it.
    """

    field: str
    chosen: str
    why: str
    departs: bool = False


Memory = dict[str, np.ndarray]
"""State of a stop rule in one trial: a few small arrays, changed in place."""

Exam = Generator[Sequences, Any, bool]
"""A test in parts: yields sequences, receives the outputs ``[M, O]``, returns the verdict."""


@runtime_checkable
class ExamData(Protocol):
    """Source of a trial's test data."""

    def fresh(self, count: int) -> np.random.Generator:
        """Return a generator that this trial uses only for test number ``count``."""
        ...

    def kept(
        self, make: Callable[[np.random.Generator], Iterable[Sequences]]
    ) -> Iterator[Sequences]:
        """Return the parts of the trial's fixed test set; ``make`` draws it at the first call."""
        ...


@runtime_checkable
class StopRule(Protocol):
    """Criterion by which a trial has solved its task; ``experiments/stopping.py`` has the paper's.

    A rule is a frozen description. Its state in a trial is a :data:`Memory`, which the runner keeps
    and may write to disk between two calls.
    """

    @property
    def describe(self) -> str:
        """One sentence, for tables."""
        ...

    @property
    def every(self) -> int:
        """Training sequences between two exams; 0 for a rule that looks at training alone."""
        ...

    def begin(self) -> Memory:
        """Return the state of a trial that has not started."""
        ...

    def watch(self, memory: Memory, errors: Errors, tolerance: float) -> int | None:
        """Record the errors of the next training sequences, in order.

        Return the number of them after which the rule first held, or None.
        """
        ...

    def exam(self, memory: Memory, task: Task, tests: ExamData) -> Exam:
        """Test the network, after each :attr:`every` sequences; training is paused meanwhile."""
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
        learner: name of the learning algorithm in the registry of learners.
        training: its settings, the frozen dataclass that this learner takes.
        stop: criterion by which a trial has solved the task.
        budget: training sequences after which a trial is given up.
        published: the paper's figures.
        readings: choices made where the paper is silent.
        test_size: number of new sequences for a test at the end of a trial; 0 for no such test.
        draws: number of times that the task's fixed sets are drawn; trial ``i`` uses draw
            ``i % draws``.

    Raises:
        SettingError: ``budget``, ``test_size`` or ``draws`` is not a whole number in its range.
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
        members = [name for name in vars(Task) if not name.startswith("_")]
        missing = [name for name in members if name not in dir(self.task)]
        if missing:
            raise SettingError(
                f"task {type(self.task).__name__} lacks {', '.join(missing)}",
                argument="task",
                got=self.task,
                fix="give it all members of carrousel.contracts.Task",
            )


Ending = Literal["solved", "budget", "diverged"]


@dataclass(frozen=True)
class Trial:
    """The outcome of one trial.

    Args:
        experiment: name of the experiment.
        index: number of the trial within the run, from 0.
        seed: seed of the run; experiment, index and seed determine all other fields except
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
