"""Work of one worker for a slice of time: trials side by side in the lanes of one learner."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    Task,
    Trial,
)
from carrousel.experiments.run.curve import Curve
from carrousel.experiments.run.exams import final_exam, run_exams
from carrousel.experiments.run.seeds import generator
from carrousel.kernels import instruction_set
from carrousel.sequences import Sequences

LANES = 16
"""Number of trials that run side by side; the number of lanes that suits the native kernels."""

BATCH_STEPS = 2**16
"""Approximate number of time steps that are drawn at once for a lane. They are learned at once too,
unless a test is due. The overhead of Python is then small, and the data fit into a cache."""


@dataclass(frozen=True)
class TrialPlan:
    """Description of a run, the same for all workers.

    Args:
        experiment: the experiment.
        learner: creates the learner.
        seed: seed of the run.
        batch_steps: approximate number of time steps that are drawn at once for a lane; trials
            depend on it.
    """

    experiment: Experiment
    learner: LearnerFactory
    seed: int
    batch_steps: int = BATCH_STEPS


@dataclass
class TrialState:
    """State of a trial between two slices, small enough to be sent to another process.

    Args:
        index: number of the trial.
        learned: state of the learner's lane.
        generator: state of the generator of training data before it drew the current batch.
        taken: number of sequences of that batch that are learned.
        memory: state of the stop rule.
        sequences: sequences learned so far.
        steps: time steps among them.
        seconds: the trial's share of wall time so far.
        curve: learning curve so far.
    """

    index: int
    learned: Mapping[str, np.ndarray]
    generator: Mapping[str, Any]
    taken: int
    memory: Memory
    sequences: int = 0
    steps: int = 0
    seconds: float = 0.0
    curve: Curve = field(default_factory=Curve)


@dataclass(frozen=True)
class Slice:
    """Result of a worker's slice of time.

    Args:
        ended: trials that ended.
        paused: trials that have begun, but not ended.
        pending: indices of trials that have not begun.
        instruction_set: instruction set of the worker's kernels, which may differ in a cluster.
    """

    ended: list[Trial]
    paused: list[TrialState]
    pending: list[int]
    instruction_set: str


def advance(
    plan: TrialPlan, paused: Sequence[TrialState], pending: Sequence[int], seconds: float
) -> Slice:
    """Run trials for about ``seconds`` of wall time.

    A free lane takes the next pending trial. The length of a slice does not change any result.
    """
    deadline = time.perf_counter() + seconds
    _keep_freed_memory()
    group = LaneGroup(plan, min(LANES, len(paused) + len(pending)))
    waiting, ended = deque(pending), list[Trial]()
    for trial in paused:
        group.resume(trial)
    while True:
        while waiting and group.has_room:
            group.start(waiting.popleft())
        if group.is_empty:
            break
        ended += group.learn_chunk()
        if time.perf_counter() >= deadline:
            break
    return Slice(ended, group.pause(), list(waiting), instruction_set())


def _keep_freed_memory() -> None:
    """Make the C library keep the memory of a batch of data for the next batch.

    GNU's library returns freed blocks above a threshold to the system. New blocks then cost a page
    fault every 4 KiB, which can take most of the time of drawing data. The library raises the
    threshold to the size of the largest such block that was freed.
    """
    block = np.empty(24 * 2**20, np.uint8)
    del block


def plan_chunks(mean_length: float, every: int, batch_steps: int = BATCH_STEPS) -> tuple[int, int]:
    """Return the batch size (sequences drawn at once) and the chunk size (learned at once).

    The chunk size divides the batch size and the interval ``every`` between exams.

    >>> plan_chunks(105.0, every=0), plan_chunks(105.0, every=100), plan_chunks(1013.0, every=1000)
    ((624, 624), (600, 100), (50, 50))
    """
    most = max(1, round(batch_steps / mean_length))
    if every == 0:
        return most, most
    chunk = next(n for n in range(min(every, most), 0, -1) if every % n == 0)
    return most // chunk * chunk, chunk


class LaneGroup:
    """Trials of one experiment, each in a lane of one learner.

    Args:
        plan: the experiment and its seed.
        n_lanes: number of trials that run side by side, at most :data:`LANES`.
    """

    def __init__(self, plan: TrialPlan, n_lanes: int) -> None:
        experiment = plan.experiment
        self._plan = plan
        self._learner = plan.learner(experiment.network, experiment.training, n_lanes)
        self._examiner = plan.learner(experiment.network, experiment.training, LANES)
        self._lanes: list[_Lane | None] = [None] * n_lanes
        self._tasks: dict[int, Task] = {}
        self._batch, self._chunk = plan_chunks(
            experiment.task.mean_length, experiment.stop.every, plan.batch_steps
        )

    @property
    def has_room(self) -> bool:
        """Whether a lane is free."""
        return None in self._lanes

    @property
    def is_empty(self) -> bool:
        """Whether all lanes are free."""
        return not any(self._lanes)

    def start(self, index: int) -> None:
        """Begin trial ``index`` in a free lane."""
        place, (seed, name) = self._lanes.index(None), self._key
        self._learner.begin(place, generator(seed, name, index, "weights"))
        training = generator(seed, name, index, "training").bit_generator.state
        memory = self._plan.experiment.stop.begin()
        self._lanes[place] = self._lane(TrialState(index, {}, training, 0, memory))

    def resume(self, trial: TrialState) -> None:
        """Continue a trial in a free lane."""
        place = self._lanes.index(None)
        self._learner.restore(place, trial.learned)
        self._lanes[place] = self._lane(trial)

    def pause(self) -> list[TrialState]:
        """Return the states of the trials that have not ended."""
        busy = [(place, lane) for place, lane in enumerate(self._lanes) if lane]
        for place, lane in busy:
            lane.trial.learned = self._learner.state(place)
        return [lane.trial for _, lane in busy]

    def learn_chunk(self) -> list[Trial]:
        """Learn the next chunk of every trial; return trials that ended, and free their lanes."""
        began = time.perf_counter()
        busy = {place: lane for place, lane in enumerate(self._lanes) if lane}
        chunks = {place: lane.take(self._chunk) for place, lane in busy.items()}
        before = {place: self._learner.state(place) for place in busy}
        errors = self._learn(chunks)
        endings: dict[int, Ending] = {}
        repeats: dict[int, Sequences] = {}
        for place, lane in busy.items():
            ending, learned = lane.note(errors[place], chunks[place])
            if ending:
                endings[place] = ending
            if ending == "solved" and learned < len(chunks[place]):
                repeats[place] = chunks[place][:learned]
        for place in repeats:  # go back to the weights at which the rule held
            self._learner.restore(place, before[place])
        if repeats:
            self._learn(repeats)
        exams = {p: lane.exam() for p, lane in busy.items() if p not in endings and lane.exam_due}
        passed = run_exams(self._learner, self._examiner, exams)
        endings.update((place, "solved") for place, holds in passed.items() if holds)
        endings.update((p, "budget") for p in busy if p not in endings and busy[p].spent)
        verdicts = self._judge([place for place in endings if endings[place] != "diverged"])
        share = (time.perf_counter() - began) / len(busy)
        for lane in busy.values():
            lane.trial.seconds += share
        for place in endings:
            self._lanes[place] = None
        return [
            busy[p].close(ending, {**self._learner.measures(p), **verdicts.get(p, {})})
            for p, ending in endings.items()
        ]

    @property
    def _key(self) -> tuple[int, str]:
        return self._plan.seed, self._plan.experiment.name

    def _lane(self, trial: TrialState) -> _Lane:
        draw = trial.index % self._plan.experiment.draws
        if draw not in self._tasks:
            rng = generator(*self._key, draw, "draw")
            self._tasks[draw] = self._plan.experiment.task.draw(rng)
        return _Lane(self._plan, self._tasks[draw], trial, self._batch)

    def _learn(self, chunks: Mapping[int, Sequences]) -> Sequence[Errors | None]:
        return self._learner.learn([chunks.get(place) for place in range(self._learner.n_lanes)])

    def _judge(self, places: Sequence[int]) -> dict[int, dict[str, float]]:
        """Test ended trials on fresh sequences; return their measures."""
        size = self._plan.experiment.test_size
        measures: dict[int, dict[str, float]] = {place: {} for place in places if size}
        exams = {}
        for place, into in measures.items():
            lane = self._lanes[place]
            assert lane is not None
            rng = generator(*self._key, lane.trial.index, "verdict")
            exams[place] = final_exam(lane.task, size, rng, into)
        run_exams(self._learner, self._examiner, exams)
        return measures


class _Lane:
    """A running trial without its network, which is in the learner's lane."""

    def __init__(self, plan: TrialPlan, task: Task, trial: TrialState, batch: int) -> None:
        self.task, self.trial = task, trial
        self._plan, self._batch_size = plan, batch
        self._rng = np.random.Generator(np.random.SFC64(0))
        self._rng.bit_generator.state = trial.generator
        self._batch = task.sample(self._rng, batch)
        self._kept: list[Sequences] = []
        self._more: Iterator[Sequences] | None = None

    def take(self, n: int) -> Sequences:
        """Return the next ``n`` training sequences, or fewer where the budget ends."""
        trial = self.trial
        if trial.taken == len(self._batch):
            trial.generator, trial.taken = self._rng.bit_generator.state, 0
            self._batch = self.task.sample(self._rng, self._batch_size)
        first = trial.taken
        trial.taken += n
        return self._batch[first : first + min(n, self._plan.experiment.budget - trial.sequences)]

    def note(self, errors: Errors | None, chunk: Sequences) -> tuple[Ending | None, int]:
        """Record a learned chunk; return the ending, if any, and the number of sequences."""
        assert errors is not None
        finite = np.isfinite(errors.sum_sq)
        learned = len(chunk) if finite.all() else int(np.argmin(finite))
        stop = self._plan.experiment.stop
        held = stop.watch(self.trial.memory, errors[:learned], self.task.tolerance)
        ending: Ending | None = None if learned == len(chunk) else "diverged"
        if held is not None:
            ending, learned = "solved", held
        trial = self.trial
        trial.sequences += learned
        trial.steps += int(chunk.offsets[learned])
        trial.curve.add(learned, float(errors.mean_abs[:learned].sum()))
        return ending, learned

    @property
    def exam_due(self) -> bool:
        """Whether the stop rule requires an exam now."""
        every = self._plan.experiment.stop.every
        return every > 0 and self.trial.sequences % every == 0

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self.trial.sequences >= self._plan.experiment.budget

    def exam(self) -> Exam:
        """Return the stop rule's exam."""
        return self._plan.experiment.stop.exam(self.trial.memory, self.task, self)

    def fresh(self, count: int) -> np.random.Generator:
        """Return the generator for one test (see :class:`carrousel.contracts.ExamData`)."""
        key = self._plan.seed, self._plan.experiment.name, self.trial.index
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

    def close(self, ending: Ending, verdicts: Mapping[str, float]) -> Trial:
        """Return the ended trial."""
        trial, plan = self.trial, self._plan
        return Trial(
            experiment=plan.experiment.name,
            index=trial.index,
            seed=plan.seed,
            ending=ending,
            sequences=trial.sequences,
            steps=trial.steps,
            seconds=trial.seconds,
            measures={**plan.experiment.stop.measures(trial.memory), **verdicts},
            curve=trial.curve.points(),
        )
