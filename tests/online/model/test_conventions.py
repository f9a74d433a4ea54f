"""Parameters, copies and repeated fits, as scikit-learn and pickle expect them."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import SettingError, UnknownNameError
from support.online.cases import case
from support.online.models import KINDS, inside, knowledge, model, stream


def test_parameters_are_those_of_the_constructor():
    learner = OnlineLSTM("binary", cells=8, classes=["a", "b"])
    names = list(inspect.signature(OnlineLSTM).parameters)
    assert list(learner.get_params()) == names
    assert learner.get_params()["classes"] is learner.classes
    assert OnlineLSTM(**learner.get_params()).get_params() == learner.get_params()
    assert repr(learner) == "OnlineLSTM('binary', cells=8, classes=['a', 'b'])"
    assert repr(OnlineLSTM()) == "OnlineLSTM('regression')"
    assert repr(OnlineLSTM("next", symbols=np.arange(3))).startswith("OnlineLSTM('next', symbols=")


def test_the_constructor_checks_nothing():
    given: dict[str, Any] = {"task": "no such task", "cells": "many"}
    assert OnlineLSTM(**given).cells == "many"


def test_scikit_learn_clones_the_parameters():
    base = pytest.importorskip("sklearn.base")
    learner = OnlineLSTM("multiclass", classes=["a", "b"], cells=4, random_state=1)
    learner.step([1.0], "a")
    again = base.clone(learner)
    assert knowledge(again) is None
    assert again.get_params() == learner.get_params()


def test_set_params_checks_names_and_values():
    learner = OnlineLSTM(random_state=1)
    assert learner.set_params(cells=4, learning_rate=0.5) is learner
    learner.step([1.0], 1.0)
    assert inside(learner).kernel.network.cell.n_cells == 4
    before = knowledge(learner)
    with pytest.raises(SettingError, match="cells is 8, expected 4 as at the first row"):
        learner.set_params(cells=8)
    with pytest.raises(SettingError, match="learning_rate is -1"):
        learner.set_params(learning_rate=-1)
    with pytest.raises(SettingError, match="evict_after is 0"):
        learner.set_params(learning_rate=0.1, evict_after=0)
    with pytest.raises(UnknownNameError, match="parameter 'cell' is unknown; did you mean 'cells'"):
        learner.set_params(cell=8)
    assert knowledge(learner) == before
    assert learner.learning_rate == 0.5
    learner.set_params(learning_rate=0.0)
    weights = inside(learner).kernel.state()["output"]
    learner.run(np.ones((5, 1)), np.arange(5.0))
    np.testing.assert_array_equal(inside(learner).kernel.state()["output"], weights)


def test_partial_fit_continues():
    X, y = stream("numbers/regression", np.random.default_rng(0), 30)
    one, parts = (OnlineLSTM(cells=3, random_state=1) for _ in range(2))
    one.run(X, y)
    assert parts.partial_fit(X[:10], y[:10]) is parts
    parts.partial_fit(X[10:], y[10:])
    assert knowledge(one) == knowledge(parts)


def test_partial_fit_declares_classes_in_its_first_call():
    learner = OnlineLSTM("multiclass", cells=3, random_state=1)
    learner.partial_fit([[0.0], [1.0]], ["b", "b"], classes=np.array(["a", "b"]))
    assert learner.classes_.tolist() == ["a", "b"]
    assert learner.predict_proba([[0.0]]).shape == (1, 2)
    learner.partial_fit([[0.0]], ["a"], classes=["a", "b"])
    with pytest.raises(ValueError, match="one of the declared classes 'a', 'b'"):
        learner.partial_fit([[0.0]], ["c"])
    undeclared = OnlineLSTM("multiclass", cells=3).partial_fit([[0.0]], ["c"])
    with pytest.raises(SettingError, match="give all classes in the first call"):
        undeclared.partial_fit([[0.0]], ["c"], classes=["a", "c"])


def test_random_state_is_a_seed_or_a_generator():
    X, y = stream("numbers/regression", np.random.default_rng(0), 10)
    for state in (None, 0, np.int64(5), np.random.default_rng(3)):
        learner = OnlineLSTM(cells=3, experts=None, random_state=state)  # rules draw nothing
        twin = copy.deepcopy(learner)
        with case(state):
            ahead = learner.predict_one(X[0])
            np.testing.assert_array_equal(learner.run(X, y), twin.run(X, y))
            seeded = OnlineLSTM(cells=3, experts=None, random_state=learner._seed())
            assert ahead == seeded.predict_one(X[0])
    legacy = [OnlineLSTM(cells=3, random_state=np.random.RandomState(2)) for _ in range(2)]
    assert legacy[0].predict_one(X[0]) == legacy[1].predict_one(X[0])
    first, second = (OnlineLSTM(experts=None) for _ in range(2))
    assert first.predict_one(X[0]) != second.predict_one(X[0])


@pytest.mark.parametrize("kind", KINDS)
def test_copies_are_independent(kind):
    X, y = stream(kind, np.random.default_rng(0), 20)
    learner = model(kind)
    learner.run(X, y)
    before = knowledge(learner)
    for other in (copy.deepcopy(learner), pickle.loads(pickle.dumps(learner))):
        assert knowledge(other) == before
        other.run(X, y)
        assert knowledge(other) != before
        assert knowledge(learner) == before


def test_scikit_learn_sees_the_kind_of_estimator():
    base = pytest.importorskip("sklearn.base")
    kinds: tuple[tuple[Any, tuple[bool, bool]], ...] = (
        ("multiclass", (True, False)),
        ("binary", (True, False)),
        ("regression", (False, True)),
        ("next", (False, False)),
    )
    for task, found in kinds:
        learner = OnlineLSTM(task)
        assert (base.is_classifier(learner), base.is_regressor(learner)) == found, task
