"""Fingerprints of stored results: no rename or changed default may orphan ``docs/runs``.

A fingerprint hashes names of classes and fields with their values. A field that is renamed in a
task, a cell, ``Init``, ``Training``, ... changes the fingerprint of every experiment that holds it,
and the trials in the store are no longer found.
"""

from __future__ import annotations

import inspect
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import pytest

from carrousel import contracts, tasks
from carrousel.contracts import Experiment, Published, Training
from carrousel.experiments import stopping
from carrousel.experiments.recipes.catalogue import EVERYTHING
from carrousel.experiments.recipes.vary import levels_from, paths_of, varied
from carrousel.experiments.store.settings import (
    canonical,
    describe,
    fingerprint,
    leaves,
    settings_of,
)
from carrousel.experiments.store.store import FILE_NAME
from carrousel.learners.cascade.learner import CascadeTraining
from carrousel.learners.chunker.learner import ChunkerTraining
from carrousel.learners.guess.learner import GuessTraining
from carrousel.tasks.vowels import JapaneseVowels
from support.paths import ROOT

STORE = ROOT / "docs" / "runs" / FILE_NAME
ORPHANED = {"1/rcc": "Phase"}
"""Names in the store whose settings cannot be built any more, and the class that is gone."""
_LONG = tuple(f"2c-{row}" for row in range(1, 10))
NOT_RUN = {
    *(f"lag/{lag}" for lag in ("100000-simple", "1000000", "1000000-forget", "1000000-simple")),
    *(f"adding/{length}" for length in ("10000-forget", "10000-simple", "100000")),
    *("adding/100000-forget", "adding/100000-simple"),
    *(f"{row} {recipe}" for row in _LONG for recipe in ("principle", "modern")),
}
"""Registered experiments of which the store holds nothing."""
LEAST_POINTS = 4
"""Variations in the store whose row still has the settings it had then."""


def described_classes() -> dict[str, type]:
    """The classes that an experiment may hold, by the kind under which they are described."""
    known: list[type] = [CascadeTraining, ChunkerTraining, GuessTraining, JapaneseVowels]
    for module in (contracts, tasks, stopping):
        known += [each for each in vars(module).values() if inspect.isclass(each)]
    return {kind.__name__: kind for kind in known if is_dataclass(kind)}


KINDS = described_classes()


@dataclass(frozen=True)
class Stored:
    """One set of settings in the store."""

    name: str
    mark: str
    settings: dict[str, Any]


@pytest.fixture(scope="module")
def stored() -> list[Stored]:
    with closing(sqlite3.connect(f"{STORE.as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT experiment, fingerprint, settings FROM settings").fetchall()
    return [Stored(name, mark, json.loads(settings)) for name, mark, settings in rows]


def built(value: Any) -> Any:
    """The object that :func:`describe` wrote down, made from today's classes."""
    if isinstance(value, dict):
        inside = {key: built(each) for key, each in value.items() if key != "kind"}
        return KINDS[value["kind"]](**inside) if "kind" in value else inside
    return tuple(map(built, value)) if isinstance(value, list) else value


def rebuilt(settings: dict[str, Any]) -> Experiment:
    about = {"title": "", "published": Published("", None, None, None, trials=1)}
    return Experiment(**{key: built(each) for key, each in settings.items()}, **about)


def problems(stored: list[Stored]) -> Iterator[tuple[str, str]]:
    """Names whose fingerprint cannot be computed from today's classes, and why."""
    for one in stored:
        try:
            found = rebuilt(one.settings)
        except (KeyError, TypeError, ValueError) as error:
            yield one.name, str(error).strip("'")
            continue
        if fingerprint(found) != one.mark:
            yield one.name, f"another fingerprint: {canonical(settings_of(found))}"


def test_every_stored_fingerprint_is_computed_from_todays_classes(stored):
    assert len(stored) > 500
    assert sorted(problems(stored)) == sorted(ORPHANED.items())


def test_every_registered_experiment_finds_its_trials(stored):
    known = {(one.name, one.mark) for one in stored}
    absent = {name for name, row in EVERYTHING.items() if (name, fingerprint(row)) not in known}
    assert absent == NOT_RUN


def test_variations_are_computed_from_their_names(stored):
    """A name's changes, applied to today's row, give the stored name and fingerprint.

    Left out are variations of rows that have changed since.
    """
    checked = 0
    for one in stored:
        words = one.name.split(" ")
        first = next((i for i, word in enumerate(words) if "=" in word), None)
        row = EVERYTHING.get(" ".join(words[:first]))
        if first is None or row is None or one.name in EVERYTHING:
            continue
        changes = {path: value for path, [value] in map(levels_from, words[first:])}
        if not changes.keys() <= paths_of(row).keys():
            continue
        if _elsewhere(one.settings, changes) != _elsewhere(settings_of(row), changes):
            continue
        found = varied(row, changes)
        if len(found.name.split(" ")) < len(words):
            continue  # one of the values is the row's own today
        checked += 1
        assert (found.name, fingerprint(found)) == (one.name, one.mark)
    assert checked >= LEAST_POINTS


def _elsewhere(settings: dict[str, Any], changes: dict[str, object]) -> dict[str, Any]:
    """All settings by path, without the name and those that were changed."""
    return {
        path: value
        for path, value in leaves(settings).items()
        if path != "name" and path not in changes
    }


def test_a_renamed_class_or_field_is_found(stored, monkeypatch):
    """The checks above fail if one of these classes is renamed, or one of its fields."""
    row = EVERYTHING["4-1"]
    settings = settings_of(row)
    renamed_field = dict(settings["training"])
    renamed_field["step_size"] = renamed_field.pop("rate")
    with pytest.raises(TypeError, match="step_size"):
        rebuilt({**settings, "training": renamed_field})

    @dataclass(frozen=True)
    class Settings(Training):
        pass

    monkeypatch.setitem(KINDS, "Training", Settings)
    assert fingerprint(rebuilt(settings)) != fingerprint(row)
    assert len(list(problems(stored))) > 100
    assert describe(replace(row.training, rate=0.25)) != describe(row.training)
