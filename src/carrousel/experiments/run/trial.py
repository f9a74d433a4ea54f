"""One trial: its description, its state between slices, and its data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from carrousel.contracts import (
    Ending,
    Errors,
    Exam,
    Experiment,
    LearnerFactory,
    Memory,
    Network,
    Task,
    Trial,
)
from carrousel.experiments.run.curve import Curve
from carrousel.experiments.run.seeds import generator
from carrousel.kernels import KERNEL_VERSION
from carrousel.learners import may_cut
from carrousel.sequences import Sequences

BATCH_STEPS = 2**16
"""Approximate number of time steps that are drawn at once for a lane, and the most that are learned
at once. The overhead of Python is then small, and the data fit into a cache."""


@dataclass(frozen=True)
class TrialPlan:
    """Description of a row's trials, the same for all workers.

    Args:
        experiment: the experiment.
        learner: creates the learner.
        seed: seed of the run.
        batch_steps: approximate number of time steps that are drawn at once for a lane, on which
            trials depend, and the most that are learned in one call.
        shared: network and settings of the learner, where trials of other rows may be its other
            lanes (see :func:`carrousel.learners.shared_settings`); None: those of the experiment.
        keep: whether the weights of ended trials are returned.
    """

    experiment: Experiment
    learner: LearnerFactory
    seed: int
    batch_steps: int = BATCH_STEPS
    shared: tuple[Network, Any] | None = None
    keep: bool = False

    @property
    def expected(self) -> float:
        """Sequences that a trial is expected to take: the paper's mean, or else the budget."""
        return float(self.experiment.published.sequences or self.experiment.budget)


@dataclass
class TrialState:
    """State of a trial between two slices, small enough to be sent to another process.

    Args:
        row: number of the trial's row in the run.
        index: number of the trial.
        learned: state of the learner's lane.
        generator: state of the generator of training data before it drew the current batch.
        taken: number of sequences of that batch that are learned.
        memory: state of the stop rule.
        curve: learning curve so far.
        sequences: sequences learned so far.
        steps: time steps among them.
        seconds: the trial's share of wall time so far.
        kernel: version of the kernels that learned them.
    """

    row: int
    index: int
    learned: Mapping[str, np.ndarray]
    generator: Mapping[str, Any]
    taken: int
    memory: Memory
    curve: Curve
    sequences: int = 0
    steps: int = 0
    seconds: float = 0.0
    kernel: int = field(default=KERNEL_VERSION)


def plan_chunks(mean_length: float, every: int, batch_steps: int = BATCH_STEPS) -> tuple[int, int]:
    """Return the batch size (sequences drawn at once) and the chunk size (learned at once).

    The chunk size divides the batch size and the interval ``every`` between exams. It is exact for
    learners whose data may not be cut anywhere, and the length of a block of the learning curve.

    >>> plan_chunks(105.0, every=0), plan_chunks(105.0, every=100), plan_chunks(1013.0, every=1000)
    ((624, 624), (600, 100), (50, 50))
    """
    most = max(1, round(batch_steps / mean_length))
    if every == 0:
        return most, most
    chunk = next(n for n in range(min(every, most), 0, -1) if every % n == 0)
    return most // chunk * chunk, chunk


