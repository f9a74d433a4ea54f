"""Trials side by side in the lanes of one learner: what one worker does for a slice of time."""

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
from carrousel.experiments.run.exams import sit, verdict
from carrousel.experiments.run.seeds import generator
from carrousel.kernels import instruction_set
from carrousel.sequences import Sequences

LANES = 16
"""Trials of one group; the natural number of lanes of the native kernels."""

BATCH_STEPS = 2**16
"""About as many time steps are drawn at once for a lane, and learned at once where no test comes
between: enough to make Python's share small, few enough to stay in a cache."""


@dataclass(frozen=True)
class Plan:
    """What every worker must know of a run.

    Args:
        experiment: what is run.
        learner: makes the learner.
        seed: seed of the run.
        batch_steps: about as many time steps are drawn at once for a lane; trials depend on it.
    """

    experiment: Experiment
    learner: LearnerFactory
    seed: int
    batch_steps: int = BATCH_STEPS


@dataclass
class Paused:
    """A trial between two slices: everything its future depends on, small enough to send around.

    ``drawing`` is the state of the training data's generator before it drew the current batch, of
    which ``taken`` sequences are learned.
    """

    index: int
    learned: Mapping[str, np.ndarray]
    drawing: Mapping[str, Any]
    taken: int
    memory: Memory
    sequences: int = 0
    steps: int = 0
    seconds: float = 0.0
    curve: Curve = field(default_factory=Curve)


@dataclass(frozen=True)
class Slice:
    """What became of a worker's trials: those that ended, those under way, those not begun.

    ``instruction_set`` is what the worker's kernels run on; a cluster may be of several kinds.
    """

    ended: list[Trial]
    paused: list[Paused]
    pending: list[int]
    instruction_set: str


def advance(plan: Plan, paused: Sequence[Paused], pending: Sequence[int], seconds: float) -> Slice:
    """Carry trials on for about ``seconds`` of wall time.

    A free lane takes the next pending trial. Where the slice ends changes no result.
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
    """Let the C library keep the memory of each batch of data for the next one.

    GNU's returns blocks above a threshold to the system as soon as they are freed, and fresh ones
    cost a page fault every 4 KiB, which can be most of the time of drawing data. It raises the
    threshold to the size of the largest such block it has seen freed.
    """
    block = np.empty(24 * 2**20, np.uint8)
    del block


def plan_chunks(mean_length: float, every: int, batch_steps: int = BATCH_STEPS) -> tuple[int, int]:
    """Return how many sequences are drawn at once, and how many are learned at once.

    A chunk divides the batch it is taken from, and the interval ``every`` between exams.

    >>> plan_chunks(105.0, every=0), plan_chunks(105.0, every=100), plan_chunks(1013.0, every=1000)
    ((624, 624), (600, 100), (50, 50))
    """
    most = max(1, round(batch_steps / mean_length))
    if every == 0:
        return most, most
    chunk = next(n for n in range(min(every, most), 0, -1) if every % n == 0)
    return most // chunk * chunk, chunk


class LaneGroup:
    """Up to :data:`LANES` trials of one experiment, each in a lane of one learner.

    Args:
        plan: the experiment and its seed.
        n_lanes: how many trials run side by side.
    """

    def __init__(self, plan: Plan, n_lanes: int) -> None:
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
        drawing = generator(seed, name, index, "training").bit_generator.state
        memory = self._plan.experiment.stop.begin()
        self._lanes[place] = self._lane(Paused(index, {}, drawing, 0, memory))

    def resume(self, trial: Paused) -> None:
        """Carry on a trial in a free lane."""
        place = self._lanes.index(None)
        self._learner.restore(place, trial.learned)
        self._lanes[place] = self._lane(trial)

    def pause(self) -> list[Paused]:
        """Return the trials under way, with all that they have learned."""
        busy = [(place, lane) for place, lane in enumerate(self._lanes) if lane]
        for place, lane in busy:
            lane.trial.learned = self._learner.state(place)
        return [lane.trial for _, lane in busy]

    def learn_chunk(self) -> list[Trial]:
        """Let every trial learn its next chunk; return those that ended, and free their lanes."""
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
        for place in repeats:  # the weights of exactly the moment at which the rule held
            self._learner.restore(place, before[place])
        if repeats:
            self._learn(repeats)
        exams = {p: lane.exam() for p, lane in busy.items() if p not in endings and lane.exam_due}
        passed = sit(self._learner, self._examiner, exams)
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

    def _lane(self, trial: Paused) -> _Lane:
        draw = trial.index % self._plan.experiment.draws
        if draw not in self._tasks:
            rng = generator(*self._key, draw, "draw")
            self._tasks[draw] = self._plan.experiment.task.draw(rng)
        return _Lane(self._plan, self._tasks[draw], trial, self._batch)

    def _learn(self, chunks: Mapping[int, Sequences]) -> list[Errors | None]:
        return self._learner.learn([chunks.get(place) for place in range(self._learner.n_lanes)])

    def _judge(self, places: Sequence[int]) -> dict[int, dict[str, float]]:
        """Test trials at their end on fresh sequences."""
        size = self._plan.experiment.test_size
        measures: dict[int, dict[str, float]] = {place: {} for place in places if size}
        exams = {}
        for place, into in measures.items():
            lane = self._lanes[place]
            assert lane is not None
            rng = generator(*self._key, lane.trial.index, "verdict")
            exams[place] = verdict(lane.task, size, rng, into)
        sit(self._learner, self._examiner, exams)
        return measures


class _Lane:
    """One trial under way, apart from what its network has learned."""

    def __init__(self, plan: Plan, task: Task, trial: Paused, batch: int) -> None:
        self.task, self.trial = task, trial
        self._plan, self._batch_size = plan, batch
        self._rng = np.random.Generator(np.random.SFC64(0))
        self._rng.bit_generator.state = trial.drawing
        self._batch = task.sample(self._rng, batch)
        self._kept: list[Sequences] = []
        self._more: Iterator[Sequences] | None = None

    def take(self, n: int) -> Sequences:
        """Return the next ``n`` training sequences, or fewer where the budget ends."""
        trial = self.trial
        if trial.taken == len(self._batch):
            trial.drawing, trial.taken = self._rng.bit_generator.state, 0
            self._batch = self.task.sample(self._rng, self._batch_size)
        first = trial.taken
        trial.taken += n
        return self._batch[first : first + min(n, self._plan.experiment.budget - trial.sequences)]

    def note(self, errors: Errors | None, chunk: Sequences) -> tuple[Ending | None, int]:
        """Count what was learned; return how the trial ended, if it did, and after how many."""
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
        """Whether the stop rule asks for an exam now."""
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
        """Return the fixed test set part by part; each is drawn once, when first needed."""
        if self._more is None:
            self._more = iter(make(self.fresh(0)))
        yield from self._kept
        for part in self._more:
            self._kept.append(part)
            yield part

    def close(self, ending: Ending, verdicts: Mapping[str, float]) -> Trial:
        """Return the outcome."""
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
