"""Streams by key: places, eviction, and independence of streams."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel import OnlineLSTM
from carrousel.errors import DataError
from carrousel.online.model.keys import Keys
from support.online.cases import case
from support.online.models import inside, knowledge

NAMES = st.lists(st.sampled_from("abcde"), max_size=40)


class ReferenceKeys:
    """Reference: keys that start a stream, computed from the whole history."""

    def __init__(self, n, evict_after):
        self.n, self.evict_after, self.last, self.live = n, evict_after, {}, []

    def starts(self, key, now):
        away = key in self.last and self.evict_after is not None
        new = key not in self.live or (away and now - self.last[key] - 1 >= self.evict_after)
        if key in self.live:
            self.live.remove(key)
        elif len(self.live) == self.n:
            self.live.pop(0)
        self.live.append(key)
        self.last[key] = now
        return new

    def alive(self, now):
        late = self.evict_after
        return tuple(k for k in self.live if late is None or now - self.last[k] - 1 < late)


@given(names=NAMES, n=st.integers(1, 4), evict_after=st.none() | st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_places_and_eviction_match_the_reference(names, n, evict_after):
    keys, reference = Keys(n, evict_after), ReferenceKeys(n, evict_after)
    used: set[int] = set()
    for now, key in enumerate(names):
        starts = keys.find(key, now) is None
        assert starts == reference.starts(key, now)
        place, stale = keys.take(key, now)
        assert 0 <= place < n
        assert stale == (starts and place in used)
        used.add(place)
        assert keys.find(key, now + 1) == place
        assert keys.live(now + 1) == reference.alive(now + 1)
    assert len({place for _, place in keys.places()}) == len(keys.places()) <= n


@given(
    names=st.lists(st.sampled_from("abcde"), min_size=25, max_size=25),
    n=st.integers(1, 4),
    evict_after=st.none() | st.integers(1, 6),
    task=st.sampled_from(("regression", "next")),
)
@settings(max_examples=40, deadline=None)
def test_a_run_with_keys_equals_steps(names, n, evict_after, task):
    X, y = np.random.default_rng(0).normal(size=(2, 25, 2))
    given = {"streams": n, "evict_after": evict_after, "cells": 2, "random_state": 1}
    if task == "next":
        X, y = ["even" if x > 0 else "odd" for x in X[:, 0]], None
        given["symbols"] = ("even", "odd")
    else:
        y = y[:, 0]
    whole, steps = OnlineLSTM(task, **given), OnlineLSTM(task, **given)
    found = whole.run(X, y, keys=names)
    for i, key in enumerate(names):
        found_here = steps.step(X[i], None if y is None else y[i], key=key)
        np.testing.assert_array_equal(found_here, found[i])
        assert steps.keys[-1] == key
    assert knowledge(whole) == knowledge(steps)
    assert whole.keys == steps.keys
    assert len(whole.keys) <= n


def test_streams_are_independent():
    """Without learning, the streams of one model match those of separate models."""
    rng = np.random.default_rng(1)
    X, names = rng.normal(size=(60, 2)), rng.choice(["p", "q", ("r", 1)[0]], 60)
    teacher = OnlineLSTM(streams=3, standardise=False, cells=3, random_state=1)
    found = teacher.run(X, keys=names)
    for name in "pqr":
        own = OnlineLSTM(standardise=False, cells=3, random_state=1)
        np.testing.assert_array_equal(own.run(X[names == name]), found[names == name])


def test_an_evicted_key_starts_from_scratch():
    X = np.random.default_rng(2).normal(size=(8, 1))
    given = {"standardise": False, "cells": 3, "random_state": 1}
    fresh = OnlineLSTM(**given).run(X)
    learner = OnlineLSTM(**given, streams=1)
    assert learner.step(X[0], key="a") == fresh[0]
    assert learner.step(X[1], key="a") == fresh[1]
    assert learner.predict_one(X[0], key="b") == fresh[0]  # changes nothing: "a" keeps its place
    assert learner.step(X[2], key="a") == fresh[2]
    assert learner.step(X[0], key="b") == fresh[0]
    assert learner.keys == ("b",)
    assert learner.step(X[0], key="a") == fresh[0]


def test_a_key_without_rows_for_too_long_starts_from_scratch():
    X = np.random.default_rng(3).normal(size=(8, 1))
    given = {"standardise": False, "cells": 3, "random_state": 1, "streams": 4, "evict_after": 2}
    fresh = OnlineLSTM(standardise=False, cells=3, random_state=1).run(X)
    learner = OnlineLSTM(**given)
    learner.step(X[0], key="a")
    learner.step(X[5], key="b")
    assert learner.keys == ("a", "b")
    assert learner.step(X[1], key="a") == fresh[1]  # absent for one row
    learner.run(X[:2], keys=["b", "b"])
    assert learner.keys == ("b",)  # "a" is absent for two rows
    assert learner.predict_one(X[0], key="a") == fresh[0]
    assert learner.step(X[0], key="a") == fresh[0]
    assert learner.set_params(evict_after=None).keys == ("b", "a")


def test_reset_discards_the_state_of_one_or_all_streams():
    X = np.random.default_rng(4).normal(size=(6, 1))
    fresh = OnlineLSTM(standardise=False, cells=3, random_state=1).run(X)
    learner = OnlineLSTM(standardise=False, cells=3, random_state=1, streams=2)
    learner.reset()
    learner.run(X, keys=list("ababab"))
    learner.reset("a")
    assert learner.keys == ("b",)
    assert learner.step(X[0], key="a") == fresh[0]
    own = OnlineLSTM(standardise=False, cells=3, random_state=1)
    assert learner.step(X[3], key="b") == own.run(X[[1, 3, 5, 3]])[-1]
    learner.reset()
    assert learner.keys == ()
    learner.reset("unknown")
    assert learner.step(X[0], key="b") == fresh[0]
    text = OnlineLSTM("next", symbols="ab", cells=3, random_state=1)
    text.run("abab")
    weights = inside(text).kernel.state()["output"]
    text.reset()
    text.step("a")  # not a target for the "b" before the reset
    np.testing.assert_array_equal(inside(text).kernel.state()["output"], weights)


def test_keys_may_have_any_hashable_type():
    for key in ("a", 1, 2.5, True, None, ("x", 3), np.int64(4), np.str_("s")):
        learner = OnlineLSTM(cells=2, random_state=1, streams=2)
        learner.run(np.zeros((3, 1)), keys=[key, "other", key])
        with case(key):
            assert learner.keys == ("other", key)
            assert not isinstance(learner.keys[1], np.generic)
            learner.step([0.0], key=key)
            assert len(learner.keys) == 2


def test_keys_that_are_no_list_are_refused():
    with pytest.raises(DataError, match="one key for each row"):
        OnlineLSTM().run([[1.0]] * 3, [1.0] * 3, keys=5)
