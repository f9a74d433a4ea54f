"""A store of trials: one SQLite file to which every ended trial is added in one transaction.

The file is ``trials.sqlite`` in the store's folder. It keeps a rollback journal (journal mode
DELETE) rather than a write-ahead log: a trial ends every few seconds at most, so the log's speed
buys nothing, while a journal leaves one single file that can be copied, lies safely on network
drives, and can be read from a folder that cannot be written. ``synchronous = EXTRA`` is FULL plus a
sync of the folder once the journal is gone: an acknowledged trial survives a power cut too.

A store that is kept for good can be packed (:mod:`carrousel.experiments.store.packed`): its
``trials`` are then a view of smaller tables, which is read and added to like the table.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from carrousel.contracts import Experiment, Trial
from carrousel.errors import SettingError, StoreError
from carrousel.experiments.store.settings import canonical, fingerprint, settings_of

FILE_NAME = "trials.sqlite"

_APPLICATION_ID = 0x43415252  # "CARR": tells a store from other programs' databases
_SCHEMA_VERSION = 1
PACKED_VERSION = 2
"""Schema of a packed store."""
_SCHEMA = """
CREATE TABLE settings (
    fingerprint TEXT PRIMARY KEY, experiment TEXT NOT NULL, settings TEXT NOT NULL);
CREATE TABLE trials (
    experiment TEXT NOT NULL, fingerprint TEXT NOT NULL REFERENCES settings, seed INTEGER NOT NULL,
    number INTEGER NOT NULL, ending TEXT NOT NULL, sequences INTEGER NOT NULL,
    steps INTEGER NOT NULL, seconds REAL NOT NULL, measures TEXT NOT NULL, curve TEXT NOT NULL,
    version TEXT NOT NULL, instruction_set TEXT NOT NULL, ended TEXT NOT NULL,
    PRIMARY KEY (experiment, fingerprint, seed, number));
CREATE TABLE sessions (
    session TEXT PRIMARY KEY, fingerprint TEXT NOT NULL REFERENCES settings,
    seed INTEGER NOT NULL, asked INTEGER NOT NULL, seconds REAL NOT NULL);
