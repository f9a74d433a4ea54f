"""Reports on rows: the trial that is trained is that of a run, kept weights are used, lags fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carrousel.contracts import Training
from carrousel.errors import DivergedError, SettingError, UnknownNameError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.inspection import TrainingProgress, inspect_row, lag_of, train_row
from carrousel.experiments.inspection import training as training_module
from carrousel.experiments.inspection.rows import WITHOUT_ONE_NET
from carrousel.experiments.run.runner import run
from carrousel.experiments.store.store import Store
from carrousel.tasks import (
    Adding,
    EmbeddedReber,
    JapaneseVowels,
    LongLag,
    NoiseFreeLag,
    RandomLag,
    TemporalOrder,
    TwoSequence,
)
from support.case import each
from support.experiments.scripted import DIVERGES, ScriptedLearner, experiment

SMALL = replace(EXPERIMENTS["4-1"], name="small", task=Adding(length=12), budget=120)
ROWS = ("1/rtrl-3", "1/elman", "2a", "2a/bptt", "2c-1", "3a-1", "4-1", "6a", "lag/1000-simple")


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training_module, "SLICE_SECONDS", 0.005)


def test_the_trial_is_that_of_a_run(tmp_path: Path):
    """To the last bit, with any number of slices, and at any number of sequences."""
    with Store(tmp_path) as store:
        run(SMALL, trials=2, store=store, keep_weights=True)
        kept = store.kept(SMALL, seed=1997, index=1)
        assert kept is not None
        found = train_row(SMALL, index=1)
        assert (found.source, found.ending, found.sequences) == ("trained", "budget", 120)
        np.testing.assert_array_equal(found.weights, kept["weights"])
        shorter = replace(SMALL, budget=70)
        run(shorter, trials=2, store=store, keep_weights=True)
        early = store.kept(shorter, seed=1997, index=1)
        assert early is not None
    stopped = train_row(SMALL, index=1, sequences=70)
    assert (stopped.ending, stopped.sequences) == ("stopped", 70)
    np.testing.assert_array_equal(stopped.weights, early["weights"])


def test_kept_weights_are_used_if_they_are_there(tmp_path: Path):
    with Store(tmp_path) as store:
        run(SMALL, trials=1, store=store, keep_weights=True)
        assert train_row(SMALL, store=store).source == "kept"
        assert train_row(SMALL, store=store, sequences=500).source == "kept"
        assert train_row(SMALL, store=store, sequences=60).source == "trained"
        assert train_row(SMALL, store=store, index=1).source == "trained"
        assert train_row(SMALL, store=store, seed=3).source == "trained"
        kept, trained = train_row(SMALL, store=store), train_row(SMALL)
    assert (kept.ending, kept.sequences) == (trained.ending, trained.sequences)
    np.testing.assert_array_equal(kept.weights, trained.weights)
    np.testing.assert_array_equal(kept.data.inputs, trained.data.inputs)
    assert kept.inspect().loss == trained.inspect().loss


@each("name", ROWS)
def test_rows_of_cells_and_of_simple_units_have_reports(name):
    report = inspect_row(name, sequences=10, test_sequences=2)
    row = EXPERIMENTS[name]
    assert report.lag == lag_of(row.task)
    assert len(report.traces) == 1
    assert np.isfinite(report.loss)
    assert report.read_reach().n_lags > (report.lag or 0)
    reach = report.read_reach()
    assert (reach.carrousel is not None) == ("/" not in name)
    if row.learner == "truncated":
        assert not np.nan_to_num(reach.h[1:]).any()
    whole = train_row(name, sequences=10, test_sequences=2).inspect("bptt")
    assert whole.loss == report.loss


@each("name", ["1/rcc", "2a/chunker", "guess/latch-1"])
def test_rivals_without_one_net_are_refused_with_the_reason(name):
    found = next((row for row in EXPERIMENTS if row.startswith(name)), None)
    rows = [found] if found else [row for row in EXPERIMENTS if row.startswith("guess/")][:1]
    learner = EXPERIMENTS[rows[0]].learner
    with pytest.raises(SettingError, match="cannot be inspected") as error:
        inspect_row(rows[0])
    assert WITHOUT_ONE_NET[learner] in str(error.value)


def test_progress_is_reported_and_time_is_limited():
    seen = list[TrainingProgress]()
    found = train_row("4-1", seconds=0.05, on_progress=seen.append)
    assert found.ending == "stopped"
    assert found.sequences == seen[-1].sequences > 0
    assert seen[-1].budget == EXPERIMENTS["4-1"].budget
    assert seen[-1].error is not None
    assert [one.sequences for one in seen] == sorted(one.sequences for one in seen)
    stopped = train_row("4-1", on_progress=seen.append, stop=lambda: len(seen) > 3)
    assert stopped.ending == "stopped"


def test_bad_calls_are_named():
    with pytest.raises(UnknownNameError, match="4-1"):
        inspect_row("4-11")
    with pytest.raises(SettingError, match="sequences"):
        inspect_row("4-1", sequences=0)
    late = replace(SMALL, training=Training(rate=0.1, cells_added_after=100))
    with pytest.raises(SettingError, match="not joined"):
        inspect_row(late, sequences=50)
    assert inspect_row(late).loss > 0
    plateau = replace(SMALL, training=Training(rate=0.0, plateau=20))
    with pytest.raises(SettingError, match="not joined"):
        inspect_row(plateau, sequences=20)
    assert inspect_row(plateau).loss > 0


def test_a_trial_that_diverges_is_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training_module, "learner_named", lambda name: ScriptedLearner)
    with pytest.raises(DivergedError, match=r"trial 0 of scripted diverged after \d+ training"):
        inspect_row(experiment(rate=DIVERGES, test_size=0))


def test_lags_are_the_distances_in_the_shortest_sequences():
    rng = np.random.default_rng(0)
    task = LongLag(p=5, q=7, length_law="fixed")
    data = task.sample(rng, 1)
    assert lag_of(task) == int(data.target_steps[0]) - 1
    for task in (NoiseFreeLag(p=9), RandomLag(p=9)):
        assert lag_of(task) == int(task.sample(rng, 1).target_steps[-1])
    order = TemporalOrder(relevant=2)
    data = order.sample(rng, 500)
    last = [np.flatnonzero(one.inputs[:-1] >= 6)[-1] for one in data]
    shortest = (data.lengths - 1 - np.array(last)).min()
    assert lag_of(order) == shortest
    data = Adding(length=20).sample(rng, 500)
    last = [np.flatnonzero(one.inputs[:, 1] == 1.0)[-1] for one in data]
    assert lag_of(Adding(length=20)) == (data.lengths - 1 - np.array(last)).min()
    assert lag_of(TwoSequence(length=100, informative=3, variant="a")) == 97
    assert lag_of(JapaneseVowels()) is None


def test_reber_strings_end_at_the_symbol_that_needs_the_memory():
    found = train_row("1-1", sequences=5)
    assert isinstance(found.experiment.task, EmbeddedReber)
    for one in found.data:
        end = int(one.target_steps[-1])
        assert end == one.n_steps - 3
        assert one.targets[-1] == one.inputs[1]  # T or P
    lags = [int(one.target_steps[-1]) - 1 for one in found.data]
    assert min(lags) >= (found.lag or 0)
