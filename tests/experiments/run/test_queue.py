"""Trials of many rows in one queue: bits do not depend on company, and vectors are filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import Batches, Experiment, Init, Trial
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.run import lanes, runner
from carrousel.experiments.run.lanes import LANES, LaneUse, Share, Slice, advance, call_steps
from carrousel.experiments.run.queue import Queue
from carrousel.experiments.run.runner import RunProgress, run_rows
from carrousel.experiments.run.trial import RunningTrial, TrialPlan, TrialState
from carrousel.experiments.stopping import RecentTraining
from carrousel.experiments.store.store import Store
from carrousel.learners import learner_named, shared_settings
from support.experiments.scripted import ScriptedLearner, experiment

# --- the same bits in any company -----------------------------------------------------------------

EASY = RecentTraining(window=60, wrong_at_most=55, mean_below=0.6)


def short(name: str, budget: int, **changes: object) -> Experiment:
    """A row with a small budget, a final test, and an easy rule in place of that on training."""
    row = EXPERIMENTS[name]
    if row.stop.every == 0:
        changes = {"stop": EASY, **changes}
    return replace(row, budget=budget, test_size=20, **changes)  # pyright: ignore[reportArgumentType]


ROWS = {
    "2c-1": short("2c-1", 60),
    "3a-1": short("3a-1", 210),
    "3a-3": short("3a-3", 25),
    "3c-1": short("3c-1", 130),
    "4-1": short("4-1", 300),
    "4-2": short("4-2", 60),
    "1-1": short("1-1", 250),
    "1-4": short("1-4", 320),
    "1/elman": short("1/elman", 110),
    "1/rtrl-3": short("1/rtrl-3", 110),
    "guess": short("guess/latch-1", 90),
    "uoro": short("adding/lstm-uoro", 70),
    "adam": short("adding/1000", 40, task=EXPERIMENTS["4-1"].task),
    "adam-10": short(
        "adding/1000", 95, task=EXPERIMENTS["4-1"].task,
        training=Batches(rate=0.01, size=10, gradient="truncated"),
    ),
    "halving": short(
        "4-1", 150, training=replace(EXPERIMENTS["4-1"].training, halves_every=40),
        network=replace(EXPERIMENTS["4-1"].network, init=Init(range=0.3)),
    ),
    "plateau": short(
        "4-1", 150, training=replace(EXPERIMENTS["4-1"].training, plateau=10, rate=0.2)
    ),
}  # fmt: skip
ROWS = {name: replace(row, name=name) for name, row in ROWS.items()}
TRIALS, SEED = 3, 11


def timeless(trials: list[Trial]) -> list[Trial]:
    return [replace(trial, seconds=0.0) for trial in trials]


def plan(row: Experiment) -> TrialPlan:
    shared = shared_settings(row.learner, row.network, row.training)
    return TrialPlan(row, learner_named(row.learner), SEED, batch_steps=2**13, shared=shared)


@pytest.fixture(scope="module")
def alone() -> Mapping[str, list[Trial]]:
    """Each trial of each row by itself, in one slice and in calls of one size."""
    return {
        name: [
            advance(Share({0: plan(row)}, pending=[(0, index)]), seconds=1e9).ended[0][1]
            for index in range(TRIALS)
        ]
        for name, row in ROWS.items()
    }


@pytest.mark.native
@given(data=st.data())
@settings(max_examples=12)
def test_trials_do_not_depend_on_company_calls_interruptions_or_workers(alone, data):
    """Rows, numbers of trials, workers, lengths of slices and of calls are drawn."""
    names = data.draw(st.lists(st.sampled_from(list(ROWS)), min_size=1, unique=True), "rows")
    numbers = [data.draw(st.integers(1, TRIALS)) for _ in names]
    queue = Queue([plan(ROWS[name]) for name in names], [range(number) for number in numbers])
    found: dict[tuple[str, int], Trial] = {}
    calls = st.sampled_from([40, 300, 5000, 2**16])
    with pytest.MonkeyPatch.context() as patch:
        while not queue.is_empty:
            workers = data.draw(st.integers(1, 3), "workers")
            slices = []
            for share in queue.shares(workers):
                patch.setattr(lanes, "FIRST_STEPS", data.draw(calls, "steps"))
                known = replace(share, pace=data.draw(st.sampled_from([None, 1e-6, 1e-4])))
                seconds = data.draw(st.sampled_from([0.0, 0.02, 1e9]), "seconds")
                slices.append(advance(known, seconds))
            assert len(slices) <= workers
            queue.receive(slices)
            for each in slices:
                for row, trial in each.ended:
                    assert found.setdefault((names[row], trial.index), trial) is trial
    assert len(found) == sum(numbers)
    for (name, index), trial in found.items():
        assert replace(trial, seconds=0.0) == replace(alone[name][index], seconds=0.0)


def test_the_rows_of_that_test_end_in_every_way(alone):
    """Some within a call, so that part of it is repeated; some at their budget."""
    endings = {trial.ending for trials in alone.values() for trial in trials}
    assert endings >= {"solved", "budget"}
    assert any(trial.measures.get("cells_added_at") for trial in alone["plateau"])


@pytest.mark.native
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stopped_run_of_many_rows_continues(alone, jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SLICE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "LONGEST_SLICE", 0.0)
    monkeypatch.setattr(runner, "TrialPlan", lambda *a, **k: TrialPlan(*a, **k, batch_steps=2**13))
    rows = [(ROWS[name], TRIALS) for name in ("3a-1", "3a-3", "3c-1", "4-1", "1-4")]

    def stop(now: RunProgress) -> None:
        if sum(row.trials_done for row in now.rows) >= 4:
            raise KeyboardInterrupt

    with Store(tmp_path) as store:
        with pytest.raises(KeyboardInterrupt):
            run_rows(rows, seed=SEED, jobs=jobs, store=store, on_progress=stop)
        kept = sum(held.trials for held in store.holdings())
        assert 4 <= kept < TRIALS * len(rows)
        found = run_rows(rows, seed=SEED, jobs=jobs, store=store)
        assert [store.trials(row.name, SEED) for row, _ in rows] == found
        assert all(held.seconds > 0 for held in store.holdings())
    for (row, _), trials in zip(rows, found, strict=True):
        assert timeless(trials) == timeless(alone[row.name])


# --- groups ---------------------------------------------------------------------------------------


def groups_of(*names: str) -> list[set[str]]:
    """Names of rows, sorted into the groups of a queue."""
    plans = [plan(EXPERIMENTS.get(name) or ROWS[name]) for name in names]
    groups = Queue(plans, [range(1)] * len(plans))._groups
    return [{each.experiment.name for each in group.plans.values()} for group in groups]


def test_rows_with_the_same_shape_share_a_group():
    noisy = [f"3{part}" for part in ("a-1", "a-2", "a-3", "b-1", "b-2", "b-3", "c-1", "c-2")]
    sums = ["4-1", "4-2", "4-3", "halving", "plateau"]
    apart = ["1-1", "1-2", "6a", "1/elman", "1/rtrl-3", "adding/lstm-bptt", "lag/1000", "lag/10000"]
    found = groups_of(*noisy, *sums, *apart)
    assert set(noisy) in found
    assert set(sums) in found
    assert sum(len(group) == 1 for group in found) == len(apart)


def test_symbols_and_values_are_not_mixed():
    row = EXPERIMENTS["2c-1"]
    task: Any = experiment().task
    size = {"n_inputs": row.network.n_inputs, "n_outputs": row.network.n_outputs}
    other = replace(row, name="values", task=replace(task, **size))
    plans = [plan(row), plan(other)]
    assert len(Queue(plans, [range(1), range(1)])._groups) == 2


# --- the work of a slice --------------------------------------------------------------------------


def pretend(
    queue: Queue, lengths: Mapping[tuple[int, int], int], workers: int
) -> list[list[Share]]:
    """Run a queue without learning: a slice is 100 steps of each lane; return all shares."""
    history = []
    while not queue.is_empty:
        shares, slices = queue.shares(workers), []
        history.append(shares)
        for share in shares:
            states = [*share.paused]
            room = LANES - len(states)
            for row, index in share.pending[:room]:
                states.append(RunningTrial.begin(share.plans[row], row, index))
            ended, paused = list[tuple[int, Trial]](), list[TrialState]()
            for state in states:
                state.steps += 100
                state.sequences += 100
                if state.steps >= lengths[state.row, state.index]:
                    trial = Trial(
                        "", state.index, SEED, "solved", state.sequences, state.steps, 0.0
                    )
                    ended.append((state.row, trial))
                else:
                    paused.append(state)
            use = LaneUse(len(states) / LANES, 1.0, 100)
            slices.append(Slice(ended, paused, list(share.pending[room:]), "", use, 1.0))
        queue.receive(slices)
    return history


def busy(history: list[list[Share]]) -> list[list[int]]:
    """Lanes of each worker in each slice."""
    return [
        [min(LANES, len(share.paused) + len(share.pending)) for share in shares]
        for shares in history
    ]


def rows_of(*budgets: int, rates: bool = False) -> list[TrialPlan]:
    """Plans of rows with their own groups, or with one group if they differ in rates alone."""
    found = []
    for number, budget in enumerate(budgets):
        row = experiment(name=str(number), budget=budget, rate=0.1)
        row = replace(row, published=replace(row.published, sequences=None))
        size = 1 if rates else number + 1
        row = replace(
            row, network=replace(row.network, cell=replace(row.network.cell, blocks=size))
        )
        row = replace(row, learner="truncated")
        shared = shared_settings(row.learner, row.network, row.training)
        found.append(TrialPlan(row, ScriptedLearner, SEED, shared=shared))
    return found


def test_two_rows_occupy_one_worker_each():
    """Ten trials of one row are spread over two workers only when no other row is left."""
    queue = Queue(rows_of(1000, 400), [range(10), range(10)])
    lengths = {(0, n): 1000 for n in range(10)} | {(1, n): 400 for n in range(10)}
    lanes_of = busy(pretend(queue, lengths, workers=2))
    assert lanes_of == [[10, 10]] * 4 + [[5, 5]] * 6


def test_leftovers_of_different_rows_are_packed_together():
    queue = Queue(rows_of(1000, 1000, 1000, rates=True), [range(8)] * 3)
    lengths = {(row, n): 1000 if n == 0 else 200 for row in range(3) for n in range(8)}
    history = pretend(queue, lengths, workers=1)
    assert all(len(shares) == 1 for shares in history)
    assert set(history[-1][0].plans) == {0, 1, 2}


@pytest.mark.parametrize("jobs", [20, 36, 50])
def test_trials_of_equal_length_take_turns_at_the_end(jobs):
    """Full vectors until the end, not a second pass for the trials that exceed the first."""
    queue = Queue(rows_of(5000), [range(jobs)])
    lanes_of = busy(pretend(queue, {(0, n): 5000 for n in range(jobs)}, workers=1))
    assert len(lanes_of) <= np.ceil(jobs * 50 / LANES) + 3


def test_trials_continue_while_enough_others_wait():
    queue = Queue(rows_of(5000), [range(100)])
    first, second = [], []
    for into in (first, second):
        [share] = queue.shares(1)
        begun = [state.index for state in share.paused]
        into += begun or [index for _, index in share.pending[:LANES]]
        states = [*share.paused] or [RunningTrial.begin(share.plans[0], 0, n) for n in range(LANES)]
        queue.receive([Slice([], states, list(share.pending[LANES - len(begun) :]), "")])
    assert sorted(first) == sorted(second) == list(range(LANES))


@given(
    numbers=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    workers=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
@settings(max_examples=40)
def test_every_trial_runs_to_its_end_once_on_any_number_of_workers(numbers, workers, seed):
    rng = np.random.default_rng(seed)
    lengths = {
        (r, n): int(rng.integers(1, 9)) * 100 for r, k in enumerate(numbers) for n in range(k)
    }
    queue = Queue(rows_of(*[900] * len(numbers)), [range(number) for number in numbers])
    turn, ended = 0, list[tuple[int, int]]()
    while not queue.is_empty:
        turn += 1
        assert turn < 500
        slices = []
        shares = queue.shares(workers[turn % len(workers)])  # workers leave and join
        assert 1 <= len(shares) <= workers[turn % len(workers)]
        for share in shares:
            assert len(share.paused) <= LANES
            states = [*share.paused]
            room = LANES - len(states)
            states += [RunningTrial.begin(share.plans[r], r, n) for r, n in share.pending[:room]]
            done, paused = list[tuple[int, Trial]](), list[TrialState]()
            for state in states:
                state.steps += 100
                if state.steps >= lengths[state.row, state.index]:
                    ended.append((state.row, state.index))
                    done.append((state.row, Trial("", state.index, 1, "solved", 1, 1, 0.0)))
                else:
                    paused.append(state)
            slices.append(Slice(done, paused, list(share.pending[room:]), ""))
        queue.receive(slices)
    assert sorted(ended) == sorted(lengths)


# --- the work of a call ---------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 5000)), min_size=1, max_size=16))
def test_a_call_is_not_longer_than_its_longest_lane_nor_shorter_than_it_must(bounds):
    least = [low for low, _ in bounds]
    most = [low + extra for low, extra in bounds]
    steps = call_steps(least, most, overhead=100.0)
    assert max(least) <= steps <= max(most)
    assert steps >= min(most)


def test_lanes_of_different_lengths_get_about_the_same_steps():
    """Rows of one shape with sequences of about 100, 500 and 1000 steps."""
    plans = {n: plan(EXPERIMENTS[name]) for n, name in enumerate(("4-1", "4-2", "4-3"))}
    jobs = [(row, index) for row in plans for index in range(5)]
    use = advance(Share(plans, pending=jobs, pace=1e-6), seconds=0.3).use
    assert use.share is not None
    assert use.share > 0.97 * 15 / 16


def test_the_use_of_lanes_counts_vectors():
    assert LaneUse.of_call([100] * 16, 16, 2.0).share == 1.0
    assert LaneUse.of_call([100] * 10, 8, 2.0).share == 10 / 16
    assert LaneUse.of_call([100] * 8 + [50] * 8, 16, 2.0).share == 0.75
    assert LaneUse.of_call([100] * 8 + [50] * 8, 8, 2.0).share == 1.0
    assert LaneUse().share is None
