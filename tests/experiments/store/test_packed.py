"""Merging and packing of stores: only points of learning curves are lost."""

from __future__ import annotations

import dataclasses
import math
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrousel.contracts import Trial
from carrousel.errors import SettingError, StoreError
from carrousel.experiments.recipes.vary import renamed, varied
from carrousel.experiments.store import schema
from carrousel.experiments.store.packed import merge, pack, thinned
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import FILE_NAME, Store
from support.experiments import fakes

ROW = fakes.experiment()
VARIED = varied(ROW, {"training.rate": 0.25})
ROBUST = renamed(ROW, {"training.rate": 0.3}, "4-1 robust", "it works")
LONG = tuple((10 * (n + 1), 1 / (n + 1)) for n in range(200))


def fill(folder: Path, numbers: range = range(5), seed: int = 0) -> Path:
    """Store trials of a row, a variation, a recipe and old settings, some of them diverged."""
    with Store(folder) as store:
        for experiment in (ROW, VARIED, ROBUST, fakes.experiment(budget=7)):
            store.session(experiment, seed=seed, trials=len(numbers) + 1)
            for n in numbers:
                each = fakes.trial(n, experiment.name, seed, curve=LONG)
                if n % 3 == 2:
                    each = dataclasses.replace(each, ending="diverged", measures={"e": math.inf})
                store.append(each, experiment, instruction_set="plain")
    return folder


def contents(folder: Path, *, curves: bool = True) -> list[tuple]:
    """All columns of all trials, sorted by the primary key."""
    with sqlite3.connect(folder / FILE_NAME) as db:
        rows = db.execute(
            "SELECT experiment, fingerprint, seed, number, ending, sequences, steps, seconds, "
            f"measures, version, instruction_set, ended, kernel{', curve' if curves else ''} "
            "FROM trials ORDER BY experiment, fingerprint, seed, number"
        ).fetchall()
    db.close()
    return rows


def described(folder: Path) -> tuple[list, list]:
    """Holdings and settings of a store."""
    with Store(folder, read_only=True) as store:
        held = store.holdings()
        return held, [store.settings(each.fingerprint) for each in held]


# --- packing -------------------------------------------------------------------------------------


def test_packing_loses_only_points_of_curves(tmp_path):
    fill(tmp_path)
    rows, holdings = contents(tmp_path, curves=False), described(tmp_path)
    before = (tmp_path / FILE_NAME).stat().st_size
    pack(tmp_path)
    assert contents(tmp_path, curves=False) == rows
    assert described(tmp_path) == holdings
    assert (tmp_path / FILE_NAME).stat().st_size < before / 2
    with Store(tmp_path, read_only=True) as store:
        lengths = {
            name: {len(trial.curve) for trial in store.trials(name, fingerprint=mark)}
            for name, mark in ((e.name, fingerprint(e)) for e in (ROW, ROBUST, VARIED))
        }
    assert lengths == {ROW.name: {32}, ROBUST.name: {32}, VARIED.name: {2}}


def test_packing_again_changes_nothing(tmp_path):
    fill(tmp_path)
    pack(tmp_path)
    once = contents(tmp_path)
    pack(tmp_path)
    assert contents(tmp_path) == once


def test_trials_can_be_added_to_a_packed_store(tmp_path):
    fill(tmp_path)
    pack(tmp_path)
    other = varied(ROW, {"training.rate": 0.1})
    new = fakes.trial(9, ROW.name, measures={"wrong": 0.125})
    with Store(tmp_path) as store:
        assert store.append(new, ROW, instruction_set="avx2")
        assert not store.append(dataclasses.replace(new, sequences=1), ROW, instruction_set="avx2")
        store.session(other, seed=3, trials=2)
        assert store.append(fakes.trial(0, other.name, 3), other, instruction_set="avx2")
    with Store(tmp_path, read_only=True) as store:
        assert store.trials(ROW.name, 0, fingerprint(ROW))[-1] == new
        assert store.trials(other.name) == [fakes.trial(0, other.name, 3)]
        (held,) = [each for each in store.holdings() if each.experiment == other.name]
    assert (held.trials, held.asked, held.instruction_sets) == (1, 2, ("avx2",))


