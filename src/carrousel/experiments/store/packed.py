"""Packed stores: several stores merged into one, names stored once, learning curves thinned.

A plain store repeats the experiment's name and the fingerprint in every trial and in its index, up
to 400 bytes for the long names of a study. A packed store keeps them once, with the settings, and
its trials refer to them by number. :class:`Store` reads and writes both kinds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from carrousel.checks import check_int
from carrousel.errors import SettingError
from carrousel.experiments.store import schema, weights
from carrousel.experiments.store.settings import canonical
from carrousel.experiments.store.store import Store

POINTS_OF_ROWS, POINTS_OF_VARIATIONS = 32, 2
"""Maximum number of points of a learning curve in a packed store."""
DIGITS = 3
"""Significant digits of the errors in these curves."""

_TABLES = (
    ("settings", schema.SETTING_COLUMNS),
    ("trials", schema.TRIAL_COLUMNS),
    ("sessions", schema.SESSION_COLUMNS),
)


@dataclass(frozen=True)
class MergeResult:
    """Number of trials that a merge added, and of known trials with another outcome."""

    added: int
    differing: int


def merge(target: str | Path, source: str | Path) -> MergeResult:
    """Add the trials, settings, sessions and kept weights of one store to another.

    Trials that the target already contains are not changed. Their outcomes should be equal; those
    that differ, for example because of another instruction set, are counted.

    Args:
        target: folder of the store to add to; created if it does not exist.
        source: folder of the other store.

    Raises:
        StoreError: a folder contains no store, or it cannot be read or written.
        SettingError: source and target are the same folder.

    >>> import tempfile
    >>> from carrousel.experiments.store.store import Store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Store(f"{folder}/a").close()
    ...     merge(f"{folder}/b", f"{folder}/a")
    MergeResult(added=0, differing=0)
    """
    if Path(target).resolve() == Path(source).resolve():
        raise SettingError(argument="source", got=str(source), expected="another store than target")
    with Store(source, read_only=True) as other:  # raises if it is not a store
        attached = f"{other.path.as_uri()}?mode=ro"
    with Store(target) as store:
        store.alone("ATTACH ? AS other", attached)
        with store.writing() as db:
            before = _number(db, "SELECT count(*) FROM trials")
            columns = schema.columns_in(db, "other", schema.TRIAL_COLUMNS)
            differing = _number(
                db,
                f"SELECT count(*) FROM (SELECT {columns} FROM other.trials) AS theirs"
                " JOIN main.trials AS ours"
                " USING (experiment, fingerprint, seed, number, kernel, code)"
                " WHERE (ours.ending, ours.sequences, ours.steps)"
                " IS NOT (theirs.ending, theirs.sequences, theirs.steps)",
            )
            for table, columns in _TABLES:
                theirs = schema.columns_in(db, "other", columns)
                db.execute(
                    f"INSERT OR IGNORE INTO main.{table} ({columns})"
                    f" SELECT {theirs} FROM other.{table}"
                )
            weights.copy_from(db, "other")
            return MergeResult(_number(db, "SELECT count(*) FROM trials") - before, differing)


def pack(
    folder: str | Path,
    *,
    points: int = POINTS_OF_ROWS,
    points_of_variations: int = POINTS_OF_VARIATIONS,
) -> None:
    """Pack a store in one transaction. Only points of learning curves are lost.

    No run may use the store meanwhile: its next trial could not be stored.

    Args:
        folder: folder of the store.
        points: maximum number of points of the learning curve of a row or recipe; neighbouring
            points are merged.
        points_of_variations: the same for a variation (a name with a space and an ``=`` after it).

    Raises:
        StoreError: there is no store, or it cannot be written.
        SettingError: a number is out of range.
    """
    check_int("points", points, minimum=1)
    check_int("points_of_variations", points_of_variations, minimum=1)
    Store(folder, read_only=True).close()  # raises if there is no store, instead of creating one
    with Store(folder) as store:
        with store.writing() as db:
            db.create_function("thinned", 2, _thinned_text, deterministic=True)
            if schema.schema_of(db) != schema.PACKED:
                _rebuild(db)
            db.execute(
                "UPDATE outcomes SET curve = thinned(curve, (SELECT CASE"
                " WHEN experiment LIKE '% %=%' THEN ? ELSE ? END"
                " FROM settings WHERE id = setting))",
                (points_of_variations, points),
            )
        store.alone("VACUUM")


def _rebuild(db: sqlite3.Connection) -> None:
    """Replace the tables of a plain store by those of a packed one."""
    tables = ("sessions", "trials", "settings")  # tables with references first
    for table in tables:
        db.execute(f"ALTER TABLE {table} RENAME TO plain_{table}")
    for statement in schema.PACKED_TABLES:
        db.execute(statement)
    for table, columns in _TABLES:
        db.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM plain_{table}")
    for table in tables:
        db.execute(f"DROP TABLE plain_{table}")
    db.execute(f"PRAGMA user_version = {schema.PACKED}")


def thinned(curve: Sequence[tuple[int, float]], points: int) -> list[tuple[int, float]]:
    """Merge points of a learning curve down to a number of points, and round the errors.

    Each point is the mean error since the point before. The mean over all is unchanged.

    >>> thinned([(10, 0.4), (20, 0.2), (40, 0.1)], 2)
    [(10, 0.4), (40, 0.133)]
    """
    n, merged = len(curve), list[tuple[int, float]]()
    seen, total, before = 0, 0.0, 0
    ends = {(k + 1) * n // points for k in range(points)} if n > points else set(range(n + 1))
    for place, (at, error) in enumerate(curve, start=1):
        total += error * (at - seen)
        seen = at
        if place in ends:
            span = seen - before
            mean = total / span if n > points and span else error
            merged.append((seen, float(f"{mean:.{DIGITS}g}")))
            total, before = 0.0, seen
    return merged


def _thinned_text(curve: str, points: int) -> str:
    return canonical(thinned([(int(at), float(error)) for at, error in json.loads(curve)], points))


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def trials_in(folder: str | Path) -> dict[int, int]:
    """Return the number of trials in a store by version of the kernels, ascending.

    Raises:
        StoreError: there is no store.
    """
    found: dict[int, int] = {}
    with Store(folder, read_only=True) as store:
        for holding in sorted(store.holdings(), key=lambda each: each.kernel):
            found[holding.kernel] = found.get(holding.kernel, 0) + holding.trials
    return {kernel: number for kernel, number in found.items() if number}