class RunningTrial:
    """A running trial without its network, which is in a lane of a learner.

    Args:
        plan: the trial's row.
        task: its task, with fixed sets drawn.
        trial: its state, which is updated.
    """

    def __init__(self, plan: TrialPlan, task: Task, trial: TrialState) -> None:
        self.plan, self.task, self.trial = plan, task, trial
        experiment = plan.experiment
        self._batch_size, self._chunk = plan_chunks(
            experiment.task.mean_length, experiment.stop.every, plan.batch_steps
        )
        self._cuts = may_cut(experiment.training)
        self._rng = np.random.Generator(np.random.SFC64(0))
        self._rng.bit_generator.state = trial.generator
        self._batch = task.sample(self._rng, self._batch_size)
        self._kept: list[Sequences] = []
        self._more: Iterator[Sequences] | None = None

    @staticmethod
    def begin(plan: TrialPlan, row: int, index: int) -> TrialState:
        """Return the state of a trial that has not begun."""
        experiment = plan.experiment
        rng = generator(plan.seed, experiment.name, index, "training")
        _, block = plan_chunks(experiment.task.mean_length, experiment.stop.every, plan.batch_steps)
        memory = experiment.stop.begin()
        return TrialState(row, index, {}, rng.bit_generator.state, 0, memory, Curve(block))

    @property
    def _left(self) -> int:
        """Sequences until the next exam or the end of the budget."""
        experiment, done = self.plan.experiment, self.trial.sequences
        left = experiment.budget - done
        if not self._cuts:
            return min(left, self._chunk)
        every = experiment.stop.every
        return min(left, every - done % every) if every else left

    def steps_left(self, most: int) -> tuple[int, int]:
        """Time steps that the next call of ``learn`` must take at least, and can take at most.

        Args:
            most: a greater number of steps is of no interest; beyond the current batch, steps are
                estimated.
        """
        if self.trial.taken == len(self._batch):
            self._next_batch()
        first, left = self.trial.taken, self._left
        offsets = self._batch.offsets
        end = min(first + left, len(self._batch))
        room = int(offsets[end] - offsets[first])
        if not self._cuts:
            return room, room
        if room < most:
            room += round((left - (end - first)) * self.task.mean_length)
        least = int(offsets[first + 1] - offsets[first])
        return least, max(least, min(room, most))

    def take(self, steps: int) -> Sequences:
        """Return training sequences of about ``steps`` time steps, at least one."""
        parts, left = list[Sequences](), self._left
        while left and (steps > 0 or not parts):
            if self.trial.taken == len(self._batch):
                self._next_batch()
            first = self.trial.taken
            end = min(first + left, len(self._batch))
            if self._cuts:
                end = min(end, self._nearest(first, steps, alone=not parts))
            if end == first:
                break
            parts.append(self._batch[first:end])
            self.trial.taken = end
            left -= end - first
            steps -= parts[-1].n_steps
        return parts[0] if len(parts) == 1 else Sequences.concatenate(parts)

    def _nearest(self, first: int, steps: int, *, alone: bool) -> int:
        """End of the sequences from ``first`` whose steps are closest to a number."""
        offsets = self._batch.offsets
        target = int(offsets[first]) + steps
        above = int(np.searchsorted(offsets, target))
        below = above - 1
        if above < len(offsets) and offsets[above] - target <= target - offsets[below]:
            below = above
        return max(below, first + alone)

    def _next_batch(self) -> None:
        self.trial.generator, self.trial.taken = self._rng.bit_generator.state, 0
        self._batch = self.task.sample(self._rng, self._batch_size)

    def note(self, errors: Errors | None, chunk: Sequences) -> tuple[Ending | None, int]:
        """Record a learned chunk; return the ending, if any, and the number of sequences."""
        assert errors is not None
        finite = np.isfinite(errors.sum_sq)
        learned = len(chunk) if finite.all() else int(np.argmin(finite))
        stop = self.plan.experiment.stop
        held = stop.watch(self.trial.memory, errors[:learned], self.task.tolerance)
        ending: Ending | None = None if learned == len(chunk) else "diverged"
        if held is not None:
            ending, learned = "solved", held
        trial = self.trial
        trial.sequences += learned
        trial.steps += int(chunk.offsets[learned] - chunk.offsets[0])
        trial.curve.add(errors.mean_abs[:learned])
        return ending, learned

    def pause(self) -> TrialState:
        """Return the state; the trial must not continue after that."""
        if self.trial.taken == len(self._batch):  # the batch need not be drawn again
            self.trial.generator, self.trial.taken = self._rng.bit_generator.state, 0
        return self.trial

    @property
    def exam_due(self) -> bool:
        """Whether the stop rule requires an exam now."""
        every = self.plan.experiment.stop.every
        return every > 0 and self.trial.sequences % every == 0

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self.trial.sequences >= self.plan.experiment.budget

    def exam(self) -> Exam:
        """Return the stop rule's exam."""
        return self.plan.experiment.stop.exam(self.trial.memory, self.task, self)

    def fresh(self, count: int) -> np.random.Generator:
        """Return the generator for one test (see :class:`carrousel.contracts.ExamData`)."""
        key = self.plan.seed, self.plan.experiment.name, self.trial.index
        return generator(*key, "test", count)

    def kept(
        self, make: Callable[[np.random.Generator], Iterable[Sequences]]
    ) -> Iterator[Sequences]:
        """Return the fixed test set in parts; each part is drawn once, when first needed."""
        if self._more is None:
            self._more = iter(make(self.fresh(0)))
        yield from self._kept
        for part in self._more:
            self._kept.append(part)
            yield part

    def close(self, ending: Ending, measures: Mapping[str, float]) -> Trial:
        """Return the ended trial."""
        trial, plan = self.trial, self.plan
        return Trial(
            experiment=plan.experiment.name,
            index=trial.index,
            seed=plan.seed,
            ending=ending,
            sequences=trial.sequences,
            steps=trial.steps,
            seconds=trial.seconds,
            measures={**plan.experiment.stop.measures(trial.memory), **measures},
            curve=trial.curve.points(),
        )
