"""Exams: test sequences that decide whether a trial has solved its task."""

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


def sit(learner: Learner, examiner: Learner, exams: Mapping[int, Exam]) -> dict[int, bool]:
    """Let the learner's lanes sit their exams side by side; return the verdicts.

    Kernels take as long for one lane as for all. So where few lanes have an exam, each is copied
    into several lanes of the ``examiner``, and these share its sequences.
    """
    verdicts: dict[int, bool] = {}
    answers: dict[int, np.ndarray | None] = dict.fromkeys(exams)  # None begins an exam
    while answers:
        questions: dict[int, Sequences] = {}
        for place, outputs in answers.items():
            try:
                questions[place] = exams[place].send(outputs)
            except StopIteration as end:
                verdicts[place] = bool(end.value)
        answers = _answer(learner, examiner, questions) if questions else {}
    return verdicts


def _answer(
    learner: Learner, examiner: Learner, questions: Mapping[int, Sequences]
) -> dict[int, np.ndarray | None]:
    copies = examiner.n_lanes // len(questions)
    if copies < 2:
        outputs = learner.predict([questions.get(place) for place in range(learner.n_lanes)])
        return {place: outputs[place] for place in questions}
    parts: list[Sequences | None] = [None] * examiner.n_lanes
    runs = {place: range(i * copies, (i + 1) * copies) for i, place in enumerate(questions)}
    for place, data in questions.items():
        state = learner.state(place)
        ends = np.linspace(0, len(data), copies + 1).astype(int)
        for lane, first, last in zip(runs[place], ends[:-1], ends[1:], strict=True):
            if last > first:
                examiner.restore(lane, state)
                parts[lane] = data[first:last]
    outputs = examiner.predict(parts)
    return {
        place: np.concatenate([each for lane in run if (each := outputs[lane]) is not None])
        for place, run in runs.items()
    }


def verdict(task: Task, size: int, rng: np.random.Generator, measures: dict[str, float]) -> Exam:
    """Test on ``size`` fresh sequences, and write what came out into ``measures``.

    ``wrong`` counts sequences and ``fraction`` is their share; ``mean_abs``, the mean absolute
    error, and ``rmse``, the root of the mean square, are over all targets and outputs.
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
