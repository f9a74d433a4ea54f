"""Requirements on all tasks."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carrousel.tasks
from carrousel.errors import SettingError, ShapeError, UnknownNameError
from carrousel.sequences import Sequences
from carrousel.tasks import (
    TASKS,
    Adding,
    EmbeddedReber,
    JapaneseVowels,
    Latch,
    LongLag,
    Multiplication,
    NoiseFreeLag,
    Parity,
    RandomLag,
    TemporalOrder,
    TwoSequence,
)
from support.case import each

EXAMPLES: list[Any] = [
    EmbeddedReber().draw(np.random.default_rng(1)),
    EmbeddedReber(n_train=8, n_test=5, distinct=True).draw(np.random.default_rng(1)),
    EmbeddedReber(target="legal", judged="test").draw(np.random.default_rng(1)),
    NoiseFreeLag(2),
    NoiseFreeLag(100),
    RandomLag(2),
    RandomLag(100),
    RandomLag(100, targets="last"),
    LongLag(1, 1),
    LongLag(50, 50),
    LongLag(70_000, 3),
    LongLag(50, 50, "fixed"),
    *[TwoSequence(100, 3, variant) for variant in ("a", "b", "c")],
    TwoSequence(1, 1, "a"),
    TwoSequence(7, 7, "b"),
    *[Adding(100, how) for how in ("target", "input", "marker", "both")],
    *[Multiplication(100, how) for how in ("target", "input", "marker", "both")],
    Adding(11, second="not_first"),
    Multiplication(11, second="counts"),
    TemporalOrder(2),
    TemporalOrder(3, first_position=0),
    TemporalOrder(3),
    TwoSequence(50, 1, "a", longest=60, within=0.1),
    Latch("I"),
    Latch("II", length=5, longest=5),
    Parity(),
    Parity(length=40, longest=60, noise=0.2, pause=0),
    JapaneseVowels(),
]
examples = st.sampled_from(EXAMPLES)
seeds = st.integers(0, 2**32)
# Fixed test sets are returned completely, for any n.
FIXED_TEST = (EmbeddedReber, JapaneseVowels, NoiseFreeLag)


def assert_same(one: Sequences, two: Sequences) -> None:
    for field in dataclasses.fields(Sequences):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))


def test_registry_and_public_names_agree():
    classes = {cls.__name__ for cls in TASKS.values()}
    assert {*classes, "TASKS"} == set(carrousel.tasks.__all__)
    assert {type(task) for task in EXAMPLES} == set(TASKS.values())


@each("cls", TASKS.values())
def test_tasks_are_frozen(cls):
    assert dataclasses.is_dataclass(cls)
    task = next(task for task in EXAMPLES if type(task) is cls)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(task, dataclasses.fields(task)[0].name, 3)


@settings(max_examples=60, deadline=None)
@given(task=examples, seed=seeds, n=st.integers(1, 40))
def test_samples_fit_the_task(task, seed, n):
    data = task.sample(np.random.default_rng(seed), n)
    data.check_contents()
    assert (len(data), data.n_inputs, data.n_outputs) == (n, task.n_inputs, task.n_outputs)
    test = task.test(np.random.default_rng(seed), n)
    test.check_contents()
    assert (test.n_inputs, test.n_outputs) == (task.n_inputs, task.n_outputs)
    assert isinstance(task, FIXED_TEST) or len(test) == n


@settings(max_examples=60, deadline=None)
@given(task=examples, seed=seeds, n=st.integers(1, 40), warm=st.integers(1, 5))
def test_samples_depend_on_the_generator_and_n_alone(task, seed, n, warm):
    first = task.sample(np.random.default_rng(seed), n)
    task.sample(np.random.default_rng(seed + 1), warm)  # does not change the task
    assert_same(task.sample(np.random.default_rng(seed), n), first)
    twin = pickle.loads(pickle.dumps(task))
    assert_same(twin.sample(np.random.default_rng(seed), n), first)
    assert_same(
        twin.test(np.random.default_rng(seed), n), task.test(np.random.default_rng(seed), n)
    )


@each("task", EXAMPLES)
def test_successive_samples_differ_and_are_not_overwritten(task):
    rng = np.random.default_rng(5)
    first = task.sample(rng, 50)
    kept = copy.deepcopy(first)
    second = task.sample(rng, 50)
    assert not np.array_equal(first.inputs, second.inputs)
    assert_same(first, kept)


@each("task", EXAMPLES)
def test_mean_length_agrees_with_samples(task):
    lengths = task.sample(np.random.default_rng(6), 4000).lengths
    error = lengths.std() / np.sqrt(len(lengths))
    assert abs(lengths.mean() - task.mean_length) <= 4.0 * error + 1e-9


@each("task", EXAMPLES)
def test_perfect_outputs_are_correct_and_nan_is_not(task):
    data = task.test(np.random.default_rng(7), 30)
    targets = data.dense_targets()
    if isinstance(task, EmbeddedReber) and task.target == "next":
        assert not task.correct(
            targets, data
        ).any()  # one-hot targets have one of two legal symbols
    else:
        assert task.correct(targets, data).all()
        assert task.correct(targets.astype(np.float64), data).all()
    nan = np.full_like(targets, np.nan)
    assert not task.correct(nan, data).any()


@each("task", EXAMPLES)
def test_outputs_of_wrong_shape_are_refused(task):
    data = task.test(np.random.default_rng(8), 3)
    right = data.dense_targets()
    for wrong in (right[:-1], right[:1][:0], np.hstack([right, right])):
        with pytest.raises(ShapeError, match="outputs has shape"):
            task.correct(wrong, data)


@each("task", EXAMPLES)
@each("n", [0, -1])
def test_empty_samples_are_refused(task, n):
    with pytest.raises(SettingError, match=f"n is {n}"):
        task.sample(np.random.default_rng(0), n)


@each("task", EXAMPLES)
def test_draw_changes_only_tasks_with_fixed_sets(task):
    drawn = task.draw(np.random.default_rng(9))
    assert (drawn is task) == (not isinstance(task, EmbeddedReber))


@each(
    "cls, given",
    [
        (EmbeddedReber, {"n_train": 0}),
        (EmbeddedReber, {"n_test": 0}),
        (EmbeddedReber, {"n_train": 4097}),
        (EmbeddedReber, {"distinct": 1}),
        (NoiseFreeLag, {"p": 1}),
        (NoiseFreeLag, {"p": 2.0}),
        (RandomLag, {"p": 1}),
        (RandomLag, {"p": "100"}),
        (RandomLag, {"p": 100, "targets": "some"}),
        (LongLag, {"p": 0, "q": 5}),
        (LongLag, {"p": 5, "q": 0}),
        (LongLag, {"p": 2**24, "q": 5}),
        (TwoSequence, {"length": 0, "informative": 1, "variant": "a"}),
        (TwoSequence, {"length": 10, "informative": 0, "variant": "a"}),
        (TwoSequence, {"length": 10, "informative": 11, "variant": "a"}),
        (TwoSequence, {"length": 10, "informative": 1, "variant": "d"}),
        (TwoSequence, {"length": 10, "informative": 1, "variant": "a", "longest": 9}),
        (TwoSequence, {"length": 10, "informative": 1, "variant": "a", "within": 0.0}),
        (Latch, {"variant": "III"}),
        (Latch, {"variant": "I", "length": 0}),
        (Latch, {"variant": "II", "length": 5, "longest": 4}),
        (Parity, {"length": 0}),
        (Parity, {"length": 5, "longest": 4}),
        (Parity, {"noise": -0.1}),
        (Parity, {"pause": -1}),
        (Adding, {"length": 10}),
        (Adding, {"length": 100, "first_pair": "inputs"}),
        (Multiplication, {"length": True}),
        (Multiplication, {"length": 100, "first_pair": None}),
        (TemporalOrder, {"relevant": 1}),
        (TemporalOrder, {"relevant": 4}),
        (Adding, {"length": 100, "second": "first"}),
        (Multiplication, {"length": 100, "second": True}),
        (TemporalOrder, {"relevant": 2, "first_position": 2}),
        (TemporalOrder, {"relevant": 2, "first_position": True}),
        (LongLag, {"p": 5, "q": 5, "length_law": "uniform"}),
    ],
)
def test_invalid_settings_are_refused(cls, given):
    with pytest.raises((SettingError, UnknownNameError)):
        cls(**given)
