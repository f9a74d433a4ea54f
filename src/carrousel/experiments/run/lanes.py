"""Work of one worker for a slice of time: trials side by side in the lanes of one learner.

Trials of several rows may share the learner, if their networks have the same shape. All lanes of a
call of ``learn`` get about the same number of time steps, because the call takes as long as its
longest lane.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from carrousel.contracts import Ending, Errors, Learner, MixedLearner, Task, Trial
from carrousel.errors import SettingError
from carrousel.experiments.run.exams import final_exam, run_exams
from carrousel.experiments.run.seeds import generator
from carrousel.experiments.run.trial import RunningTrial, TrialPlan, TrialState
from carrousel.kernels import KERNEL_VERSION, NativeKernel, instruction_set
from carrousel.sequences import Sequences

LANES = 16
"""Number of trials that run side by side; the number of lanes that suits the native kernels."""

Job = tuple[int, int]
"""A trial that has not begun: number of its row in the run, and its index."""

CALL_SECONDS = 0.1
"""Time that a call of ``learn`` should not exceed, so that slices end in time."""
OVERHEAD_SECONDS = 1e-3
"""Approximate time of a call apart from learning."""
SOON = 1.2
"""A lane that must stop within this factor of the steps of a call is learned up to that point."""
FIRST_STEPS = 2**12
"""Steps of the first call of a group whose speed is unknown."""


@dataclass(frozen=True)
class LaneUse:
    """How well learning filled the lanes of vectors; counts are added up over calls.

    Args:
        learned: seconds of calls of ``learn``, each times its share of useful lanes: the time steps
            of all lanes, over those of all vectors if each were full and as long as its longest
            lane.
        seconds: seconds of these calls.
        steps: time steps of the longest lane of each call.

    >>> (LaneUse(1.0, 2.0, 10) + LaneUse(2.0, 2.0, 5)).share
    0.75
    """

    learned: float = 0.0
    seconds: float = 0.0
    steps: int = 0

    def __add__(self, other: LaneUse) -> LaneUse:
        return LaneUse(
            self.learned + other.learned, self.seconds + other.seconds, self.steps + other.steps
        )

    @property
    def share(self) -> float | None:
        """Share of useful lanes, weighted by time; None before the first call."""
        return self.learned / self.seconds if self.seconds > 0 else None

    @staticmethod
    def of_call(steps: Sequence[int], width: int, seconds: float) -> LaneUse:
        """Return the use of one call.

        Args:
            steps: time steps of each lane that learned.
            width: lanes of a vector.
            seconds: duration of the call.

        >>> LaneUse.of_call([100, 50], width=4, seconds=2.0)
        LaneUse(learned=0.75, seconds=2.0, steps=100)
        """
        vectors = [steps[first : first + width] for first in range(0, len(steps), width)]
        room = width * sum(max(each) for each in vectors)
        return LaneUse(seconds * sum(steps) / max(room, 1), seconds, max(steps))


@dataclass(frozen=True)
class Share:
    """Trials of one worker for a slice, which can share a learner.

    Args:
        plans: their rows, by number.
        paused: states of trials that have begun, at most :data:`LANES`.
        pending: trials that begin when a lane is free, in this order.
        pace: seconds a time step of the longest lane, as measured before; None: unknown.
    """

    plans: Mapping[int, TrialPlan]
    paused: Sequence[TrialState] = ()
    pending: Sequence[Job] = ()
    pace: float | None = None


@dataclass(frozen=True)
class Slice:
    """Result of a worker's slice of time.

    Args:
        ended: numbers of rows, and their trials that ended.
        paused: trials that have begun, but not ended.
        pending: trials that have not begun.
        instruction_set: instruction set of the worker's kernels, which may differ in a cluster.
        use: how well learning filled the lanes.
        seconds: duration of the slice.
        kept: arrays of the networks of ended trials, where the row keeps them.
    """

    ended: list[tuple[int, Trial]]
    paused: list[TrialState]
    pending: list[Job]
    instruction_set: str
    use: LaneUse = field(default_factory=LaneUse)
    seconds: float = 0.0
    kept: Mapping[Job, Mapping[str, np.ndarray]] = field(default_factory=dict)

    @property
    def rows(self) -> set[int]:
        """Numbers of the rows whose trials ran."""
        return {row for row, _ in self.ended} | {trial.row for trial in self.paused}


def advance(share: Share, seconds: float) -> Slice:
    """Run trials for about ``seconds`` of wall time.

    A free lane takes the next pending trial. The length of a slice does not change any result.
    """
    began = time.perf_counter()
    _keep_freed_memory()
    group = LaneGroup(share.plans, min(LANES, len(share.paused) + len(share.pending)), share.pace)
    waiting, ended = deque(share.pending), list[tuple[int, Trial]]()
    for trial in share.paused:
        group.resume(trial)
    while True:
        while waiting and group.has_room:
            group.start(waiting.popleft())
        if group.is_empty:
            break
        ended += group.learn_chunk()
        if time.perf_counter() >= began + seconds:
            break
    paused, took = group.pause(), time.perf_counter() - began
    return Slice(ended, paused, list(waiting), instruction_set(), group.use, took, group.kept)


def _keep_freed_memory() -> None:
    """Make the C library keep the memory of a batch of data for the next batch.

    GNU's library returns freed blocks above a threshold to the system. New blocks then cost a page
    fault every 4 KiB, which can take most of the time of drawing data. The library raises the
    threshold to the size of the largest such block that was freed.
    """
    block = np.empty(24 * 2**20, np.uint8)
    del block


def call_steps(least: Iterable[int], most: Sequence[int], overhead: float) -> int:
    """Return the time steps of each lane in a call, so that it learns most per second.

    Lanes that must stop earlier, for an exam, wait for the others. A lane that must stop soon after
    is not left with a few steps.

    Args:
        least: time steps that each lane takes in any case.
        most: time steps after which each lane must stop.
        overhead: time of a call apart from learning, in time steps.

    >>> call_steps([100] * 3, [1000, 1000, 10], overhead=50.0)
    1000
    >>> call_steps([100] * 3, [1000, 20000, 1000], overhead=50.0)
    1000
    """
    bounds = np.unique(np.maximum(most, max(least)))
    learned = np.minimum.outer(bounds, np.asarray(most)).sum(axis=1)
    best = bounds[np.argmax(learned / (bounds + overhead))]
    return int(bounds[bounds <= best * SOON].max())


class LaneGroup:
    """Trials of rows with the same shape of network, each in a lane of one learner.

    Args:
        plans: the rows, by number.
        n_lanes: number of trials that run side by side, at most :data:`LANES`.
        pace: seconds a time step of the longest lane, if known.
    """

    def __init__(
        self, plans: Mapping[int, TrialPlan], n_lanes: int, pace: float | None = None
    ) -> None:
        first = next(iter(plans.values()))
        network, training = first.shared or (
            first.experiment.network,
            first.experiment.training,
        )
        self._plans, self._mixed, self._pace = plans, first.shared is not None, pace
        self._learner: Learner = first.learner(network, training, n_lanes)
        self._examiner: Learner = first.learner(network, training, LANES)
        self._lanes: list[RunningTrial | None] = [None] * n_lanes
        self._tasks: dict[Job, Task] = {}
        self._width = NativeKernel().width
        self.use = LaneUse()
        self.kept: dict[Job, dict[str, np.ndarray]] = {}

    @property
    def has_room(self) -> bool:
        """Whether a lane is free."""
        return None in self._lanes

    @property
    def is_empty(self) -> bool:
        """Whether all lanes are free."""
        return not any(self._lanes)

    def start(self, job: Job) -> None:
        """Begin a trial in a free lane."""
        place, (row, index) = self._lanes.index(None), job
        plan = self._plans[row]
        experiment = plan.experiment
        if self._mixed:
            mixed = cast(MixedLearner, self._learner)
            mixed.assign(place, experiment.network, experiment.training)
        self._learner.begin(place, generator(plan.seed, experiment.name, index, "weights"))
        self._lanes[place] = self._running(RunningTrial.begin(plan, row, index))

    def resume(self, trial: TrialState) -> None:
        """Continue a trial in a free lane.

        Raises:
            SettingError: another version of the kernels has learned the trial so far.
        """
        if trial.kernel != KERNEL_VERSION:
            raise SettingError(
                argument="trial.kernel",
                got=trial.kernel,
                expected=f"{KERNEL_VERSION}, the version of these kernels",
                fix="start the trial again",
            )
        place = self._lanes.index(None)
        self._learner.restore(place, trial.learned)
        self._lanes[place] = self._running(trial)

    def pause(self) -> list[TrialState]:
        """Return the states of the trials that have not ended."""
        busy = [(place, lane) for place, lane in enumerate(self._lanes) if lane]
        for place, lane in busy:
            lane.trial.learned = self._learner.state(place)
        return [lane.pause() for _, lane in busy]

    def learn_chunk(self) -> list[tuple[int, Trial]]:
        """Learn the next chunk of every trial; return trials that ended, and free their lanes."""
        began = time.perf_counter()
        busy = {place: lane for place, lane in enumerate(self._lanes) if lane}
        chunks = self._chunks(busy)
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
        if any(map(len, repeats.values())):
            self._learn(repeats)
        exams = {p: lane.exam() for p, lane in busy.items() if p not in endings and lane.exam_due}
        passed = run_exams(self._learner, self._examiner, exams)
        endings.update((place, "solved") for place, holds in passed.items() if holds)
        endings.update((p, "budget") for p in busy if p not in endings and busy[p].spent)
        measures = self._judge(
            {place: busy[place] for place in endings if endings[place] != "diverged"}
        )
        share = (time.perf_counter() - began) / len(busy)
        for lane in busy.values():
            lane.trial.seconds += share
        for place, ending in endings.items():
            if busy[place].plan.keep and ending != "diverged":
                trial = busy[place].trial
                self.kept[trial.row, trial.index] = self._arrays(place)
            self._lanes[place] = None
        return [
            (
                busy[p].trial.row,
                busy[p].close(ending, {**self._learner.measures(p), **measures.get(p, {})}),
            )
            for p, ending in endings.items()
        ]

    def _arrays(self, place: int) -> dict[str, np.ndarray]:
        """Return what the network of a lane needs to predict."""
        state = self._learner.state(place)
        if not self._mixed:  # nets that grow, or two nets
            return state
        return {"weights": state["weights"]}  # without averages of the update rule

    def _chunks(self, busy: Mapping[int, RunningTrial]) -> dict[int, Sequences]:
        """Take the next sequences of each lane: about the same number of steps, where possible."""
        most, overhead = FIRST_STEPS, 0.0
        if self._pace is not None:
            most = max(1, round(CALL_SECONDS / self._pace))
            overhead = OVERHEAD_SECONDS / self._pace
        limit = min(most, max(plan.batch_steps for plan in self._plans.values()))
        bounds = [lane.steps_left(limit) for lane in busy.values()]
        steps = call_steps(*zip(*bounds, strict=True), overhead=overhead)
        return {place: lane.take(steps) for place, lane in busy.items()}

    def _running(self, trial: TrialState) -> RunningTrial:
        plan = self._plans[trial.row]
        draw = trial.index % plan.experiment.draws
        if (trial.row, draw) not in self._tasks:
            rng = generator(plan.seed, plan.experiment.name, draw, "draw")
            self._tasks[trial.row, draw] = plan.experiment.task.draw(rng)
        return RunningTrial(plan, self._tasks[trial.row, draw], trial)

    def _learn(self, chunks: Mapping[int, Sequences]) -> Sequence[Errors | None]:
        began = time.perf_counter()
        errors = self._learner.learn([chunks.get(place) for place in range(self._learner.n_lanes)])
        took = time.perf_counter() - began
        use = LaneUse.of_call([each.n_steps for each in chunks.values()], self._width, took)
        self.use += use
        self._pace = took / max(use.steps, 1)
        return errors

    def _judge(self, ended: Mapping[int, RunningTrial]) -> dict[int, dict[str, float]]:
        """Test ended trials on fresh sequences; return their measures."""
        measures: dict[int, dict[str, float]] = {}
        exams = {}
        for place, lane in ended.items():
            size = lane.plan.experiment.test_size
            if size:
                measures[place] = {}
                key = lane.plan.seed, lane.plan.experiment.name, lane.trial.index
                rng = generator(*key, "verdict")
                exams[place] = final_exam(lane.task, size, rng, measures[place])
        run_exams(self._learner, self._examiner, exams)
        return measures
