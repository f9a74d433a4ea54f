"""Kept weights: those with which a trial was tested at its end, and nothing else changes."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from carrousel.contracts import Batches, Cell, Experiment, Network, Published, Simple, Training
from carrousel.errors import SettingError, StoreError
from carrousel.experiments.run.runner import run, run_rows
from carrousel.experiments.run.seeds import generator
from carrousel.experiments.stopping import RecentTraining, exam_parts
from carrousel.experiments.store.packed import merge, pack
from carrousel.experiments.store.store import FILE_NAME, Store
from carrousel.learners import learner_named
from carrousel.tasks import Adding

TASK = Adding(length=12)
CELLS = Network(2, 1, Cell(2, 2), bias="all")
ROWS = {
    "truncated": (CELLS, Training(rate=0.5)),
    "bptt": (Network(2, 1, Simple(4), bias="all"), Training(rate=0.5)),
    "adam": (CELLS, Batches(rate=0.01, size=3)),
}


def row(learner: str = "truncated", *, solved: bool = False) -> Experiment:
    """A row whose trials end at the budget, or early, in the middle of a chunk."""
    network, training = ROWS[learner]
    return Experiment(
        name=f"small/{learner}",
        title="small",
        task=TASK,
        network=network,
        learner=learner,
        training=training,
        stop=RecentTraining(window=17, wrong_at_most=17 if solved else 0),
        budget=150,
        published=Published("none", None, None, None, 2),
        test_size=40,
    )


def mean_error(experiment: Experiment, index: int, weights: np.ndarray) -> float:
    """Test weights as a trial is tested at its end."""
    learner = learner_named(experiment.learner)(experiment.network, experiment.training, 1)
    learner.restore(0, {**learner.state(0), "weights": weights})
    rng = generator(7, experiment.name, index, "verdict")
    parts = [TASK.test(rng, n) for n in exam_parts(experiment.test_size, TASK.mean_length)]
    errors = []
    for data in parts:
        [outputs] = learner.predict([data])
        assert outputs is not None
        errors.append(np.abs(outputs - data.targets).astype(np.float64))
    return float(np.concatenate(errors).mean())


def timeless(trials: list) -> list:
    return [dataclasses.replace(trial, seconds=0.0) for trial in trials]


@pytest.mark.parametrize("learner", ROWS)
def test_kept_weights_reproduce_the_test_error(tmp_path: Path, learner: str):
    """Of trials that end at the budget and of those that are solved in the middle of a chunk."""
    for solved in (False, True):
        experiment = row(learner, solved=solved)
        plain = run(experiment, trials=2, seed=7)
        with Store(tmp_path / f"{solved}") as store:
            trials = run(experiment, trials=2, seed=7, store=store, keep_weights=True)
            assert timeless(trials) == timeless(plain)
            assert {trial.ending for trial in trials} == {"solved" if solved else "budget"}
            for trial in trials:
                kept = store.kept(experiment, seed=7, index=trial.index)
                assert kept is not None
                assert list(kept) == ["weights"]
                assert kept["weights"].shape == (experiment.network.n_weights,)
                error = mean_error(experiment, trial.index, kept["weights"])
                np.testing.assert_allclose(error, trial.measures["mean_abs"], rtol=1e-6)


def test_learners_with_other_nets_keep_all_their_arrays(tmp_path: Path):
    from carrousel.experiments import EXPERIMENTS

    experiment = dataclasses.replace(EXPERIMENTS["2a/chunker"], budget=5, test_size=0)
    with Store(tmp_path) as store:
        run(experiment, trials=1, store=store, keep_weights=True)
        kept = store.kept(experiment, seed=1997, index=0)
    assert kept is not None
    assert {"automatizer", "chunker"} <= set(kept)


def tables(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return sorted(name for (name,) in found)


def test_without_the_option_a_store_has_no_weights(tmp_path: Path):
    experiment = row()
    with Store(tmp_path) as store:
        run(experiment, trials=1, seed=7, store=store)
        assert store.kept(experiment, seed=7, index=0) is None
    assert tables(tmp_path) == ["sessions", "settings", "trials"]
    with pytest.raises(SettingError, match="kept in a store"):
        run(experiment, trials=1, keep_weights=True)


def test_a_continued_run_keeps_what_it_has(tmp_path: Path):
    """Trials that ended without the option are not run again; their weights stay unknown."""
    experiment, other = row(), row("bptt")
    with Store(tmp_path) as store:
        run(experiment, trials=1, seed=7, store=store)
        run_rows([(experiment, 2), (other, 1)], seed=7, store=store, keep_weights=True)
        first, second = (store.kept(experiment, seed=7, index=index) for index in (0, 1))
        assert first is None
        assert second is not None
        run(experiment, trials=3, seed=7, store=store)  # without the option
        again = store.kept(experiment, seed=7, index=1)
        assert again is not None
        np.testing.assert_array_equal(again["weights"], second["weights"])
        assert store.kept(experiment, seed=7, index=2) is None
        assert store.kept(experiment, seed=8, index=1) is None
        assert store.kept(experiment, seed=7, index=1, code="other") is None
    with Store(tmp_path, read_only=True) as store:
        assert store.kept(other, seed=7, index=0) is not None


def test_weights_survive_packing_and_merging(tmp_path: Path):
    experiment = row()
    for name, trials in (("a", 1), ("b", 2)):
        with Store(tmp_path / name) as store:
            run(experiment, trials=trials, seed=7, store=store, keep_weights=name == "b")
    with Store(tmp_path / "b") as store:
        before = store.kept(experiment, seed=7, index=1)
    pack(tmp_path / "b")
    merge(tmp_path / "a", tmp_path / "b")
    for name in "ab":
        with Store(tmp_path / name) as store:
            after = store.kept(experiment, seed=7, index=1)
            assert before is not None
            assert after is not None
            np.testing.assert_array_equal(after["weights"], before["weights"])
    with Store(tmp_path / "b") as store:  # a packed store takes more
        run(experiment, trials=3, seed=7, store=store, keep_weights=True)
        assert store.kept(experiment, seed=7, index=2) is not None


def test_weights_take_little_room(tmp_path: Path):
    """Four bytes a weight, and less than 700 for archive, key and index."""
    experiment = row()
    sizes = []
    for keep in (False, True):
        folder = tmp_path / f"{keep}"
        with Store(folder) as store:
            run(experiment, trials=40, seed=7, store=store, keep_weights=keep)
            store.alone("VACUUM")
        sizes.append((folder / FILE_NAME).stat().st_size)
    each = (sizes[1] - sizes[0]) / 40
    assert 4 * CELLS.n_weights < each < 4 * CELLS.n_weights + 700


@pytest.mark.parametrize("damage", ["UPDATE weights SET arrays = x'00'", "columns"])
def test_damaged_weights_are_a_store_error(tmp_path: Path, damage: str):
    experiment = row()
    with Store(tmp_path) as store:
        run(experiment, trials=1, seed=7, store=store, keep_weights=True)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        if damage == "columns":
            db.execute("DROP TABLE weights")
            damage = "CREATE TABLE weights (number INTEGER)"
        db.execute(damage)
    with Store(tmp_path) as store:
        with pytest.raises(StoreError, match=r"damaged|columns"):
            store.kept(experiment, seed=7, index=0)
        assert len(store.trials(experiment.name)) == 1
