"""Sizes of chunks, exams side by side, and thinned learning curves."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.experiments.run.curve import MOST_POINTS, Curve
from carrousel.experiments.run.exams import run_exams
from carrousel.experiments.run.trial import plan_chunks
from support.experiments.scripted import ScriptedLearner, ScriptedTask, experiment


@given(st.floats(1.0, 5000.0), st.integers(0, 3000))
def test_chunks_fit_batches_and_exams(mean_length: float, every: int):
    batch, chunk = plan_chunks(mean_length, every)
    assert 1 <= chunk <= batch
    assert batch % chunk == 0
    assert every % chunk == 0 or every == 0
    assert batch * mean_length <= max(2**16 + mean_length, mean_length)


@given(n_exams=st.integers(1, 16), size=st.integers(1, 90), seed=st.integers(0, 1000))
@settings(max_examples=30)
def test_exams_side_by_side_give_the_outputs_of_single_exams(n_exams: int, size: int, seed: int):
    row, task = experiment(), ScriptedTask()
    learner, examiner = (ScriptedLearner(row.network, row.training, 16) for _ in range(2))
    places = np.random.default_rng(seed).permutation(16)[:n_exams].tolist()
    data = {place: task.sample(np.random.default_rng([seed, place]), size) for place in places}
    for place in range(16):
        learner.begin(place, np.random.default_rng([seed, place]))
        learner.seen[place] = 40 * place
    received = {}

    def exam(place: int):
        outputs = yield data[place]
        received[place] = outputs
        return place % 2 == 0

    verdicts = run_exams(learner, examiner, {place: exam(place) for place in places})
    assert verdicts == {place: place % 2 == 0 for place in places}
    for place in places:
        np.testing.assert_array_equal(received[place], learner._predict(place, data[place]))


@given(
    errors=st.lists(st.floats(0, 1), min_size=1, max_size=900),
    block=st.integers(1, 7),
    cuts=st.lists(st.integers(0, 900), max_size=9),
)
@settings(max_examples=40)
def test_a_thinned_curve_keeps_the_mean_error_wherever_it_is_cut(
    errors: list[float], block: int, cuts: list[int]
):
    whole, curve = Curve(block), Curve(block)
    whole.add(np.array(errors))
    for part in np.split(np.array(errors), sorted(cuts)):
        curve.add(part)
    points = curve.points()
    assert points == whole.points()
    assert len(points) <= MOST_POINTS
    ends = np.array([end for end, _ in points])
    assert ends[-1] == len(errors)
    counts = np.diff(np.concatenate([[0], ends]))
    assert counts.min() >= 1
    total = np.dot(counts, [error for _, error in points])
    np.testing.assert_allclose(total, sum(errors), atol=1e-9)
