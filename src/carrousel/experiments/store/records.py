"""Rows of a store as trials and holdings."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from carrousel.contracts import Trial
from carrousel.kernels import KERNEL_VERSION

_RUN = "experiment, fingerprint, seed, kernel, code"
"""Columns that identify the trials of a run."""

_MOST_TEXT = 2**24
"""Most characters of the measures and the curve of a trial; the largest have some thousand."""


@dataclass(frozen=True)
class Holding:
    """Summary of the trials in a store of one experiment, fingerprint, seed, kernel and code.

    Args:
        experiment: name of the experiment.
        fingerprint: fingerprint of the settings of these trials.
        seed: seed of the run.
        trials: number of trials that ended.
        asked: largest number of trials that a session requested.
        seconds: wall time of all sessions, of which each row of a run has its share; a killed
            session counts up to its last trial or ten seconds before.
        versions: versions of the package that ran the trials.
        instruction_sets: instruction sets that the trials ran with.
        kernel: version of the kernels that ran the trials.
        code: hash of their code from outside of the package (:func:`code_of`).
    """

    experiment: str
    fingerprint: str
    seed: int
    trials: int
    asked: int
    seconds: float
    versions: tuple[str, ...]
    instruction_sets: tuple[str, ...]
    kernel: int = KERNEL_VERSION
    code: str = ""


def holdings_in(db: sqlite3.Connection) -> list[Holding]:
    """Summarise the trials and sessions of a database."""
    rows = db.execute(
        f"SELECT {_RUN}, sum(ended), max(asked),"
        " sum(seconds), group_concat(version), group_concat(instruction_set) FROM ("
        f" SELECT {_RUN}, count(*) AS ended, 0 AS asked, 0.0 AS seconds, version,"
        f"  instruction_set FROM trials GROUP BY {_RUN}, version, instruction_set"
        f" UNION ALL SELECT {_RUN}, 0, asked, seconds, NULL, NULL"
        "  FROM sessions JOIN settings USING (fingerprint)"
        f") GROUP BY {_RUN} ORDER BY {_RUN}"
    ).fetchall()
    return [
        Holding(name, mark, seed, ended, max(ended, asked), spent, _names(by), _names(sets), *key)
        for name, mark, seed, *key, ended, asked, spent, by, sets in rows
    ]


def _names(joined: str | None) -> tuple[str, ...]:
    return tuple(sorted(set(joined.split(",")))) if joined else ()


def trial_of(
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
    """Convert a row of a store to a trial.

    Raises:
        ValueError: the row is in another format.
        TypeError: the same.
    """
    if ending not in ("solved", "budget", "diverged"):
        raise ValueError(ending)
    if not all(isinstance(one, int) for one in (index, seed, sequences, steps)):
        raise TypeError("a whole number is missing")
    if not isinstance(seconds, float | int) or len(measures) + len(curve) > _MOST_TEXT:
        raise ValueError("no time, or endless texts")
    points = tuple((int(seen), float(error)) for seen, error in json.loads(curve))
    numbers = {str(key): float(value) for key, value in json.loads(measures).items()}
    return Trial(name, index, seed, ending, sequences, steps, seconds, numbers, points)
