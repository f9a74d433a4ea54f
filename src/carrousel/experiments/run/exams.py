"""Exams: tests on sequences that decide whether a trial has solved its task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from carrousel.contracts import (
    Exam,
    Learner,
    Task,
)
from carrousel.experiments.stopping import exam_parts
from carrousel.sequences import Sequences


def run_exams(learner: Learner, examiner: Learner, exams: Mapping[int, Exam]) -> dict[int, bool]:
    """Run the exams of several lanes side by side; return the verdicts by lane.

    Args:
        learner: the learner whose lanes are tested.
        examiner: a second learner of the same network, whose lanes may be overwritten.
        exams: exams by lane of the learner.
    """
    verdicts: dict[int, bool] = {}
    outputs: dict[int, np.ndarray | None] = dict.fromkeys(exams)  # None starts an exam
    while outputs:
        data: dict[int, Sequences] = {}
        for lane, sent in outputs.items():
            try:
                data[lane] = exams[lane].send(sent)
            except StopIteration as end:
                verdicts[lane] = bool(end.value)
        outputs = _predict(learner, examiner, data) if data else {}
    return verdicts


def _predict(
    learner: Learner, examiner: Learner, data: Mapping[int, Sequences]
) -> dict[int, np.ndarray | None]:
    """Outputs of the learner's lanes for their data.

    Kernels take as long for one lane as for all. So if few lanes have data, each is copied into
    several lanes of the examiner, which share its sequences.
    """
    copies = examiner.n_lanes // len(data)
    if copies < 2:
        outputs = learner.predict([data.get(lane) for lane in range(learner.n_lanes)])
        return {lane: outputs[lane] for lane in data}
    parts: list[Sequences | None] = [None] * examiner.n_lanes
    copies_of = {lane: range(i * copies, (i + 1) * copies) for i, lane in enumerate(data)}
    for lane, sequences in data.items():
        state = learner.state(lane)
        ends = np.linspace(0, len(sequences), copies + 1).astype(int)
        for copy, first, last in zip(copies_of[lane], ends[:-1], ends[1:], strict=True):
            if last > first:
                examiner.restore(copy, state)
                parts[copy] = sequences[first:last]
    outputs = examiner.predict(parts)
    return {
        lane: np.concatenate([each for copy in run if (each := outputs[copy]) is not None])
        for lane, run in copies_of.items()
    }


def final_exam(task: Task, size: int, rng: np.random.Generator, measures: dict[str, float]) -> Exam:
    """Return an exam on ``size`` fresh sequences that writes its results into ``measures``.

    ``wrong`` is the number of wrong sequences and ``fraction`` their share. ``mean_abs``, the mean
    absolute error, and ``rmse``, the root of the mean squared error, are over all targets and
    outputs. The verdict is always True.
    """
    wrong, n_values, sum_abs, sum_sq = 0, 0, 0.0, 0.0
    for part in exam_parts(size, task.mean_length):
        data = task.test(rng, part)
        outputs = yield data
        errors = (outputs - data.dense_targets()).astype(np.float64)
        wrong += int(np.count_nonzero(~task.correct(outputs, data)))
        n_values += errors.size
        sum_abs += float(np.abs(errors).sum())
        sum_sq += float(np.square(errors).sum())
    measures["wrong"] = float(wrong)
    measures["fraction"] = wrong / size
    measures["mean_abs"] = sum_abs / n_values
    measures["rmse"] = float(np.sqrt(sum_sq / n_values))
    return True
