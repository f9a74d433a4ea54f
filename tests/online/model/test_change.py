"""Settings that change after the first row, and new streams from what a model has learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from carrousel import OnlineLSTM
from carrousel.errors import SettingError, UnknownNameError
from carrousel.online.model.change import CHANGEABLE
from support.online.cases import case
from support.online.models import KINDS, inside, knowledge, model, rows_of, stream

NEW: dict[str, Any] = {
    "learning_rate": 0.01,
    "decay": None,
    "clip": 1.0,
    "optimizer": "sgd",
    "horizon": 5.0,
    "missing": "mean",
    "unseen": "grow",
    "streams": 7,
    "evict_after": 3,
}


def learned(kind: str, **settings: Any) -> tuple[OnlineLSTM, Any, Any]:
    X, y = stream(kind, np.random.default_rng(0), 40)
    found = model(kind, streams=2, **settings)
    keys = ["a", "b"] * 20
    found.run(rows_of(X, 0, 40), y, keys=keys)
    return found, X, y


def test_the_table_covers_every_parameter_that_may_change():
    assert NEW.keys() == set(CHANGEABLE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_keeps_what_was_learned_and_takes_effect(kind):
    for name, value in NEW.items():
        with case(name):
            one, X, y = learned(kind)
            first = rows_of(X, 0, 1)
            ahead = one.predict(first, keys=["b"])
            one.set_params(**{name: value})
            np.testing.assert_array_equal(one.predict(first, keys=["b"]), ahead)
            assert getattr(inside(one).settings, name) == value
            assert one.get_params()[name] == value
            one.run(X, y, keys=["c", "a"] * 20)
            assert one.n_steps_ == 80


def test_a_changed_model_is_saved_with_its_settings(tmp_path):
    one, X, y = learned("named/multiclass")
    one.set_params(**NEW)
    one.save(tmp_path / "model")
    again = OnlineLSTM.load(tmp_path / "model")
    assert knowledge(again) == knowledge(one)
    for each in (one, again):
        each.run(X, y, keys=["c", "d"] * 20)
    assert knowledge(again) == knowledge(one)


def test_more_streams_leave_old_states_alone():
    for gradient in ("truncated", "uoro"):
        wide, X, y = learned("numbers/regression", gradient=gradient)
        narrow, _, _ = learned("numbers/regression", gradient=gradient)
        wide.set_params(streams=5)
        keys = ["a", "b"] * 20
        np.testing.assert_array_equal(wide.run(X, y, keys=keys), narrow.run(X, y, keys=keys))
        wide.run(X, y, keys=list("vwxyz") * 8)
        assert len(wide.keys) == 5


def test_other_changes_are_refused_by_name():
    one, _, _ = learned("numbers/regression")
    before = knowledge(one)
    for params, why in (
        ({"cells": 8}, "cells is 8, expected 4 as at the first row: it is part of the shape"),
        ({"standardise": False}, "learned for numbers in other units"),
        ({"gradient": "uoro"}, "in another form"),
        ({"streams": 1}, "streams is 1, expected at least 2"),
        ({"optimizer": "adam"}, "'rmsprop' has kept"),
        ({"horizon": 0.5, "learning_rate": 1.0}, "horizon is 0.5"),
    ):
        with pytest.raises(SettingError, match=why):
            one.set_params(**params)
        assert knowledge(one) == before
        assert one.learning_rate == 0.003


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_start_has_weights_and_no_states(kind):
    old, X, y = learned(kind)
    before = knowledge(old)
    new = old.warm_start(streams=1, learning_rate=0.1)
    assert knowledge(old) == before
    assert (new.n_steps_, new.keys, new.n_evicted_) == (0, (), 0)
    kept, found = (inside(each).kernel.state() for each in (old, new))
    for name in ("hidden", "output", "output_second", "inputs", "targets", "changes"):
        np.testing.assert_array_equal(found[name], kept[name])
    first = rows_of(X, 0, 1)
    fresh = old.predict(first, keys=["new"])  # a new stream of the old model
    np.testing.assert_array_equal(new.predict(first), fresh)
    new.run(X, y)
    assert new.n_steps_ == 40


def test_a_warm_start_changes_only_what_may_change():
    old, _, _ = learned("numbers/regression")
    with pytest.raises(SettingError, match="cells is 8, expected 4"):
        old.warm_start(cells=8)
    with pytest.raises(SettingError, match="the initial weights have been drawn"):
        old.warm_start(random_state=5)
    with pytest.raises(UnknownNameError, match="parameter 'stream' is unknown"):
        old.warm_start(stream=8)
    assert model("numbers/regression").warm_start(cells=8).cells == 8  # nothing was learned


def test_evictions_are_counted(tmp_path):
    keys = [f"k{n}" for n in range(10)]
    one = OnlineLSTM(cells=2, streams=3, random_state=1)
    for key in keys:
        one.step([1.0], 1.0, key=key)
    assert one.n_evicted_ == 7
    one.save(tmp_path / "model")
    assert OnlineLSTM.load(tmp_path / "model").n_evicted_ == 7
    whole = OnlineLSTM(cells=2, streams=3, random_state=1)
    whole.run(np.ones((10, 1)), np.ones(10), keys=keys)
    assert whole.n_evicted_ == 7
    late = OnlineLSTM(cells=2, streams=2, evict_after=2, random_state=1)
    for key in "abbbba":
        late.step([1.0], 1.0, key=key)
    assert late.n_evicted_ == 1  # "a" had lost its state when it returned
