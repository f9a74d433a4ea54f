"""Versions of the kernels: trials of two versions are kept apart, in new and in migrated stores."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from carrousel.errors import SettingError
from carrousel.experiments.report.collect import collect, stored
from carrousel.experiments.report.table import footnotes, provenance
from carrousel.experiments.run import runner
from carrousel.experiments.run.lanes import Share, advance
from carrousel.experiments.run.runner import run
from carrousel.experiments.run.trial import TrialPlan
from carrousel.experiments.stopping import RecentTraining
from carrousel.experiments.store import schema
from carrousel.experiments.store.packed import MergeResult, merge, pack, trials_in
from carrousel.experiments.store.settings import canonical, fingerprint, settings_of
from carrousel.experiments.store.store import FILE_NAME, Store
from carrousel.experiments.study.study import find
from carrousel.experiments.study.table import notes
from carrousel.kernels import KERNEL_VERSION
from support.experiments import fakes
from support.experiments.scripted import ScriptedLearner, experiment

NOW, NEXT = KERNEL_VERSION, KERNEL_VERSION + 1
ROW = fakes.experiment()


def put(store: Store, numbers: range, kernel: int) -> None:
    for number in numbers:
        trial = fakes.trial(number, steps=kernel)
        assert store.append(trial, ROW, instruction_set="plain", kernel=kernel)


def counts(folder: Path) -> dict[int, int]:
    with Store(folder, read_only=True) as store:
        return {each.kernel: each.trials for each in store.holdings()}


# --- several versions in one store ----------------------------------------------------------------


def test_versions_are_kept_side_by_side(tmp_path):
    with Store(tmp_path) as store:
        put(store, range(3), NEXT)
        put(store, range(2), NOW)
        for kernel, number in ((NOW, 2), (NEXT, 3)):
            found = store.trials(ROW.name, 0, fingerprint(ROW), kernel)
            assert [trial.steps for trial in found] == [kernel] * number
        assert not store.append(fakes.trial(0), ROW, instruction_set="plain")
        assert [trial.steps for trial in store.trials(ROW.name)] == [NOW] * 2
        old = store.session(ROW, seed=0, trials=9, kernel=NEXT)
        store.add_seconds({old: 5.0})
        asked = {each.kernel: (each.trials, each.asked, each.seconds) for each in store.holdings()}
    assert asked == {NOW: (2, 2, 0.0), NEXT: (3, 9, 5.0)}


def test_a_run_does_not_use_trials_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "learner_named", lambda name: ScriptedLearner)
    row = experiment()
    with Store(tmp_path) as store:
        for number in range(3):
            wrong = fakes.trial(number, row.name, seed=5, sequences=1)
            store.append(wrong, row, instruction_set="plain", kernel=NEXT)
        found = run(row, trials=3, seed=5, store=store)
        assert all(trial.sequences > 1 for trial in found)
        assert store.trials(row.name, 5) == found
        assert [each.sequences for each in store.trials(row.name, 5, kernel=NEXT)] == [1] * 3
        entry = stored(store, row, 5, 3)
    assert (entry.kernel, dict(entry.others), len(entry.trials)) == (NOW, {NEXT: 3}, 3)
    assert entry.notes == [f"not counted: 3 trials that kernels of version {NEXT} ran"]
    assert entry.as_json()["trials_of_other_kernels"] == {str(NEXT): 3}


def test_a_paused_trial_of_another_version_is_not_continued():
    never = experiment(RecentTraining(window=50_000))
    share = Share({0: TrialPlan(never, ScriptedLearner, seed=1)}, pending=[(0, 0)])
    [paused] = advance(share, seconds=0.0).paused
    paused.kernel = NEXT
    with pytest.raises(SettingError, match=f"kernel is {NEXT}, expected {NOW}"):
        advance(Share(share.plans, [paused]), seconds=0.0)


@pytest.mark.parametrize("kernel", [NOW - 1, NOW])
def test_reports_and_studies_show_the_newest_version_and_count_the_others(tmp_path, kernel):
    """Trials of an earlier version are shown with a label until the present one has run."""
    with Store(tmp_path) as store:
        put(store, range(4), kernel - 1)
        put(store, range(3), kernel)
        store.session(ROW, seed=0, trials=7)  # has not ended a trial of the present version
        report, study = collect(store, {ROW.name: ROW}), find(store, ROW)
    [entry] = report.entries
    [variation] = study.variations
    for one in (entry, variation):
        assert (one.kernel, dict(one.others)) == (kernel, {kernel - 1: 4})
        assert [trial.steps for trial in one.trials] == [kernel] * 3
    assert variation.as_json()["kernel"] == kernel
    assert f"kernels of version {kernel}, " in provenance(report.entries)
    for lines in (footnotes(report), notes(study)):
        text = "\n".join(lines).lower()
        assert f"not counted: 4 trials that kernels of version {kernel - 1} ran" in text
        label = f"all trials were run by kernels of version {kernel}. trials of version"
        assert (label in text) == (kernel != NOW)


@pytest.mark.parametrize("packed", [False, True])
def test_merging_and_packing_keep_versions_apart(tmp_path, packed):
    target, source = tmp_path / "a", tmp_path / "b"
    with Store(target) as store:
        put(store, range(2), NOW)
    with Store(source) as store:
        put(store, range(1, 4), NEXT)
        put(store, range(1), NOW)
    if packed:
        pack(target)
    assert merge(target, source) == MergeResult(added=3, differing=0)
    pack(target)
    assert trials_in(target) == {NOW: 2, NEXT: 3}


# --- stores without versions ----------------------------------------------------------------------

SESSIONS = """CREATE TABLE sessions (session TEXT PRIMARY KEY, fingerprint TEXT NOT NULL
    REFERENCES settings (fingerprint), seed INTEGER NOT NULL, asked INTEGER NOT NULL,
    seconds REAL NOT NULL)"""
RESULT = """ending TEXT NOT NULL, sequences INTEGER NOT NULL, steps INTEGER NOT NULL,
    seconds REAL NOT NULL, measures TEXT NOT NULL, curve TEXT NOT NULL, version TEXT NOT NULL,
    instruction_set TEXT NOT NULL"""
EARLIER = {
    1: (
        "CREATE TABLE settings (fingerprint TEXT PRIMARY KEY, experiment TEXT NOT NULL,"
        " settings TEXT NOT NULL)",
        f"""CREATE TABLE trials (experiment TEXT NOT NULL, fingerprint TEXT NOT NULL
        REFERENCES settings, seed INTEGER NOT NULL, number INTEGER NOT NULL, {RESULT},
        ended TEXT NOT NULL, PRIMARY KEY (experiment, fingerprint, seed, number))""",
        SESSIONS,
    ),
    2: (
        "CREATE TABLE settings (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE,"
        " experiment TEXT NOT NULL, settings TEXT NOT NULL)",
        f"""CREATE TABLE outcomes (setting INTEGER NOT NULL REFERENCES settings,
        seed INTEGER NOT NULL, number INTEGER NOT NULL, {RESULT}, ended INTEGER NOT NULL,
        PRIMARY KEY (setting, seed, number))""",
        SESSIONS,
        """CREATE VIEW trials AS SELECT experiment, fingerprint, seed, number, ending, sequences,
        steps, seconds, measures, curve, version, instruction_set,
        strftime('%Y-%m-%dT%H:%M:%SZ', ended, 'unixepoch') AS ended
        FROM outcomes JOIN settings ON settings.id = outcomes.setting""",
        """CREATE TRIGGER adding_a_trial INSTEAD OF INSERT ON trials BEGIN INSERT INTO outcomes
        SELECT id, NEW.seed, NEW.number, NEW.ending, NEW.sequences, NEW.steps, NEW.seconds,
        NEW.measures, NEW.curve, NEW.version, NEW.instruction_set,
        CAST(strftime('%s', NEW.ended) AS INTEGER) FROM settings
        WHERE fingerprint = NEW.fingerprint; END""",
    ),
}
"""Tables of the schemas that did not record versions of the kernels."""
KNOWN = {0: 77, 1: 78}
"""Steps of the trials in such a store, by number."""


def write_earlier(folder: Path, version: int) -> Path:
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE_NAME)) as db, db:
        for statement in EARLIER[version]:
            db.execute(statement)
        db.execute("PRAGMA application_id = 0x43415252")
        db.execute(f"PRAGMA user_version = {version}")
        mark = fingerprint(ROW)
        db.execute(
            "INSERT INTO settings (fingerprint, experiment, settings) VALUES (?, ?, ?)",
            (mark, ROW.name, canonical(settings_of(ROW))),
        )
        for number, steps in KNOWN.items():
            row = (ROW.name, mark, 0, number, "solved", 7, steps, 0.5, '{"e":0.25}', "[[7,0.5]]")
            row += ("0.1.0", "avx2", "2025-03-01T10:20:30Z")
            db.execute(f"INSERT INTO trials VALUES ({','.join('?' * len(row))})", row)
        db.execute("INSERT INTO sessions VALUES ('s', ?, 0, 4, 2.5)", (mark,))
    return folder


def contents(store: Store) -> tuple:
    trials = store.trials(ROW.name, kernel=1)
    held = [each for each in store.holdings() if each.kernel == 1]
    return trials, [(each.trials, each.asked, each.seconds, each.versions) for each in held]


@pytest.mark.parametrize("version", EARLIER)
def test_stores_without_versions_are_read_and_migrated(tmp_path, version):
    folder = write_earlier(tmp_path / "runs", version)
    before = (folder / FILE_NAME).read_bytes()
    with Store(folder, read_only=True) as store:
        read = contents(store)
    assert (folder / FILE_NAME).read_bytes() == before
    assert [trial.steps for trial in read[0]] == list(KNOWN.values())
    assert read[1] == [(2, 4, 2.5, ("0.1.0",))]
    for _ in range(2):  # the second time, nothing is left to do
        with Store(folder) as store:
            assert contents(store) == read
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        assert schema.schema_of(db) == schema.WITHOUT_KERNEL[version]
        assert db.execute(
            "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%earlier%'"
        ).fetchone() == (0,)
        dates = db.execute("SELECT DISTINCT ended, instruction_set, kernel FROM trials").fetchall()
        assert dates == [("2025-03-01T10:20:30Z", "avx2", 1)]
    with Store(folder) as store:
        assert store.append(fakes.trial(0), ROW, instruction_set="plain", kernel=2)
        assert store.trials(ROW.name, kernel=2) == [fakes.trial(0)]
        assert contents(store) == read
    pack(folder)
    with Store(folder, read_only=True) as store:
        assert contents(store) == read
    assert counts(folder) == {1: 2, 2: 1}


@pytest.mark.parametrize("version", EARLIER)
def test_stores_without_versions_can_be_merged(tmp_path, version):
    source, target = write_earlier(tmp_path / "old", version), tmp_path / "new"
    with Store(target) as store:
        changed = fakes.trial(0, sequences=8, steps=77)
        store.append(changed, ROW, instruction_set="plain", kernel=1)
        put(store, range(2), 2)
    assert merge(target, source) == MergeResult(added=1, differing=1)
    assert counts(target) == {1: 2, 2: 2}
    with Store(source, read_only=True) as store:  # the source is not changed
        assert schema.schema_of(store._db) == version


@pytest.mark.parametrize("version", EARLIER)
def test_a_failed_migration_leaves_the_store_as_it_was(tmp_path, version, monkeypatch):
    folder = write_earlier(tmp_path / "runs", version)
    monkeypatch.setattr(schema, "SESSION_COLUMNS", "no_such_column, kernel")
    with pytest.raises(Exception, match="no_such_column"):
        Store(folder)
    monkeypatch.undo()
    with Store(folder, read_only=True) as store:
        assert schema.schema_of(store._db) == version
        assert [trial.steps for trial in contents(store)[0]] == list(KNOWN.values())
