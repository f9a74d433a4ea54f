"""Stores: trials are stored exactly once and unchanged; settings and sessions."""

from __future__ import annotations

import dataclasses
import json
import math
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carrousel.contracts import Init, Published, Task, Trial
from carrousel.errors import SettingError, StoreError
from carrousel.experiments.store.settings import canonical, differences, fingerprint, settings_of
from carrousel.experiments.store.store import Store
from support.case import each
from support.experiments import fakes
from support.experiments.fakes import put

# --- trials ---------------------------------------------------------------------------------------

numbers = st.floats(allow_nan=False)
trials = st.builds(
    Trial,
    experiment=st.just("4-1"),
    index=st.integers(0, 2**31),
    seed=st.integers(0, 2**63 - 1),
    ending=st.sampled_from(["solved", "budget", "diverged"]),
    sequences=st.integers(0, 2**62),
    steps=st.integers(0, 2**62),
    seconds=st.floats(0, 1e9),
    measures=st.dictionaries(st.text(max_size=12), numbers, max_size=4),
    curve=st.lists(st.tuples(st.integers(0, 2**62), numbers), max_size=6).map(tuple),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trial=trials)
def test_a_stored_trial_is_unchanged(tmp_path_factory, trial):
    with Store(tmp_path_factory.mktemp("store")) as store:
        put(store, trial)
        assert store.trials("4-1") == [trial]


def test_nan_and_infinity_are_stored(tmp_path):
    curve = ((1, math.nan), (2, math.inf))
    with Store(tmp_path) as store:
        put(store, fakes.trial(0, ending="diverged", measures={"error": math.nan}, curve=curve))
        (back,) = store.trials("4-1")
    np.testing.assert_equal(back.measures["error"], math.nan)
    np.testing.assert_equal(np.array(back.curve), np.array(curve))


def test_numpy_scalars_are_stored_as_numbers(tmp_path):
    odd = fakes.trial(
        0,
        sequences=np.int64(7),
        steps=np.int32(70),
        seconds=np.float64(0.5),
        measures={"wrong": np.float32(0.25)},
        curve=((np.int64(7), np.float32(0.5)),),
    )
    with Store(tmp_path) as store:
        put(store, odd)
        (back,) = store.trials("4-1")
    assert back == odd
    assert type(back.sequences) is int
    assert type(back.measures["wrong"]) is float


def test_trials_are_sorted_by_seed_and_index(tmp_path):
    with Store(tmp_path) as store:
        put(store, *(fakes.trial(i, seed=seed) for i in (2, 0, 1) for seed in (5, 3)))
        put(store, fakes.trial(0, "6a"))
        assert [(t.seed, t.index) for t in store.trials("4-1")] == [
            *((3, 0), (3, 1), (3, 2)),
            *((5, 0), (5, 1), (5, 2)),
        ]
        assert [t.index for t in store.trials("4-1", seed=5)] == [0, 1, 2]
        assert store.trials("4-1", seed=4) == store.trials("4-2") == []


def test_a_stored_trial_is_not_replaced(tmp_path):
    with Store(tmp_path) as store:
        first = fakes.trial(0)
        assert put(store, first, dataclasses.replace(first, sequences=1)) == [True, False]
        assert store.trials("4-1") == [first]


def test_a_trial_of_another_experiment_is_refused(tmp_path):
    with Store(tmp_path) as store:
        with pytest.raises(SettingError, match="experiment is '6a', expected '4-1'"):
            store.append(fakes.trial(0, "6a"), fakes.experiment("4-1"), instruction_set="plain")
        assert store.holdings() == []


# --- settings -------------------------------------------------------------------------------------


def test_descriptive_fields_do_not_change_the_fingerprint():
    reworded = fakes.experiment(
        title="sums", readings=(), published=Published("Table 8", None, None, None, 3)
    )
    assert fingerprint(reworded) == fingerprint(fakes.experiment())


NETWORK = fakes.experiment().network
CHANGES = {
    "task": fakes.FakeTask(length=101),
    "network": dataclasses.replace(NETWORK, init=Init(range=0.2)),
    "learner": "rtrl",
    "training": dataclasses.replace(fakes.experiment().training, update="step"),
    "stop": fakes.FakeStop(bounds={"error": 0.02}),
    "budget": 999_999,
}


@each("field", CHANGES)
def test_every_setting_changes_the_fingerprint(field):
    before, now = fakes.experiment(), fakes.experiment(**{field: CHANGES[field]})
    assert fingerprint(before) != fingerprint(now)
    (difference,) = differences(settings_of(before), settings_of(now))
    assert difference.startswith(field)


def test_whole_floats_and_integers_are_the_same_setting():
    one, same = (fakes.experiment(training=fakes.Training(rate=rate)) for rate in (1, 1.0))
    assert fingerprint(one) == fingerprint(same)


def test_an_object_that_cannot_be_described_is_an_error():
    with pytest.raises(SettingError, match="expected a dataclass of numbers"):
        fingerprint(fakes.experiment(task=Mock(spec=Task)))


def test_different_settings_are_never_mixed(tmp_path):
    old, now = fakes.experiment(budget=5), fakes.experiment()
    with Store(tmp_path) as store:
        put(store, fakes.trial(0), fakes.trial(1), budget=5)
        put(store, fakes.trial(0))
        with pytest.raises(StoreError, match="2 different settings"):
            store.trials("4-1")
        assert len(store.trials("4-1", fingerprint=fingerprint(old))) == 2
        assert store.trials("4-1", 0, fingerprint(now)) == [fakes.trial(0)]
        held = {each.fingerprint: each.trials for each in store.holdings()}
        assert held == {fingerprint(old): 2, fingerprint(now): 1}
        assert store.settings(fingerprint(old)) == settings_of(old)
        with pytest.raises(StoreError, match="no settings with fingerprint"):
            store.settings("0" * 64)


def test_settings_are_plain_json():
    written = canonical(settings_of(fakes.experiment()))
    assert canonical(json.loads(written)) == written


# --- sessions -------------------------------------------------------------------------------------


def test_sessions_add_up(tmp_path):
    experiment = fakes.experiment()
    with Store(tmp_path) as store:
        first = store.session(experiment, seed=0, trials=10)
        assert [(h.trials, h.asked, h.seconds) for h in store.holdings()] == [(0, 10, 0.0)]
        put(store, fakes.trial(0))
        second = store.session(experiment, seed=0, trials=5)
        store.add_seconds({first: 1.0, second: 2.0})
        store.add_seconds({first: 3.0})
        store.add_seconds({})
        (held,) = store.holdings()
    assert (held.trials, held.asked, held.seconds) == (1, 10, 6.0)
    assert held.instruction_sets == ("plain",)
    assert len(held.versions) == 1


def test_without_a_session_the_stored_trials_count_as_requested(tmp_path):
    with Store(tmp_path) as store:
        put(store, fakes.trial(0), fakes.trial(1))
        assert [held.asked for held in store.holdings()] == [2]
