"""Stores of earlier schemas are read as they are, migrated when opened for writing, and merged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from carrousel.experiments.store import schema
from carrousel.experiments.store.packed import MergeResult, merge, pack
from carrousel.experiments.store.settings import canonical, fingerprint, settings_of
from carrousel.experiments.store.store import FILE_NAME, Store
from support.experiments import fakes

ROW = fakes.experiment()

SESSIONS = """CREATE TABLE sessions (session TEXT PRIMARY KEY, fingerprint TEXT NOT NULL
    REFERENCES settings (fingerprint), seed INTEGER NOT NULL, asked INTEGER NOT NULL,
    seconds REAL NOT NULL)"""
RESULT = """ending TEXT NOT NULL, sequences INTEGER NOT NULL, steps INTEGER NOT NULL,
    seconds REAL NOT NULL, measures TEXT NOT NULL, curve TEXT NOT NULL, version TEXT NOT NULL,
    instruction_set TEXT NOT NULL"""
EARLIER: dict[int, tuple[str, ...]] = {
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
WITH_KERNEL = {
    "seconds REAL NOT NULL)": "seconds REAL NOT NULL, kernel INTEGER NOT NULL)",
    "ended TEXT NOT NULL,": "ended TEXT NOT NULL, kernel INTEGER NOT NULL,",
    "ended INTEGER NOT NULL,": "ended INTEGER NOT NULL, kernel INTEGER NOT NULL,",
    "number))": "number, kernel))",
    "AS ended\n": "AS ended, kernel\n",
    "AS INTEGER) FROM": "AS INTEGER), NEW.kernel FROM",
}
"""What they had instead in schemas 3 and 4, which did not record the code."""


def with_kernel(statement: str) -> str:
    for before, after in WITH_KERNEL.items():
        statement = statement.replace(before, after)
    return statement


for plain_or_packed in (1, 2):
    EARLIER[plain_or_packed + 2] = tuple(map(with_kernel, EARLIER[plain_or_packed]))
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
            row += ("0.1.0", "avx2", "2025-03-01T10:20:30Z", *[1][: version > 2])
            db.execute(f"INSERT INTO trials VALUES ({','.join('?' * len(row))})", row)
        kernel = ", 1" if version > 2 else ""
        db.execute(f"INSERT INTO sessions VALUES ('s', ?, 0, 4, 2.5{kernel})", (mark,))
    return folder


def numbers(folder: Path) -> dict[int, int]:
    with Store(folder, read_only=True) as store:
        return {each.kernel: each.trials for each in store.holdings()}


def contents(store: Store) -> tuple:
    trials = store.trials(ROW.name, kernel=1, code="")
    held = [each for each in store.holdings() if (each.kernel, each.code) == (1, "")]
    return trials, [(each.trials, each.asked, each.seconds, each.versions) for each in held]


@pytest.mark.parametrize("version", EARLIER)
def test_earlier_stores_are_read_and_migrated(tmp_path, version):
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
        assert schema.schema_of(db) == {1: schema.PLAIN, 0: schema.PACKED}[version % 2]
        assert db.execute(
            "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%earlier%'"
        ).fetchone() == (0,)
        dates = db.execute(
            "SELECT DISTINCT ended, instruction_set, kernel, code FROM trials"
        ).fetchall()
        assert dates == [("2025-03-01T10:20:30Z", "avx2", 1, "")]
        assert db.execute("PRAGMA freelist_count").fetchone() == (0,)
    with Store(folder) as store:
        assert store.append(fakes.trial(0), ROW, instruction_set="plain", kernel=2)
        assert store.trials(ROW.name, kernel=2) == [fakes.trial(0)]
        assert contents(store) == read
    pack(folder)
    with Store(folder, read_only=True) as store:
        assert contents(store) == read
    assert numbers(folder) == {1: 2, 2: 1}


@pytest.mark.parametrize("version", EARLIER)
def test_earlier_stores_can_be_merged(tmp_path, version):
    source, target = write_earlier(tmp_path / "old", version), tmp_path / "new"
    with Store(target) as store:
        changed = fakes.trial(0, sequences=8, steps=77)
        store.append(changed, ROW, instruction_set="plain", kernel=1, code="")
        for number in range(2):
            store.append(fakes.trial(number), ROW, instruction_set="plain", kernel=2)
    assert merge(target, source) == MergeResult(added=1, differing=1)
    assert numbers(target) == {1: 2, 2: 2}
    with Store(source, read_only=True) as store:  # the source is not changed
        assert schema.schema_of(store._db) == version


@pytest.mark.parametrize("version", EARLIER)
def test_a_failed_migration_leaves_the_store_as_it_was(tmp_path, version, monkeypatch):
    folder = write_earlier(tmp_path / "runs", version)
    monkeypatch.setattr(schema, "SESSION_COLUMNS", "no_such_column")
    with pytest.raises(Exception, match="no_such_column"):
        Store(folder)
    monkeypatch.undo()
    with Store(folder, read_only=True) as store:
        assert schema.schema_of(store._db) == version
        assert [trial.steps for trial in contents(store)[0]] == list(KNOWN.values())
