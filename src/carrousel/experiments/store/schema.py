"""Tables of stores, plain and packed, and the migration of stores of earlier versions.

A packed store (:mod:`carrousel.experiments.store.packed`) keeps names and fingerprints once. Its
``trials`` is a view with the columns of the plain table and an insert trigger.

Schemas 1 and 2 did not record the version of the kernels; all their trials are of version 1. A
store of these schemas is migrated when it is opened for writing. When it is only read, temporary
views add the version.
"""

from __future__ import annotations

import sqlite3

PLAIN, PACKED = 3, 4
"""Schema versions of plain and packed stores."""
WITHOUT_KERNEL = {1: PLAIN, 2: PACKED}
"""Earlier schema versions, and those they are migrated to."""
KNOWN = (*WITHOUT_KERNEL, PLAIN, PACKED)

SETTING_COLUMNS = "fingerprint, experiment, settings"
TRIAL_COLUMNS = (
    "experiment, fingerprint, seed, number, ending, sequences, steps, seconds, measures, curve, "
    "version, instruction_set, ended, kernel"
)
SESSION_COLUMNS = "session, fingerprint, seed, asked, seconds, kernel"

_RESULT = (
    "ending TEXT NOT NULL, sequences INTEGER NOT NULL, steps INTEGER NOT NULL,"
    " seconds REAL NOT NULL, measures TEXT NOT NULL, curve TEXT NOT NULL,"
    " version TEXT NOT NULL, instruction_set TEXT NOT NULL"
)
_TRIALS = (
    "CREATE TABLE trials (experiment TEXT NOT NULL, fingerprint TEXT NOT NULL REFERENCES settings,"
    f" seed INTEGER NOT NULL, number INTEGER NOT NULL, {_RESULT}, ended TEXT NOT NULL,"
    " kernel INTEGER NOT NULL,"
    " PRIMARY KEY (experiment, fingerprint, seed, number, kernel))"
)
_SESSIONS = (
    "CREATE TABLE sessions (session TEXT PRIMARY KEY, fingerprint TEXT NOT NULL"
    " REFERENCES settings (fingerprint), seed INTEGER NOT NULL, asked INTEGER NOT NULL,"
    " seconds REAL NOT NULL, kernel INTEGER NOT NULL)"
)
PLAIN_TABLES = (
    "CREATE TABLE settings (fingerprint TEXT PRIMARY KEY, experiment TEXT NOT NULL,"
    " settings TEXT NOT NULL)",
    _TRIALS,
    _SESSIONS,
)

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_OUTCOME = (
    "seed, number, ending, sequences, steps, seconds, measures, curve, version, instruction_set"
)
_OUTCOMES = (
    "CREATE TABLE outcomes (setting INTEGER NOT NULL REFERENCES settings, seed INTEGER NOT NULL,"
    f" number INTEGER NOT NULL, {_RESULT}, ended INTEGER NOT NULL, kernel INTEGER NOT NULL,"
    " PRIMARY KEY (setting, seed, number, kernel))"
)
_VIEW = (
    f"CREATE VIEW trials AS SELECT experiment, fingerprint, {_OUTCOME},"
    f" strftime('{_TIME}', ended, 'unixepoch') AS ended, kernel"
    " FROM outcomes JOIN settings ON settings.id = outcomes.setting",
    "CREATE TRIGGER adding_a_trial INSTEAD OF INSERT ON trials BEGIN INSERT INTO outcomes SELECT"
    f" id, {', '.join(f'NEW.{name}' for name in _OUTCOME.split(', '))},"
    " CAST(strftime('%s', NEW.ended) AS INTEGER), NEW.kernel"
    " FROM settings WHERE fingerprint = NEW.fingerprint; END",
)
PACKED_TABLES = (
    "CREATE TABLE settings (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE,"
    " experiment TEXT NOT NULL, settings TEXT NOT NULL)",
    _OUTCOMES,
    _SESSIONS,
    *_VIEW,
)


def schema_of(db: sqlite3.Connection, database: str = "main") -> int:
    """Return the schema version of a database."""
    return int(db.execute(f"PRAGMA {database}.user_version").fetchone()[0])


def columns_in(db: sqlite3.Connection, database: str, columns: str) -> str:
    """Return columns to select from trials or sessions of any schema version."""
    if schema_of(db, database) in WITHOUT_KERNEL:
        return columns.replace(", kernel", ", 1")
    return columns


def view_as_current(db: sqlite3.Connection) -> None:
    """Hide the tables of an earlier schema behind temporary views with all columns."""
    if schema_of(db) in WITHOUT_KERNEL:
        db.execute("PRAGMA temp_store = MEMORY")
        for table in ("trials", "sessions"):
            db.execute(f"CREATE TEMP VIEW {table} AS SELECT *, 1 AS kernel FROM main.{table}")


def migrate(db: sqlite3.Connection) -> None:
    """Bring a store of an earlier schema to the current one, inside a transaction."""
    schema = schema_of(db)
    if schema not in WITHOUT_KERNEL:
        return
    if WITHOUT_KERNEL[schema] == PACKED:
        db.execute("DROP VIEW trials")  # and its trigger
        _rebuild(db, "outcomes", _OUTCOMES, f"setting, {_OUTCOME}, ended")
        for statement in _VIEW:
            db.execute(statement)
    else:
        _rebuild(db, "trials", _TRIALS, TRIAL_COLUMNS.removesuffix(", kernel"))
    _rebuild(db, "sessions", _SESSIONS, SESSION_COLUMNS.removesuffix(", kernel"))
    db.execute(f"PRAGMA user_version = {WITHOUT_KERNEL[schema]}")


def _rebuild(db: sqlite3.Connection, table: str, statement: str, columns: str) -> None:
    """Create a table again with the version of the kernels, which is 1 for all its rows."""
    db.execute(f"ALTER TABLE {table} RENAME TO earlier_{table}")
    db.execute(statement)
    db.execute(f"INSERT INTO {table} ({columns}, kernel) SELECT {columns}, 1 FROM earlier_{table}")
    db.execute(f"DROP TABLE earlier_{table}")
