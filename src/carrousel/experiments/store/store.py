"""Store of trials: one SQLite file; each ended trial is added in a transaction.

The file is ``trials.sqlite`` in the store's folder. It uses a rollback journal (journal mode
DELETE) instead of a write-ahead log. Trials end every few seconds, so the speed of the log is not
needed. A journal leaves a single file, which can be copied, works on network drives, and can be
read from a read-only folder. ``synchronous = EXTRA`` is FULL and also syncs the folder after the
journal is deleted, so that a committed trial survives a power failure.

A store can be packed to save space (:mod:`carrousel.experiments.store.packed`). Its ``trials`` is
then a view of smaller tables, which is read and written like the table.

A trial is identified by experiment, settings, seed, number, the version of the kernels that ran it
and its code: a hash of the classes from outside of this package that it used
(:mod:`carrousel.experiments.store.code`). Trials of several versions or codes are kept side by side
and never mixed.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from carrousel.contracts import Experiment, Trial
from carrousel.errors import SettingError, StoreError
from carrousel.experiments.store import schema, weights
from carrousel.experiments.store.advice import explained, store_error
from carrousel.experiments.store.code import code_of
from carrousel.experiments.store.records import Holding as Holding
from carrousel.experiments.store.records import holdings_in, trial_of
from carrousel.experiments.store.settings import canonical, fingerprint, settings_of
from carrousel.kernels import KERNEL_VERSION

FILE_NAME = "trials.sqlite"

_APPLICATION_ID = 0x43415252  # "CARR": distinguishes stores from databases of other programs


class Store:
    """Trials in ``folder/trials.sqlite``; the process may be killed at any moment.

    Args:
        folder: folder of the store; created if it does not exist.
        read_only: never write; the file must exist.
        timeout: seconds to wait while another process writes.

    Raises:
        StoreError: in the constructor and every method: the file is missing, damaged, not a store,
            of another version, locked for longer than ``timeout``, or cannot be written.

    Several threads may share an object, and several processes a folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Store(folder) as store:
    ...     store.holdings()
    []
    """

    def __init__(
        self, folder: str | Path, *, read_only: bool = False, timeout: float = 60.0
    ) -> None:
        self.path = Path(folder).absolute() / FILE_NAME
        self.read_only = read_only
        self._lock = threading.RLock()
        if read_only and not self.path.is_file():
            raise StoreError(
                f"it holds no trials: there is no {FILE_NAME} in it", source=str(folder)
            )
        try:
            if not read_only:
                self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the folder cannot be created ({error.strerror})",
                source=str(folder),
                fix="choose a writable folder",
            ) from error
        with self._explained():
            # "rw" also opens a write-protected file; if writable, it rolls back interrupted writes
            mode = "rw" if read_only else "rwc"
            self._db = sqlite3.connect(
                f"{self.path.as_uri()}?mode={mode}",
                uri=True,
                timeout=timeout,
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
            self._db.execute("PRAGMA trusted_schema = OFF")
            self._db.execute("PRAGMA synchronous = EXTRA")
            self._db.execute("PRAGMA foreign_keys = ON")
            if self.read_only:
                if self._is_new():
                    raise StoreError("it holds no trials yet", source=str(self.path))
                schema.view_as_current(self._db)
                self._db.execute("PRAGMA query_only = ON")
            elif self._is_new():
                self._create()
            else:  # a write to the first page fails now rather than after the first trial
                with self.writing() as db:
                    migrated = schema.migrate(db)
                    db.execute(f"PRAGMA user_version = {schema.schema_of(db)}")
                if migrated:
                    with suppress(StoreError):  # a reader or a full disk: the pages are reused
                        self.alone("VACUUM")
            if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise store_error(self.path, sqlite3.SQLITE_CORRUPT)

    def _is_new(self) -> bool:
        """Whether the file is empty.

        Raises:
            StoreError: it is another program's database, or a store of another version.
        """
        found = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = schema.schema_of(self._db)
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if found == 0 and version == 0 and tables == 0:
            return True
        if found != _APPLICATION_ID:
            raise StoreError(
                "it is another program's database",
                source=str(self.path),
                fix="choose another folder",
            )
        schema.check_objects(self._db)
        if version not in schema.KNOWN:
            raise StoreError(
                f"it was written by another version of carrousel (its schema is {version}, "
                f"expected {min(schema.KNOWN)} to {max(schema.KNOWN)})",
                source=str(self.path),
                fix="use that version, or choose another folder",
            )
        return False

    def _create(self) -> None:
        with self.writing() as db:
            if self._is_new():  # another process may have created it meanwhile
                for statement in schema.PLAIN_TABLES:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {schema.PLAIN}")

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
        """Close the file; all trials are already on disk."""
        self._db.close()

    def append(
        self,
        trial: Trial,
        experiment: Experiment,
        *,
        instruction_set: str,
        kernel: int = KERNEL_VERSION,
        code: str | None = None,
        kept: Mapping[str, np.ndarray] | None = None,
    ) -> bool:
        """Add an ended trial; it is on disk when this returns.

        Args:
            trial: the trial.
            experiment: its experiment, whose settings are stored too.
            instruction_set: instruction set of the kernels, e.g. ``"avx2"``.
            kernel: version of the kernels.
            code: hash of the experiment's code; None computes it (:func:`code_of`).
            kept: arrays of the trial's network by name, stored in the same transaction; None:
                none are kept.

        Returns:
            True if the trial was added, False if the store already contains it.

        Raises:
            SettingError: the trial belongs to another experiment.
        """
        if trial.experiment != experiment.name:
            raise SettingError(
                argument="trial.experiment",
                got=trial.experiment,
                expected=f"{experiment.name!r}, the name of the experiment",
            )
        mark = fingerprint(experiment)
        row = (
            *(trial.experiment, mark, int(trial.seed), int(trial.index), trial.ending),
            *(int(trial.sequences), int(trial.steps), float(trial.seconds)),
            canonical({name: float(value) for name, value in trial.measures.items()}),
            canonical([(int(seen), float(error)) for seen, error in trial.curve]),
            *(version("carrousel"), instruction_set),
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            int(kernel),
            code_of(experiment) if code is None else code,
        )
        with self.writing() as db:
            self._register(experiment, mark)
            known = db.execute(  # views do not support upsert
                "SELECT count(*) FROM trials WHERE experiment = ? AND fingerprint = ? "
                "AND seed = ? AND number = ? AND kernel = ? AND code = ?",
                (*row[:4], *row[-2:]),
            ).fetchone()[0]
            if not known:
                db.execute(f"INSERT INTO trials VALUES ({','.join('?' * len(row))})", row)
            if kept is not None:
                weights.put(db, (*row[1:4], *row[-2:]), kept)
        return not known

    def trials(
        self,
        name: str,
        seed: int | None = None,
        fingerprint: str | None = None,
        kernel: int = KERNEL_VERSION,
        code: str | None = None,
    ) -> list[Trial]:
        """Return the stored trials of an experiment, in order of seed and index.

        Args:
            name: name of the experiment.
            seed: seed of the run; None for all seeds.
            fingerprint: fingerprint of the settings (:func:`fingerprint`). None is allowed if all
                trials have the same settings.
            kernel: version of the kernels that ran them.
            code: hash of their code (:func:`code_of`). None is allowed if all have the same.

        Raises:
            StoreError: there are trials with different settings or codes, and no fingerprint or
                code is given.
        """
        if fingerprint is None or code is None:
            held = [
                each
                for each in self.holdings()
                if (each.experiment, each.kernel) == (name, kernel)
                and seed in (None, each.seed)
                and fingerprint in (None, each.fingerprint)
                and code in (None, each.code)
            ]
            self._check_one("fingerprint", "settings", name, {each.fingerprint for each in held})
            self._check_one("code", "code", name, {each.code for each in held if each.trials})
        wanted = {
            **{"experiment": name, "fingerprint": fingerprint, "seed": seed},
            **{"kernel": kernel, "code": code},
        }
        given = {column: value for column, value in wanted.items() if value is not None}
        with self._lock, self._explained():
            rows = self._db.execute(
                "SELECT experiment, number, seed, ending, sequences, steps, seconds, measures, "
                f"curve FROM trials WHERE {' AND '.join(f'{column} = ?' for column in given)} "
                "ORDER BY seed, number",
                tuple(given.values()),
            ).fetchall()
        try:
            return [trial_of(*row) for row in rows]
        except (ValueError, TypeError, RecursionError) as error:  # a row in another format
            raise store_error(self.path, sqlite3.SQLITE_CORRUPT) from error

    def kept(
        self,
        experiment: Experiment,
        *,
        seed: int,
        index: int,
        kernel: int = KERNEL_VERSION,
        code: str | None = None,
    ) -> dict[str, np.ndarray] | None:
        """Return the arrays of a trial's network that were kept, by name; None: there are none.

        A learner by gradient has ``"weights"`` alone.
        """
        code = code_of(experiment) if code is None else code
        with self._lock, self._explained():
            found = weights.get(self._db, (fingerprint(experiment), seed, index, kernel, code))
        try:
            return None if found is None else weights.decoded(found)
        except ValueError as error:
            raise store_error(self.path, sqlite3.SQLITE_CORRUPT) from error

    def _check_one(self, argument: str, what: str, name: str, found: set[str]) -> None:
        """Raise if trials differ in something that the caller left open."""
        if len(found) > 1:
            known = ", ".join(sorted(mark[:12] or "''" for mark in found))
            raise StoreError(
                f"it holds trials of {name!r} with {len(found)} different {what} ({known})",
                argument=argument,
                source=str(self.path),
                fix=f"give the {{{argument}}} of one of them",
            )

    def holdings(self) -> list[Holding]:
        """Summarise the store by experiment, fingerprint, seed, version of the kernels and code.

        Runs without an ended trial are included.
        """
        with self._lock, self._explained():
            return holdings_in(self._db)

    def settings(self, fingerprint: str) -> dict[str, Any]:
        """Return the settings with this fingerprint, as :func:`settings_of` returned them."""
        with self._lock, self._explained():
            row = self._db.execute(
                "SELECT settings FROM settings WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
            if row is None:
                raise StoreError(
                    f"it holds no settings with fingerprint {fingerprint}", source=str(self.path)
                )
            return json.loads(row[0])

    def session(
        self,
        experiment: Experiment,
        *,
        seed: int,
        trials: int,
        kernel: int = KERNEL_VERSION,
        code: str | None = None,
    ) -> str:
        """Record the number of requested trials; return a name for :meth:`add_seconds`."""
        mark, name = fingerprint(experiment), uuid.uuid4().hex
        code = code_of(experiment) if code is None else code
        with self.writing() as db:
            self._register(experiment, mark)
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, 0.0, ?, ?)",
                (name, mark, int(seed), trials, int(kernel), code),
            )
        return name

    def add_seconds(self, seconds: Mapping[str, float]) -> None:
        """Add wall time to sessions, by their names."""
        if seconds:
            with self.writing() as db:
                db.executemany(
                    "UPDATE sessions SET seconds = seconds + ? WHERE session = ?",
                    [(each, name) for name, each in seconds.items()],
                )

    def _register(self, experiment: Experiment, mark: str) -> None:
        self._db.execute(
            "INSERT INTO settings (fingerprint, experiment, settings) VALUES (?, ?, ?) "
            "ON CONFLICT (fingerprint) DO NOTHING",
            (mark, experiment.name, canonical(settings_of(experiment))),
        )

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction with the write lock, waiting for other writers.

        For modules of this folder, which know the tables.
        """
        with self._lock, self._explained():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # SQLite may have rolled back already
                    self._db.execute("ROLLBACK")
                raise

    def alone(self, statement: str, *values: object) -> None:
        """Run a statement outside of a transaction, such as VACUUM; for the same modules."""
        with self._lock, self._explained():
            self._db.execute(statement, values)

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.path)
