"""Stop rules: they hold exactly when their definition says so, for any chunks of errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.contracts import Errors, Exam, StopRule
from carrousel.errors import SettingError, UnknownNameError
from carrousel.experiments.stopping import (
    RecentTraining,
    TestSet,
    WholeSet,
    exam_parts,
    mean_errors,
)
from carrousel.experiments.store.settings import describe
from carrousel.sequences import Sequences
from support.case import each
from support.experiments.scripted import ScriptedTask

TOLERANCE = 0.3


def errors_of(
    largest: np.ndarray, mean: np.ndarray | None = None, square: np.ndarray | None = None
) -> Errors:
    """Errors of sequences with two values each, so that mean and largest can differ.

    Mean squares are those of two equal values, or as given.
    """
    mean = largest if mean is None else mean
    square = mean**2 if square is None else square
    return Errors(largest, 2 * mean, 2 * square, np.full(len(largest), 2))


AVERAGE: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "absolute": lambda mean, square: float(np.mean(mean)),
    "squared": lambda mean, square: float(np.mean(square)),
    "root": lambda mean, square: float(np.sqrt(np.mean(square))),
}
"""Average error of a window, from the mean absolute and mean squared errors in it."""


def chunks_of(total: int, sizes: list[int]) -> Iterator[slice]:
    start = 0
    while start < total:
        for size in sizes:
            yield slice(start, min(start + size, total))
            start += size


# --- the most recent training sequences -----------------------------------------------------------


@given(
    seed=st.integers(0, 2**32 - 1),
    total=st.integers(1, 120),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=4),
    window=st.integers(1, 30),
    wrong_at_most=st.integers(0, 5),
    mean_below=st.one_of(st.none(), st.floats(0.05, 0.4)),
    share_wrong=st.sampled_from([0.0, 0.02, 0.2]),
    error=st.sampled_from(list(AVERAGE)),
)
def test_recent_training_agrees_with_its_definition(
    seed, total, sizes, window, wrong_at_most, mean_below, share_wrong, error
):
    rng = np.random.default_rng(seed)
    wrong = rng.random(total) < share_wrong
    largest = np.where(wrong, 0.9, 0.1)
    mean = rng.random(total) * rng.choice([0.2, 1.0])
    square = mean**2 * rng.uniform(1.0, 2.0, total)  # possible for two values
    error = "absolute" if mean_below is None else error
    rule = RecentTraining(window, min(wrong_at_most, window), mean_below, error)

    expected = None
    for end in range(window, total + 1):
        recent = slice(end - window, end)
        few = np.count_nonzero(wrong[recent]) <= rule.wrong_at_most
        if few and (
            mean_below is None or AVERAGE[error](mean[recent], square[recent]) < mean_below
        ):
            expected = end
            break

    memory, found = rule.begin(), None
    for part in chunks_of(total, sizes):
        new = errors_of(largest[part], mean[part], square[part])
        held = rule.watch(memory, new, TOLERANCE)
        if held is not None:
            found = part.start + held
            break
    assert found == expected


@each("error, held_at", [("absolute", 4), ("squared", 3), ("root", 5)])
def test_average_errors_differ(error, held_at):
    """Windows of 2 over errors 1.0, 0.8, 0.4, 0.3, 0.1, each of one value.

    Means: 0.9, 0.6, 0.35, 0.2. Mean squares: 0.82, 0.4, 0.125, 0.05, of which the roots are 0.906,
    0.632, 0.354, 0.224. The bounds lie between these.
    """
    bound = {"absolute": 0.352, "squared": 0.41, "root": 0.352}[error]
    rule = RecentTraining(window=2, wrong_at_most=2, mean_below=bound, error=error)
    values = np.array([1.0, 0.8, 0.4, 0.3, 0.1])
    errors = Errors(values, values, values**2, np.ones(5, int))
    assert rule.watch(rule.begin(), errors, TOLERANCE) == held_at


def test_the_default_average_is_not_described():
    """Trials that were stored before this field existed belong to the same experiment."""
    assert "error" not in describe(RecentTraining(2000, 0, 0.01))
    assert describe(RecentTraining(2000, 0, 0.01, "root"))["error"] == "root"


def test_an_unknown_average_is_an_error():
    with pytest.raises(UnknownNameError, match="did you mean 'squared'"):
        RecentTraining(mean_below=0.1, error="square")  # type: ignore[arg-type]


def test_recent_training_does_not_hold_before_its_window_is_full():
    rule = RecentTraining(window=10, wrong_at_most=9)
    memory = rule.begin()
    right = errors_of(np.zeros(9))
    assert rule.watch(memory, right, TOLERANCE) is None
    assert rule.watch(memory, right, TOLERANCE) == 1


@each("bad", [np.nan, np.inf, TOLERANCE])
def test_an_error_that_is_not_below_the_tolerance_is_wrong(bad):
    rule = RecentTraining(window=2, wrong_at_most=0)
    errors = np.array([0.0, bad, 0.0, 0.0])
    assert rule.watch(rule.begin(), errors_of(errors), TOLERANCE) == 4


def test_the_state_is_small_and_can_be_stored_as_json():
    rule = RecentTraining(window=50, wrong_at_most=0, mean_below=0.1)
    rng = np.random.default_rng(0)
    errors = errors_of(rng.random(400) * np.exp(-np.arange(400) / 50))
    straight, broken = rule.begin(), rule.begin()
    for part in chunks_of(400, [30]):
        held = rule.watch(straight, errors[part], TOLERANCE)
        text = json.dumps({name: array.tolist() for name, array in broken.items()})
        broken = {
            name: np.array(values, broken[name].dtype) for name, values in json.loads(text).items()
        }
        assert rule.watch(broken, errors[part], TOLERANCE) == held
        if held is not None:
            break
    else:
        pytest.fail("the rule never held")
    assert sum(array.nbytes for array in straight.values()) < 50 * 16


def test_recent_training_has_no_exam():
    rule = RecentTraining()
    assert rule.every == 0
    assert take(rule.exam(rule.begin(), ScriptedTask(), OneTrial()), None) == (False, 0)


# --- test sets ------------------------------------------------------------------------------------


class OneTrial:
    """Test data of one trial, which records what was drawn."""

    def __init__(self) -> None:
        self.made: list[Sequences] | None = None
        self.drawn: list[int] = []

    def fresh(self, count: int) -> np.random.Generator:
        self.drawn.append(count)
        return np.random.default_rng([1, count])

    def kept(
        self, make: Callable[[np.random.Generator], Iterable[Sequences]]
    ) -> Iterator[Sequences]:
        if self.made is None:
            self.made = list(make(np.random.default_rng([1, 0])))
        return iter(self.made)


def take(exam: Exam, errors: np.ndarray | None) -> tuple[bool, int]:
    """Run an exam with the given errors; return the verdict and the number of sequences tested."""
    tested, outputs = 0, None
    try:
        while True:
            data = exam.send(outputs)
            assert errors is not None
            outputs = data.targets + errors[tested : tested + len(data), None]
            tested += len(data)
    except StopIteration as end:
        return end.value, tested


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 300),
    wrong_fewer_than=st.integers(1, 8),
    mean_below=st.one_of(st.none(), st.floats(0.01, 0.3)),
    share_wrong=st.sampled_from([0.0, 0.01, 0.05, 0.5]),
    st1_known=st.booleans(),
    fixed=st.booleans(),
)
def test_ending_a_test_early_does_not_change_the_verdict(
    seed, size, wrong_fewer_than, mean_below, share_wrong, st1_known, fixed
):
    rng = np.random.default_rng(seed)
    wrong = rng.random(size) < share_wrong
    errors = np.where(wrong, 0.5, rng.random(size) * 0.29 * rng.choice([0.1, 1.0]))
    errors = errors.astype(np.float32)
    rule = TestSet(100, size, min(wrong_fewer_than, size), mean_below, fixed)
    memory = rule.begin()
    memory["seen"] = np.array(700)
    if st1_known:
        memory["st1"] = np.array(300)

    few = np.count_nonzero(wrong) < rule.wrong_fewer_than
    small = mean_below is None or np.mean(errors, dtype=np.float64) < mean_below
    holds, tested = take(rule.exam(memory, ScriptedTask(), OneTrial()), errors)
    assert holds == (few and small)
    assert tested <= size
    if holds:
        assert tested == size
    assert int(memory["st1"]) == (300 if st1_known else 700 if few else -1)
    assert dict(rule.measures(memory)) == (
        {"st1_sequences": float(memory["st1"])} if mean_below and memory["st1"] >= 0 else {}
    )


def test_a_bad_net_is_tested_on_one_part_only():
    rule = TestSet(every=100, size=10_000, fixed=False)
    memory = rule.begin()
    holds, tested = take(rule.exam(memory, ScriptedTask(), OneTrial()), np.full(10_000, 0.5))
    assert (holds, tested) == (False, 16)


@each("fixed", [True, False])
def test_only_a_fixed_set_is_the_same_in_all_tests(fixed):
    rule, trial = TestSet(every=10, size=40, fixed=fixed), OneTrial()
    memory, inputs = rule.begin(), []
    for _ in range(2):
        rule.watch(memory, errors_of(np.zeros(10)), TOLERANCE)
        exam = rule.exam(memory, ScriptedTask(), trial)
        inputs.append(next(exam).inputs)
    assert np.array_equal(*inputs) == fixed
    assert trial.drawn == ([] if fixed else [10, 20])


def test_watching_counts_sequences_and_never_holds():
    rule = TestSet(every=10)
    memory = rule.begin()
    assert rule.watch(memory, errors_of(np.zeros(25)), TOLERANCE) is None
    assert rule.watch(memory, errors_of(np.zeros(5)), TOLERANCE) is None
    assert memory["seen"] == 30


class FixedTask(ScriptedTask):
    """A task whose test is one fixed set."""

    def test(self, rng: np.random.Generator, n: int) -> Sequences:
        return self.sample(np.random.default_rng(5), 70)


@each("wrong", [None, 0, 15, 16, 69])
def test_whole_set_requires_every_sequence_to_be_right(wrong):
    rule, errors = WholeSet(every=100), np.zeros(70)
    if wrong is not None:
        errors[wrong] = 0.5
    holds, tested = take(rule.exam(rule.begin(), FixedTask(), OneTrial()), errors)
    assert holds == (wrong is None)
    assert tested == (70 if wrong is None else 16 if wrong < 16 else 64 if wrong < 64 else 70)


@given(size=st.integers(1, 20_000), mean_length=st.floats(1.0, 2000.0))
def test_exam_parts_add_up_to_the_exam(size, mean_length):
    parts = list(exam_parts(size, mean_length))
    assert sum(parts) == size
    assert min(parts) >= 1
    assert parts[0] <= 16
    assert max(parts) * mean_length <= max(2**18 + mean_length, 16 * mean_length)


def test_mean_errors_are_over_the_values_of_each_sequence():
    rng = np.random.default_rng(0)
    outputs, targets = rng.random((6, 3)), rng.random((6, 3))
    offsets = np.array([0, 1, 4, 6])
    expected = [np.abs(outputs - targets)[a:b].mean() for a, b in [(0, 1), (1, 4), (4, 6)]]
    np.testing.assert_allclose(mean_errors(outputs, targets, offsets), expected, rtol=1e-14)


# --- words and settings ---------------------------------------------------------------------------


@each(
    "rule, words",
    [
        (
            RecentTraining(2000, 0, 0.01),
            "the last 2000 training sequences right and their mean absolute error below 0.01",
        ),
        (
            RecentTraining(2000, 0, 0.01, "squared"),
            "the last 2000 training sequences right and their mean squared error below 0.01",
        ),
        (
            RecentTraining(2000, 0, 0.1, "root"),
            "the last 2000 training sequences right and the root of their mean squared error "
            "below 0.1",
        ),
        (
            RecentTraining(2000, 139),
            "fewer than 140 of the last 2000 training sequences wrong",
        ),
        (
            TestSet(100, 256, 6, 0.04),
            "every 100 sequences: fewer than 6 of 256 test sequences wrong and their mean absolute "
            "error below 0.04",
        ),
        (
            TestSet(1000, 10_000, fixed=False),
            "every 1000 sequences: all of 10000 fresh sequences right",
        ),
    ],
)
def test_rules_in_words(rule: StopRule, words: str):
    assert rule.describe == words


@each(
    "make, named",
    [
        (lambda: RecentTraining(window=0), "window"),
        (lambda: RecentTraining(window=5, wrong_at_most=6), "wrong_at_most"),
        (lambda: RecentTraining(mean_below=0.0), "mean_below"),
        (lambda: RecentTraining(error="squared"), "error is 'squared', but mean_below is None"),
        (lambda: TestSet(every=0), "every"),
        (lambda: TestSet(every=1, size=0), "size"),
        (lambda: TestSet(every=1, size=5, wrong_fewer_than=6), "wrong_fewer_than"),
        (lambda: TestSet(every=1, mean_below=-1.0), "mean_below"),
        (lambda: WholeSet(every=0), "every"),
    ],
)
def test_impossible_settings_are_refused(make, named):
    with pytest.raises(SettingError, match=named):
        make()
