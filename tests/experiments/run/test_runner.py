"""Runner: trials depend on experiment, seed and index alone, and each is run once."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.contracts import Experiment, StopRule, Trial
from carrousel.errors import MissingExtraError, SettingError, StoreError, UnknownNameError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.run import runner
from carrousel.experiments.run.lanes import Share, advance
from carrousel.experiments.run.runner import RowProgress, run
from carrousel.experiments.run.seeds import generator
from carrousel.experiments.run.trial import TrialPlan, plan_chunks
from carrousel.experiments.stopping import RecentTraining, TestSet, exam_parts
from carrousel.experiments.store.store import Store
from carrousel.learners import LEARNERS, learner_named
from support.case import each
from support.experiments.scripted import (
    DIVERGES,
    ScriptedLearner,
    ScriptedTask,
    experiment,
    last_inputs,
)

BATCH_STEPS = 2**9
"""Size of batches of about a hundred sequences, so that a trial needs several."""

RULES = {
    "recent": RecentTraining(window=50, wrong_at_most=0, mean_below=0.1),
    "test": TestSet(every=20, size=60, mean_below=0.05),
    "fresh": TestSet(every=20, size=200, fixed=False),
}


@pytest.fixture(autouse=True)
def scripted_learner(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "learner_named", lambda name: ScriptedLearner)
    monkeypatch.setattr(runner, "TrialPlan", partial(TrialPlan, batch_steps=BATCH_STEPS))


def timeless(trials: list[Trial]) -> list[Trial]:
    return [dataclasses.replace(trial, seconds=0.0) for trial in trials]


def by_slices(row: Experiment, indices: list[int], *, seconds: float, n_lanes: int) -> list[Trial]:
    """Run trials in slices of a given length and groups of a given size; return them."""
    plan, ended = TrialPlan(row, ScriptedLearner, 7, BATCH_STEPS), list[Trial]()
    paused, pending = [], [(0, index) for index in indices]
    while paused or pending:
        room = n_lanes - len(paused)
        piece = advance(Share({0: plan}, paused, pending[:room]), seconds)
        ended += [trial for _, trial in piece.ended]
        paused, pending = piece.paused, [*piece.pending, *pending[room:]]
    return sorted(ended, key=lambda trial: trial.index)


# --- definition of a trial ------------------------------------------------------------------------


def by_hand(row: Experiment, index: int, seed: int) -> Trial:
    """Run one trial sequence by sequence, without chunks, lanes or slices."""
    learner = ScriptedLearner(row.network, row.training)
    learner.begin(0, generator(seed, row.name, index, "weights"))
    rng = generator(seed, row.name, index, "training")
    batch_size, _ = plan_chunks(row.task.mean_length, row.stop.every, BATCH_STEPS)
    largest, steps, st1 = list[float](), 0, None
    ending = None
    while ending is None:
        for one in row.task.sample(rng, batch_size):
            [errors] = learner.learn([one])
            assert errors is not None
            largest.append(float(errors.max_abs[0]))
            steps += one.n_steps
            if isinstance(row.stop, RecentTraining):
                recent = largest[-row.stop.window :]
                full = len(recent) == row.stop.window
                if full and max(recent) < 0.3 and np.mean(recent) < (row.stop.mean_below or 1.0):
                    ending = "solved"
            elif isinstance(row.stop, TestSet) and len(largest) % row.stop.every == 0:
                count = 0 if row.stop.fixed else len(largest)
                tests = generator(seed, row.name, index, "test", count)
                wrong, error = 0, 0.0
                for part in exam_parts(row.stop.size, row.task.mean_length):
                    data = row.task.test(tests, part)
                    off = np.abs(learner._predict(0, data) - data.targets)
                    wrong, error = wrong + np.count_nonzero(off >= 0.3), error + off.sum()
                if wrong == 0 and st1 is None:
                    st1 = len(largest)
                if wrong == 0 and error < (row.stop.mean_below or np.inf) * row.stop.size:
                    ending = "solved"
            if ending is None and len(largest) == row.budget:
                ending = "budget"
            if ending:
                break
    measures = {"st1_sequences": float(st1)} if st1 and row.stop == RULES["test"] else {}
    final = generator(seed, row.name, index, "verdict")
    parts = [row.task.test(final, n) for n in exam_parts(row.test_size, row.task.mean_length)]
    off = np.concatenate([learner._predict(0, part) - part.targets for part in parts])
    measures |= {
        "wrong": float(np.count_nonzero(np.abs(off) >= 0.3)),
        "fraction": np.count_nonzero(np.abs(off) >= 0.3) / row.test_size,
        "mean_abs": float(np.abs(off).mean()),
        "rmse": float(np.sqrt(np.square(off).mean())),
    }
    return Trial(row.name, index, seed, ending, len(largest), steps, 0.0, measures)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("budget", [100_000, 330])
def test_trials_agree_with_their_definition(rule: StopRule, budget: int):
    row = experiment(rule, budget=budget)
    trials = run(row, trials=6, seed=7)
    for trial in trials:
        expected = by_hand(row, trial.index, seed=7)
        assert (trial.index, trial.ending, trial.sequences, trial.steps) == (
            expected.index,
            expected.ending,
            expected.sequences,
            expected.steps,
        )
        assert trial.measures.keys() == expected.measures.keys()
        for name, value in expected.measures.items():
            np.testing.assert_allclose(trial.measures[name], value, rtol=1e-9, err_msg=name)
    endings = {trial.ending for trial in trials}
    assert endings == ({"solved"} if budget == 100_000 else {"solved", "budget"})


def test_the_final_test_uses_the_weights_at_which_the_rule_held():
    row = experiment(test_size=50)
    [trial] = run(row, trials=1, seed=3)
    learner = ScriptedLearner(row.network, row.training)
    learner.begin(0, generator(3, row.name, 0, "weights"))
    rng = generator(3, row.name, 0, "verdict")
    data = [row.task.test(rng, n) for n in exam_parts(50, row.task.mean_length)]
    off = np.concatenate([last_inputs(part) for part in data])

    def error_after(sequences: int) -> float:
        return float(np.mean(off * learner.skill(0, np.int64(sequences))))

    # the learner's digest adds up to 0.001 to each error
    assert 0.0 <= trial.measures["mean_abs"] - error_after(trial.sequences) < 1.1e-3
    assert abs(error_after(trial.sequences + 100) - error_after(trial.sequences)) > 2e-3


def test_a_budget_does_not_change_shorter_trials():
    whole = run(experiment(), trials=3, seed=7)
    cut = run(experiment(budget=whole[0].sequences), trials=3, seed=7)
    assert timeless(cut)[0] == timeless(whole)[0]
    for trial in cut[1:]:
        assert trial.sequences == min(whole[0].sequences, whole[trial.index].sequences)


def test_a_diverged_trial_ends_where_it_diverged():
    row = experiment(rate=DIVERGES, stop=RecentTraining(window=10_000))
    for trial in run(row, trials=4, seed=1):
        learner = ScriptedLearner(row.network, row.training)
        learner.begin(0, generator(1, row.name, trial.index, "weights"))
        assert trial.ending == "diverged"
        assert not trial.success
        assert trial.sequences == np.ceil(learner.pace[0])
        assert trial.measures == {}
        assert all(np.isfinite(error) for _, error in trial.curve)


def test_trials_share_the_draws_of_the_experiment(monkeypatch: pytest.MonkeyPatch):
    used = []
    sample = ScriptedTask.sample
    monkeypatch.setattr(
        ScriptedTask, "sample", lambda self, *args: used.append(self.drawn) or sample(self, *args)
    )
    for index in range(6):
        plan = TrialPlan(experiment(draws=3), ScriptedLearner, seed=1)
        advance(Share({0: plan}, pending=[(0, index)]), seconds=100.0)
        used[index:] = [used[-1]]
    assert used[:3] == used[3:]
    assert len(set(used)) == 3


# --- independence ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_lanes_and_slices_do_not_change_trials(rule: StopRule):
    row, indices = experiment(rule, draws=3), list(range(20))
    whole = by_slices(row, indices, seconds=1e9, n_lanes=16)
    assert {trial.ending for trial in whole} == {"solved"}
    for n_lanes, seconds in [(1, 1e9), (1, 0.0), (3, 0.0), (16, 0.0), (16, 1e-3)]:
        pieces = by_slices(row, indices, seconds=seconds, n_lanes=n_lanes)
        assert timeless(pieces) == timeless(whole)


def test_workers_do_not_change_trials():
    row = experiment(RULES["test"])
    alone = run(row, trials=7, seed=11, jobs=1)
    assert timeless(run(row, trials=7, seed=11, jobs=2)) == timeless(alone)
    assert timeless(run(row, trials=3, seed=11, jobs=2)) == timeless(alone[:3])


def test_seed_name_and_index_change_trials():
    trials = [
        *run(experiment(), trials=2, seed=1),
        *run(experiment(), trials=1, seed=2),
        *run(experiment(name="other"), trials=1, seed=1),
    ]
    assert len({trial.curve for trial in trials}) == 4


def test_every_purpose_has_its_own_random_numbers():
    streams = [
        generator(seed, name, number, purpose, count).random()
        for seed in (0, 1, 2**32, 2**40)
        for name in ("6a", "6b")
        for number in (0, 1)
        for purpose in ("weights", "training", "test", "verdict", "draw")
        for count in (0, 1)
    ]
    assert len(set(streams)) == len(streams)


@pytest.mark.native
@each("name", ["6a", "3b-1", "1-5"])
def test_native_trials_are_the_same_to_the_last_bit(name: str):
    row = EXPERIMENTS[name]
    every, budget = row.stop.every, 300
    if not every:  # an easier rule, so that part of a chunk is repeated from earlier weights
        row = dataclasses.replace(row, stop=RecentTraining(window=100, wrong_at_most=100))
    row, learner = dataclasses.replace(row, budget=budget, test_size=300), LEARNERS[row.learner]
    plan, jobs = TrialPlan(row, learner, 7, batch_steps=2**12), [(0, n) for n in range(5)]
    whole = [trial for _, trial in advance(Share({0: plan}, pending=jobs), seconds=1e9).ended]
    assert {trial.ending for trial in whole} == {"budget" if every else "solved"}
    pieces = [advance(Share({0: plan}, pending=[job]), seconds=0.0) for job in jobs]
    ended = [trial for piece in pieces for _, trial in piece.ended]
    paused = [trial for piece in pieces for trial in piece.paused]
    while paused:
        piece = advance(Share({0: plan}, paused), seconds=0.0)
        paused = piece.paused
        ended += [trial for _, trial in piece.ended]
    in_order = sorted(ended, key=lambda trial: trial.index)
    assert timeless(in_order) == timeless(sorted(whole, key=lambda trial: trial.index))


# --- stored trials --------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stopped_run_continues(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "LONGEST_SLICE", 0.0)
    row, whole = experiment(), run(experiment(), trials=20, seed=5)

    def stop_halfway(progress: RowProgress) -> None:
        if progress.trials_done >= 8:
            raise KeyboardInterrupt

    with Store(tmp_path) as store:
        with pytest.raises(KeyboardInterrupt):
            run(row, trials=20, seed=5, jobs=jobs, store=store, on_progress=stop_halfway)
        kept = store.trials(row.name)
        assert 8 <= len(kept) < 20
        assert timeless(kept) == timeless([whole[trial.index] for trial in kept])
        begun = []
        begin = ScriptedLearner.begin
        monkeypatch.setattr(
            ScriptedLearner, "begin", lambda self, *args: begun.append(1) or begin(self, *args)
        )
        assert timeless(run(row, trials=20, seed=5, store=store)) == timeless(whole)
        assert len(begun) == 20 - len(kept)
        assert timeless(store.trials(row.name)) == timeless(whole)
        assert run(row, trials=12, seed=5, store=store) == store.trials(row.name)[:12]
        assert len(begun) == 20 - len(kept)


def test_trials_with_other_settings_or_seeds_are_not_used(tmp_path: Path):
    with Store(tmp_path) as store:
        for row, seed in [(experiment(), 1), (experiment(budget=300), 1), (experiment(), 2)]:
            expected = run(row, trials=3, seed=seed)
            assert timeless(run(row, trials=3, seed=seed, store=store)) == timeless(expected)
        assert sum(holding.trials for holding in store.holdings()) == 9


def test_an_error_of_the_store_stops_the_run(tmp_path: Path):
    with Store(tmp_path) as store:
        run(experiment(), trials=1, seed=1, store=store)
        store.close()
        with pytest.raises(StoreError):
            run(experiment(), trials=2, seed=1, store=store)


def test_progress_increases_and_equals_the_trials_at_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "LONGEST_SLICE", 0.0)
    seen = list[RowProgress]()
    trials = run(experiment(), trials=20, seed=5, on_progress=seen.append)
    assert len(seen) > 5
    for before, after in pairwise(seen):
        assert before.trials_done <= after.trials_done
        assert before.steps < after.steps
        assert before.seconds < after.seconds
    last = seen[-1]
    assert (last.experiment, last.trials, last.trials_done) == ("scripted", 20, 20)
    assert last.sequences == sum(trial.sequences for trial in trials)
    assert last.steps == sum(trial.steps for trial in trials)
    assert 0 < sum(trial.seconds for trial in trials) <= last.seconds


# --- wrong calls ----------------------------------------------------------------------------------


@each(
    "wrong, error",
    [
        ({"trials": -1}, SettingError),
        ({"trials": 2.5}, SettingError),
        ({"jobs": 0}, SettingError),
        ({"seed": -3}, SettingError),
        ({"backend": "lokki"}, UnknownNameError),
    ],
)
def test_errors_name_the_argument(wrong: dict, error: type[Exception]):
    with pytest.raises(error, match=next(iter(wrong))):
        run(experiment(), **{"trials": 1, **wrong})


def test_an_unknown_learner_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runner, "learner_named", learner_named)
    row = dataclasses.replace(experiment(), learner="truncatd")
    with pytest.raises(UnknownNameError, match="did you mean 'truncated'"):
        run(row, trials=1)


@each("backend", ["dask", "ray"])
def test_an_error_about_a_missing_backend_names_the_extra(
    backend: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(MissingExtraError, match=rf"carrousel\[{backend}\]"):
        run(experiment(), trials=1, backend=backend)


def test_no_trials_need_no_workers():
    assert run(experiment(), trials=0, jobs=2) == []