"""

_ADVICE = {
    sqlite3.SQLITE_FULL: "no room is left on the disk; free some and start again, "
    "trials that had ended are kept",
    sqlite3.SQLITE_READONLY: "it cannot be written; choose a folder you may write to",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened for writing; choose a folder you may write to",
    sqlite3.SQLITE_PERM: "it may not be opened; choose a folder you may write to",
    sqlite3.SQLITE_NOTADB: "it is not a store of trials; choose another folder",
    sqlite3.SQLITE_CORRUPT: "it is damaged; move it away and start again (the command "
    "'sqlite3 trials.sqlite .recover' may save trials from it)",
    sqlite3.SQLITE_BUSY: "another process keeps it locked; wait for that one, "
    "or choose another folder",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write it; check the disk, "
    "or choose another folder",
}
_UNFINISHED = (
    "an interrupted write must be undone before it can be read, and its folder cannot be "
    "written; copy the folder to a place you may write to"
)
_READONLY_ROLLBACK = sqlite3.SQLITE_READONLY | (3 << 8)


@dataclass(frozen=True)
class Holding:
    """What a store holds of one experiment with one fingerprint under one seed.

    Args:
        experiment: its name.
        fingerprint: of the settings its trials ran with.
        seed: seed of the run.
        trials: number of trials that ended.
        asked: number of trials that were asked for, at most, in any session.
        seconds: wall time of all sessions; one that was killed counts up to its last trial.
        versions: versions of the package that ran them.
        instruction_sets: instruction sets that they ran with.
    """

    experiment: str
    fingerprint: str
    seed: int
    trials: int
    asked: int
    seconds: float
    versions: tuple[str, ...]
    instruction_sets: tuple[str, ...]


class Store:
    """Trials in ``folder/trials.sqlite``, safe against being killed at any moment.

    Args:
        folder: made when it does not exist.
        read_only: look only; the file must exist.
        patience: seconds to wait while another process writes.

    Raises:
        StoreError: here and in every method: the file is missing, damaged, not a store, of another
            version, locked for longer than ``patience``, or cannot be written.

    One object may be used by several threads, and one folder by several processes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Store(folder) as store:
    ...     store.holdings()
    []
    """

    def __init__(
        self, folder: str | Path, *, read_only: bool = False, patience: float = 60.0
    ) -> None:
        self.path = Path(folder).absolute() / FILE_NAME
        self.read_only = read_only
        self._lock = threading.RLock()
        self._session: tuple[str, float] | None = None
        if read_only and not self.path.is_file():
            raise StoreError(f"{folder} holds no trials: there is no {FILE_NAME} in it")
        try:
            if not read_only:
                self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{folder} cannot be made ({error.strerror}); choose a folder you may write to"
            ) from error
        with self._explained():
            # "rw" also opens a write-protected file, and can undo an interrupted write if not
            mode = "rw" if read_only else "rwc"
            self._db = sqlite3.connect(
                f"{self.path.as_uri()}?mode={mode}",
                uri=True,
                timeout=patience,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        with self._explained():
            self._db.execute("PRAGMA synchronous = EXTRA")
            self._db.execute("PRAGMA foreign_keys = ON")
            if self.read_only:
                self._db.execute("PRAGMA query_only = ON")
                if self._is_new():
                    raise StoreError(f"{self.path} holds no trials yet")
            elif self._is_new():
                self._create()
            else:  # writing to page one tells at once, not after an hour, whether one may
                with self.writing() as db:
                    schema = db.execute("PRAGMA user_version").fetchone()[0]
                    db.execute(f"PRAGMA user_version = {schema}")
            if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise StoreError(f"{self.path}: {_ADVICE[sqlite3.SQLITE_CORRUPT]}")

    def _is_new(self) -> bool:
        """Whether the file is empty; if it is not, it must be a store that we can read."""
        found = self._db.execute("PRAGMA application_id").fetchone()[0]
        schema = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if found == 0 and schema == 0 and tables == 0:
            return True
        if found != _APPLICATION_ID:
            raise StoreError(
                f"{self.path}: it is another program's database; choose another folder"
            )
        if schema not in (_SCHEMA_VERSION, PACKED_VERSION):
            raise StoreError(
                f"{self.path} was written by another version of carrousel (schema {schema}, this "
                f"one has {_SCHEMA_VERSION} and {PACKED_VERSION}); use that version, or choose "
                "another folder"
            )
        return False

    def _create(self) -> None:
        with self.writing() as db:
            if self._is_new():  # nobody else made it while we waited for the lock
                for statement in _SCHEMA.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; everything acknowledged is already on disk."""
        self._db.close()

    def append(self, trial: Trial, experiment: Experiment, *, instruction_set: str) -> bool:
        """Add an ended trial; once this returns, it survives whatever happens.

        Args:
            trial: the outcome.
            experiment: what it is a trial of; its settings are stored along.
            instruction_set: what the kernels ran with, e.g. ``"avx2"``.

        Returns:
            Whether it was added: a trial that is already there stays as it is.
        """
        if trial.experiment != experiment.name:
            raise SettingError(f"a trial of {trial.experiment!r} is not one of {experiment.name!r}")
        mark = fingerprint(experiment)
        row = (
            *(trial.experiment, mark, int(trial.seed), int(trial.index), trial.ending),
            *(int(trial.sequences), int(trial.steps), float(trial.seconds)),
            canonical({name: float(value) for name, value in trial.measures.items()}),
            canonical([(int(seen), float(error)) for seen, error in trial.curve]),
            *(version("carrousel"), instruction_set),
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )
        with self.writing() as db:
            self._register(experiment, mark)
            known = db.execute(  # a view knows no upsert
                "SELECT count(*) FROM trials WHERE experiment = ? AND fingerprint = ? "
                "AND seed = ? AND number = ?",
                row[:4],
            ).fetchone()[0]
            if not known:
                db.execute(f"INSERT INTO trials VALUES ({','.join('?' * len(row))})", row)
            self._clock()
        return not known

    def trials(
        self, name: str, seed: int | None = None, fingerprint: str | None = None
    ) -> list[Trial]:
        """The stored trials of an experiment, in order of seed and index.

        Args:
            name: the experiment's name.
            seed: of one run only.
            fingerprint: of one set of settings only (:func:`fingerprint`). Without it, trials that
                ran with different settings are an error: they are never mixed.
        """
        if fingerprint is None:
            marks = {each.fingerprint for each in self.holdings() if each.experiment == name}
            if len(marks) > 1:
                raise StoreError(
                    f"{self.path} holds trials of {name!r} with {len(marks)} different settings; "
                    "say which: " + ", ".join(sorted(mark[:12] for mark in marks))
                )
        wanted = {"experiment": name, "fingerprint": fingerprint, "seed": seed}
        given = {column: value for column, value in wanted.items() if value is not None}
        with self._lock, self._explained():
            rows = self._db.execute(
                "SELECT experiment, number, seed, ending, sequences, steps, seconds, measures, "
                f"curve FROM trials WHERE {' AND '.join(f'{column} = ?' for column in given)} "
                "ORDER BY seed, number",
                tuple(given.values()),
            ).fetchall()
        try:
            return [_trial(*row) for row in rows]
        except (ValueError, TypeError) as error:  # no row of ours reads like this
            advice = _ADVICE[sqlite3.SQLITE_CORRUPT]
            raise StoreError(f"{self.path}: {advice}") from error

    def holdings(self) -> list[Holding]:
        """What the store holds, by experiment, fingerprint and seed; also of runs not yet ended."""
        with self._lock, self._explained():
            rows = self._db.execute(
                "SELECT experiment, fingerprint, seed, sum(ended), max(asked), sum(seconds), "
                "group_concat(version), group_concat(instruction_set) FROM ("
                " SELECT experiment, fingerprint, seed, count(*) AS ended, 0 AS asked,"
                "  0.0 AS seconds, version, instruction_set FROM trials"
                "  GROUP BY experiment, fingerprint, seed, version, instruction_set"
                " UNION ALL"
                " SELECT experiment, fingerprint, seed, 0, asked, seconds, NULL, NULL"
                "  FROM sessions JOIN settings USING (fingerprint)"
                ") GROUP BY experiment, fingerprint, seed ORDER BY experiment, fingerprint, seed"
            ).fetchall()
        return [
            Holding(name, mark, seed, ended, max(ended, asked), seconds, _names(by), _names(sets))
            for name, mark, seed, ended, asked, seconds, by, sets in rows
        ]

    def settings(self, fingerprint: str) -> dict[str, Any]:
        """The settings with this fingerprint, as :func:`settings_of` wrote them down."""
        with self._lock, self._explained():
            row = self._db.execute(
                "SELECT settings FROM settings WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
            if row is None:
                raise StoreError(f"{self.path} holds no settings with fingerprint {fingerprint}")
            return json.loads(row[0])

    @contextmanager
    def session(self, experiment: Experiment, *, seed: int, trials: int) -> Iterator[None]:
        """Note that trials were asked for, and the wall time spent on them inside the ``with``.

        The time is brought up to date with every trial that ends, so a killed session is not lost.
        """
        mark, name = fingerprint(experiment), uuid.uuid4().hex
        with self.writing() as db:
            self._register(experiment, mark)
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, 0.0)", (name, mark, int(seed), trials)
            )
        self._session = (name, time.monotonic())
        try:
            yield
        except BaseException:
            with suppress(StoreError):  # it must not hide what went wrong inside
                self._end_session()
            raise
        self._end_session()

    def _end_session(self) -> None:
        try:
            with self.writing():
                self._clock()
        finally:
            self._session = None

    def _clock(self) -> None:
        if self._session is not None:
            name, began = self._session
            seconds = time.monotonic() - began
            self._db.execute("UPDATE sessions SET seconds = ? WHERE session = ?", (seconds, name))

    def _register(self, experiment: Experiment, mark: str) -> None:
        self._db.execute(
            "INSERT INTO settings (fingerprint, experiment, settings) VALUES (?, ?, ?) "
            "ON CONFLICT (fingerprint) DO NOTHING",
            (mark, experiment.name, canonical(settings_of(experiment))),
        )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; it takes the write lock at its start, so it waits instead of failing.

        For modules beside this one, which know the tables.
        """
        with self._lock, self._explained():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._db.execute("ROLLBACK")
                raise

    def alone(self, statement: str, *values: object) -> None:
        """Run a statement that can be part of no transaction, as VACUUM; for the same modules."""
        with self._lock, self._explained():
            self._db.execute(statement, values)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn whatever SQLite complains about into one sentence that says what to do."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0)
            advice = _ADVICE.get(code & 0xFF, f"{error}; choose another folder")
            advice = _UNFINISHED if code == _READONLY_ROLLBACK else advice
            raise StoreError(f"{self.path}: {advice}") from error


def _names(joined: str | None) -> tuple[str, ...]:
    return tuple(sorted(set(joined.split(",")))) if joined else ()


def _trial(
    name: str,
    index: int,
    seed: int,
    ending: str,
    sequences: int,
    steps: int,
    seconds: float,
    measures: str,
    curve: str,
) -> Trial:
    if ending not in ("solved", "budget", "diverged"):
        raise ValueError(ending)
    points = tuple((int(seen), float(error)) for seen, error in json.loads(curve))
    numbers = {str(key): float(value) for key, value in json.loads(measures).items()}
    return Trial(name, index, seed, ending, sequences, steps, seconds, numbers, points)
