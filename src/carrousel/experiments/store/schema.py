"""Tables of stores, plain and packed, and the migration of stores of earlier versions.

A packed store (:mod:`carrousel.experiments.store.packed`) keeps names and fingerprints once. Its
``trials`` is a view with the columns of the plain table and an insert trigger.

Stores of earlier schemas lack columns of trials and sessions (:data:`MISSING`), which have one
value for all their rows. Such a store is migrated when it is opened for writing. When it is only
read, temporary views add the columns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

PLAIN, PACKED = 5, 6
"""Schema versions of plain and packed stores."""
_WITHOUT_CODE = {"code": "''"}
_WITHOUT_KERNEL = {"kernel": "1", **_WITHOUT_CODE}
MISSING: Mapping[int, Mapping[str, str]] = {
    1: _WITHOUT_KERNEL,
    2: _WITHOUT_KERNEL,
    3: _WITHOUT_CODE,
    4: _WITHOUT_CODE,
}
"""Columns that trials and sessions of earlier schemas lack, with the value of all their rows.

Schemas 1 and 2 did not record the version of the kernels, schemas 1 to 4 not the code.
"""
KNOWN = (*MISSING, PLAIN, PACKED)

SETTING_COLUMNS = "fingerprint, experiment, settings"
TRIAL_COLUMNS = (
    "experiment, fingerprint, seed, number, ending, sequences, steps, seconds, measures, curve, "
    "version, instruction_set, ended, kernel, code"
)
SESSION_COLUMNS = "session, fingerprint, seed, asked, seconds, kernel, code"

_RESULT = (
    "ending TEXT NOT NULL, sequences INTEGER NOT NULL, steps INTEGER NOT NULL,"
    " seconds REAL NOT NULL, measures TEXT NOT NULL, curve TEXT NOT NULL,"
    " version TEXT NOT NULL, instruction_set TEXT NOT NULL"
)
_TRIALS = (
    "CREATE TABLE trials (experiment TEXT NOT NULL, fingerprint TEXT NOT NULL REFERENCES settings,"
    f" seed INTEGER NOT NULL, number INTEGER NOT NULL, {_RESULT}, ended TEXT NOT NULL,"
    " kernel INTEGER NOT NULL, code TEXT NOT NULL,"
    " PRIMARY KEY (experiment, fingerprint, seed, number, kernel, code))"
)
_SESSIONS = (
    "CREATE TABLE sessions (session TEXT PRIMARY KEY, fingerprint TEXT NOT NULL"
    " REFERENCES settings (fingerprint), seed INTEGER NOT NULL, asked INTEGER NOT NULL,"
    " seconds REAL NOT NULL, kernel INTEGER NOT NULL, code TEXT NOT NULL)"
)
PLAIN_TABLES = (
    "CREATE TABLE settings (fingerprint TEXT PRIMARY KEY, experiment TEXT NOT NULL,"
    " settings TEXT NOT NULL)",
    _TRIALS,
    _SESSIONS,
)

WEIGHT_COLUMNS = "fingerprint, seed, number, kernel, code, arrays"
WEIGHTS_TABLE = (
    "CREATE TABLE IF NOT EXISTS weights (fingerprint TEXT NOT NULL, seed INTEGER NOT NULL,"
    " number INTEGER NOT NULL, kernel INTEGER NOT NULL, code TEXT NOT NULL, arrays BLOB NOT NULL,"
    " PRIMARY KEY (fingerprint, seed, number, kernel, code))"
)
"""Weights of trials, in plain and packed stores. A store has this table once weights are kept.