def test_packing_does_not_create_a_missing_store(tmp_path):
    with pytest.raises(StoreError, match="holds no trials"):
        pack(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_damaged_store_is_not_changed(tmp_path):
    fill(tmp_path)
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("UPDATE trials SET curve = '[[1' WHERE number = 3")
    db.close()
    before = contents(tmp_path)
    with pytest.raises(StoreError):
        pack(tmp_path)
    assert contents(tmp_path) == before
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (schema.PLAIN,)
    db.close()


# --- merging -------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", ["neither", "target", "source", "both"])
def test_a_merged_store_has_the_trials_of_both(tmp_path, packed):
    target, source = fill(tmp_path / "a", range(3)), fill(tmp_path / "b", range(2, 6))
    fill(source, range(2), seed=8)
    for folder, name in ((target, "target"), (source, "source")):
        if packed in (name, "both"):
            pack(folder)
    theirs = {row[:4]: row for row in contents(source)}
    ours = {row[:4]: row for row in contents(target)}
    sessions = sum(len(described(folder)[0]) for folder in (target, source))
    found = merge(target, source)
    assert found.added == len(theirs.keys() - ours.keys())
    assert found.differing == 0
    assert {row[:4]: row for row in contents(target)} == {**theirs, **ours}
    assert sessions == 4 + 8
    held = {(each.fingerprint, each.seed): each for each in described(target)[0]}
    assert {(each.trials, each.asked) for each in held.values()} == {(6, 6), (2, 3)}
    assert merge(target, source).added == 0


def test_known_trials_with_another_outcome_are_counted_and_kept(tmp_path):
    target, source = fill(tmp_path / "a"), tmp_path / "b"
    with Store(source) as store:
        for n in range(3):
            changed = fakes.trial(n, curve=(), sequences=1) if n else fakes.trial(n)
            store.append(changed, ROW, instruction_set="none")
    before = contents(target)
    found = merge(target, source)
    assert (found.added, found.differing) == (0, 2)
    assert contents(target) == before


def test_a_missing_target_is_created(tmp_path):
    source = fill(tmp_path / "source")
    assert merge(tmp_path / "new", source).added == 20
    assert contents(tmp_path / "new") == contents(source)


def test_merging_needs_two_different_stores(tmp_path):
    target = fill(tmp_path / "a")
    with pytest.raises(SettingError, match="expected another store than target"):
        merge(target, tmp_path / "b" / ".." / "a")
    with pytest.raises(StoreError, match="holds no trials"):
        merge(target, tmp_path / "absent")
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("CREATE TABLE trials (url)")
    db.close()
    before = contents(target)
    with pytest.raises(StoreError, match="another program's database"):
        merge(target, tmp_path)
    assert contents(target) == before


# --- curves --------------------------------------------------------------------------------------

steps = st.lists(st.tuples(st.integers(1, 10**6), st.floats(0.001, 10)), max_size=80)


@given(steps=steps, points=st.integers(1, 40))
def test_a_thinned_curve_keeps_its_end_and_its_mean(steps, points):
    at = np.cumsum([step for step, _ in steps]).tolist()
    curve = [(seen, error) for seen, (_, error) in zip(at, steps, strict=True)]
    short = thinned(curve, points)
    assert len(short) == min(points, len(curve))
    assert thinned(short, points) == short
    if not curve:
        return
    assert short[-1][0] == curve[-1][0]
    assert {seen for seen, _ in short} <= set(at)
    mean, before = (
        np.average([e for _, e in each], weights=np.diff([0, *(s for s, _ in each)]))
        for each in (short, curve)
    )
    np.testing.assert_allclose(mean, before, rtol=5.1e-3)  # half of the third digit of 1.00


def test_nan_in_a_curve_is_kept():
    short = thinned([(1, 0.5), (2, math.nan), (3, 0.25), (4, 0.75)], 2)
    np.testing.assert_array_equal(np.array(short), [[2, math.nan], [4, 0.5]])


# --- the command ---------------------------------------------------------------------------------


def test_the_tool_merges_and_packs(tmp_path, capsys):
    from tools import compact

    one, two = fill(tmp_path / "one"), fill(tmp_path / "two", seed=1)
    assert compact.main([str(tmp_path / "all"), str(one), str(two)]) == 0
    assert "40 trials" in capsys.readouterr().out
    kept = contents(tmp_path / "all", curves=False)
    both = [*contents(one, curves=False), *contents(two, curves=False)]
    assert sorted(kept) == sorted(both)
    assert compact.main([str(tmp_path / "all"), str(tmp_path / "absent")]) == 2
    assert "holds no trials" in capsys.readouterr().err


def test_infinite_measures_are_kept(tmp_path):
    fill(tmp_path)
    pack(tmp_path)
    with Store(tmp_path, read_only=True) as store:
        failed = store.trials(ROBUST.name)[2]
    assert isinstance(failed, Trial)
    assert (failed.ending, failed.measures) == ("diverged", {"e": math.inf})