Versions of this package that do not know the table leave it alone, so the schema's version is the
same with it. It has no references: packing replaces the table of settings.
"""

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_OUTCOME = (
    "seed, number, ending, sequences, steps, seconds, measures, curve, version, instruction_set"
)
_OUTCOMES = (
    "CREATE TABLE outcomes (setting INTEGER NOT NULL REFERENCES settings, seed INTEGER NOT NULL,"
    f" number INTEGER NOT NULL, {_RESULT}, ended INTEGER NOT NULL, kernel INTEGER NOT NULL,"
    " code TEXT NOT NULL, PRIMARY KEY (setting, seed, number, kernel, code))"
)
_VIEW = (
    f"CREATE VIEW trials AS SELECT experiment, fingerprint, {_OUTCOME},"
    f" strftime('{_TIME}', ended, 'unixepoch') AS ended, kernel, code"
    " FROM outcomes JOIN settings ON settings.id = outcomes.setting",
    "CREATE TRIGGER adding_a_trial INSTEAD OF INSERT ON trials BEGIN INSERT INTO outcomes SELECT"
    f" id, {', '.join(f'NEW.{name}' for name in _OUTCOME.split(', '))},"
    " CAST(strftime('%s', NEW.ended) AS INTEGER), NEW.kernel, NEW.code"
    " FROM settings WHERE fingerprint = NEW.fingerprint; END",
)
PACKED_TABLES = (
    "CREATE TABLE settings (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE,"
    " experiment TEXT NOT NULL, settings TEXT NOT NULL)",
    _OUTCOMES,
    _SESSIONS,
    *_VIEW,
)


_HARMFUL = ("delete", "update", "drop", "attach", "recursive", "load_extension", "replace into")
"""Words that no view or trigger of a store of any version contains."""


def check_objects(db: sqlite3.Connection) -> None:
    """Check that a store has the view and the trigger of packed stores at most.

    A file from elsewhere may contain a trigger that deletes trials, or a view that never ends.

    Raises:
        sqlite3.DatabaseError: it has others.
    """
    own = {(kind, name) for kind, name in (("view", "trials"), ("trigger", "adding_a_trial"))}
    for kind, name, sql in db.execute(
        "SELECT type, name, sql FROM main.sqlite_master WHERE type IN ('view', 'trigger')"
    ):
        words = str(sql).lower()
        if (kind, name) not in own or any(word in words for word in _HARMFUL):
            raise sqlite3.DatabaseError(f"it contains the {kind} {name!r:.80}, which no store has")
        if schema_of(db) == PACKED and sql not in _VIEW:
            raise sqlite3.DatabaseError(f"its {kind} {name!r} is not that of a store")


def schema_of(db: sqlite3.Connection, database: str = "main") -> int:
    """Return the schema version of a database."""
    return int(db.execute(f"PRAGMA {database}.user_version").fetchone()[0])


def columns_in(db: sqlite3.Connection, database: str, columns: str) -> str:
    """Return columns to select from trials or sessions of any schema version."""
    return _filled(columns, MISSING.get(schema_of(db, database), {}))


def has_weights(db: sqlite3.Connection, database: str = "main") -> bool:
    """Return whether a database has the table of weights.

    Raises:
        sqlite3.DatabaseError: the table has other columns.
    """
    found = [row[1] for row in db.execute(f"PRAGMA {database}.table_info(weights)")]
    if found and found != WEIGHT_COLUMNS.split(", "):
        raise sqlite3.DatabaseError(f"the table of weights has the columns {', '.join(found)}")
    return bool(found)


def view_as_current(db: sqlite3.Connection) -> None:
    """Hide the tables of an earlier schema behind temporary views with all columns."""
    missing = MISSING.get(schema_of(db))
    if missing is not None:
        db.execute("PRAGMA temp_store = MEMORY")
        added = _filled(", ".join(missing), missing)
        for table in ("trials", "sessions"):
            db.execute(f"CREATE TEMP VIEW {table} AS SELECT *, {added} FROM main.{table}")


def migrate(db: sqlite3.Connection) -> bool:
    """Bring a store of an earlier schema to the current one, inside a transaction.

    Returns:
        whether it was of an earlier schema. Its file then holds free pages, which VACUUM removes.
    """
    schema = schema_of(db)
    missing = MISSING.get(schema)
    if missing is None:
        return False
    packed = schema % 2 == 0
    if packed:
        db.execute("DROP VIEW trials")  # and its trigger
        _rebuild(db, "outcomes", _OUTCOMES, f"setting, {_OUTCOME}, ended, kernel, code", missing)
        for statement in _VIEW:
            db.execute(statement)
    else:
        _rebuild(db, "trials", _TRIALS, TRIAL_COLUMNS, missing)
    _rebuild(db, "sessions", _SESSIONS, SESSION_COLUMNS, missing)
    db.execute(f"PRAGMA user_version = {PACKED if packed else PLAIN}")
    return True


def _rebuild(
    db: sqlite3.Connection, table: str, statement: str, columns: str, missing: Mapping[str, str]
) -> None:
    """Create a table again, with the columns that it lacks."""
    db.execute(f"ALTER TABLE {table} RENAME TO earlier_{table}")
    db.execute(statement)
    filled = _filled(columns, missing)
    db.execute(f"INSERT INTO {table} ({columns}) SELECT {filled} FROM earlier_{table}")
    db.execute(f"DROP TABLE earlier_{table}")


def _filled(columns: str, missing: Mapping[str, str]) -> str:
    """Replace the names of missing columns by their values."""
    names = columns.split(", ")
    return ", ".join(f"{missing[each]} AS {each}" if each in missing else each for each in names)
