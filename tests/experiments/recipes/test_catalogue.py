"""Recipes: rules that hold for every row of every recipe."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.cli.options import RunOptions
from carrousel.cli.reproduce import ReproduceRequest
from carrousel.cli.selection import select
from carrousel.contracts import Cell, Experiment
from carrousel.errors import SettingError, UnknownNameError
from carrousel.experiments import EXPERIMENTS
from carrousel.experiments.recipes.candidates import CANDIDATES
from carrousel.experiments.recipes.catalogue import (
    EVERYTHING,
    RECIPES,
    by_recipe,
    described,
    rows_of,
)
from carrousel.experiments.recipes.modern import MODERN
from carrousel.experiments.recipes.principle import PRINCIPLE
from carrousel.experiments.recipes.robust import ROBUST
from carrousel.experiments.recipes.vary import paths_of, varied
from carrousel.experiments.store.settings import fingerprint
from carrousel.learners import learner_named
from carrousel.tasks import TASKS
from support.case import case, each

CHANGES: dict[str, dict[str, Mapping[str, Any]]] = {
    "robust": dict(ROBUST),
    "modern": dict(MODERN),
    "principle": dict(PRINCIPLE),
}
for _candidates in CANDIDATES.values():
    for _name, _one in _candidates.items():
        CHANGES.setdefault(_name, {}).update({row: _one.of(row) for row in _one.rows})
RECIPE_ROWS = [(EXPERIMENTS[name], recipe) for recipe, rows in CHANGES.items() for name in rows]
TASK_SHAPE = ("length", "p", "q", "relevant", "informative", "n_train", "n_test")
"""Fields that make a task harder or easier; the others are readings of the text."""


@each("row, recipe", RECIPE_ROWS)
def test_a_recipe_builds_and_learns(row: Experiment, recipe: str):
    found = by_recipe(row, recipe)
    rng = np.random.default_rng(0)
    task = found.task.draw(rng)
    assert (task.n_inputs, task.n_outputs) == (found.network.n_inputs, found.network.n_outputs)
    learner = learner_named(found.learner)(found.network, found.training, 1)
    learner.begin(0, rng)
    data = task.sample(rng, 2)
    [errors], [outputs] = learner.learn([data]), learner.predict([data])
    assert errors is not None
    assert outputs is not None
    assert np.isfinite(errors.sum_sq).all()
    assert np.isfinite(outputs).all()


@each("row, recipe", RECIPE_ROWS)
def test_a_recipe_makes_its_changes_and_no_others(row: Experiment, recipe: str):
    found, changes = by_recipe(row, recipe), CHANGES[recipe][row.name]
    assert found.name == f"{row.name} {recipe}"
    before, after = paths_of(row), paths_of(found)
    changed = {path for path in before.keys() | after.keys() if _differ(before, after, path)}
    heads = tuple(f"{path}." for path in changes)
    assert all(f"{path}.".startswith(heads) for path in changed)
    for path, value in changes.items():
        if path in after:
            assert after[path] == value
        else:
            assert getattr(found, path) == value
    assert fingerprint(found) != fingerprint(row)
    assert (fingerprint(replace(found, name=row.name)) != fingerprint(row)) is bool(changed)
    assert fingerprint(replace(found, title="", readings=())) == fingerprint(found)


def _differ(before: dict[str, object], after: dict[str, object], path: str) -> bool:
    return path not in before or path not in after or before[path] != after[path]


@each("row, recipe", RECIPE_ROWS)
def test_a_recipe_gives_reasons_and_replaces_readings(row: Experiment, recipe: str):
    found = by_recipe(row, recipe)
    fields_read = [reading.field for reading in found.readings]
    assert len(set(fields_read)) == len(fields_read)
    assert set(CHANGES[recipe][row.name]) <= set(fields_read)
    for reading in found.readings:
        value: object = found
        for name in reading.field.split("."):
            value = getattr(value, name)
        assert reading.chosen
        assert len(reading.why) > 10


@each("row, recipe", RECIPE_ROWS)
def test_a_recipe_keeps_published_figures_and_task(row: Experiment, recipe: str):
    found = by_recipe(row, recipe)
    assert (found.title, found.published) == (row.title, row.published)
    assert type(found.task) is type(row.task)
    for name in TASK_SHAPE:
        if f"task.{name}" not in CHANGES[recipe][row.name]:
            assert getattr(found.task, name, None) == getattr(row.task, name, None)
    assert found.network.n_inputs == row.network.n_inputs
    assert found.network.n_outputs == row.network.n_outputs


@each("row, recipe", RECIPE_ROWS)
def test_a_recipe_keeps_the_network_without_a_change_of_its_shape(row: Experiment, recipe: str):
    found, changes = by_recipe(row, recipe), CHANGES[recipe][row.name]
    shape = ("network.cell.", "network.wiring", "network.bias", "network.feedback")
    shape += ("network.inputs_to_outputs",)
    if any(
        f"{path}.".startswith(("network.cell.forget_gate.", "network.wiring.")) for path in changes
    ):
        assert recipe == "modern"
    elif not any(path.startswith(shape) and path not in _SQUASHES for path in changes):
        assert found.network.n_weights == row.network.n_weights
    if isinstance(row.network.cell, Cell):
        assert isinstance(found.network.cell, Cell)
        assert found.network.cell.blocks == row.network.cell.blocks
        assert found.network.cell.block_size == row.network.cell.block_size


_SQUASHES = ("network.cell.g", "network.cell.h")


@each("name", ROBUST)
def test_robust_keeps_the_algorithm_and_the_network(name: str):
    row, found = EXPERIMENTS[name], by_recipe(EXPERIMENTS[name], "robust")
    if found.learner == "adam":  # another update rule for the same gradient
        assert found.training.gradient == "truncated"
    else:
        assert found.learner == row.learner == "truncated"
    assert found.network.n_weights == row.network.n_weights
    assert found.network.layout == row.network.layout
    cell, own = found.network.cell, row.network.cell
    assert isinstance(cell, Cell)
    assert isinstance(own, Cell)
    assert not cell.forget_gate
    assert replace(cell, g=own.g, h=own.h) == own


def test_a_recipe_is_appended_to_the_name_of_the_row():
    assert RECIPES[:1] == ("paper",)
    assert sorted(RECIPES[1:]) == sorted(CHANGES)
    assert rows_of("paper") == list(EXPERIMENTS.values())
    for recipe, rows in CHANGES.items():
        assert [row.name for row in rows_of(recipe)] == [f"{name} {recipe}" for name in rows]
        assert set(rows) <= set(EXPERIMENTS)


def test_every_recipe_is_described():
    found = list(described())
    assert {name for name, _, _ in found} == set(RECIPES)
    assert all(idea for _, _, idea in found)
    for name, experiment, _ in found:
        if experiment in CANDIDATES:
            assert set(CANDIDATES[experiment][name].rows) <= set(CHANGES[name])


def test_everything_contains_each_row_once():
    assert len(EVERYTHING) == len(EXPERIMENTS) + sum(map(len, CHANGES.values()))
    assert all(row.name == name for name, row in EVERYTHING.items())
    marks = Counter(fingerprint(row) for row in EVERYTHING.values())
    assert max(marks.values()) == 1
    for recipe in RECIPES:
        assert {row.name for row in rows_of(recipe)} <= set(EVERYTHING)


def test_a_recipe_can_be_varied_further():
    for row in EVERYTHING.values():
        with case(row.name):
            other = varied(row, {"budget": row.budget + 1})
            assert other.name == f"{row.name} budget={row.budget + 1}"


def test_paper_is_the_row_itself():
    for row in EXPERIMENTS.values():
        assert by_recipe(row, "paper") is row


def test_an_unknown_recipe_gets_the_nearest():
    with pytest.raises(UnknownNameError, match="recipe 'robst' is unknown; did you mean 'robust'"):
        by_recipe(EXPERIMENTS["4-1"], "robst")
    with pytest.raises(UnknownNameError, match="recipe 'modrn' is unknown; did you mean 'modern'"):
        rows_of("modrn")


@each("recipe", CHANGES)
def test_an_unknown_row_of_a_recipe_is_an_error_that_lists_its_rows(recipe: str):
    absent = replace(EXPERIMENTS["4-1"], name="0-0")
    with pytest.raises(UnknownNameError) as caught:
        by_recipe(absent, recipe)
    message = str(caught.value)
    assert message.startswith(f"recipe '{recipe}' does not include 0-0; choose one of ")
    assert message.endswith(", ".join(CHANGES[recipe]))
    with pytest.raises(UnknownNameError):
        by_recipe(rows_of(recipe)[0], recipe)  # the recipe is applied already


# --- requests by recipe ---------------------------------------------------------------------------


def request(*names: str, recipe: str = "paper", everything: bool = False) -> ReproduceRequest:
    return ReproduceRequest(names, RunOptions(), everything=everything, recipe=recipe)


@each("recipe", CHANGES)
def test_the_command_repeats_the_recipe(recipe: str):
    name = next(iter(CHANGES[recipe]))
    run = RunOptions(trials=3, out=Path("my runs"))
    found = replace(request(name, recipe=recipe), run=run)
    assert shlex.split(found.command) == [
        *("carrousel", "reproduce", name, "--recipe", recipe, "--trials", "3", "--out", "my runs")
    ]
    assert [(row.name, number) for row, number in found.plan()] == [(f"{name} {recipe}", 3)]
    assert "--recipe" not in request(name).command


def test_all_selects_all_rows_of_a_recipe():
    for recipe in RECIPES:
        plan = request(everything=True, recipe=recipe).plan()
        assert [row.name for row, _ in plan] == [row.name for row in rows_of(recipe)]
        assert all(number == row.published.trials for row, number in plan)


def test_names_and_all_contradict_each_other():
    with pytest.raises(SettingError, match="names and --all contradict"):
        request("4-1", everything=True, recipe="robust").plan()


@each("row, recipe", RECIPE_ROWS)
def test_rows_are_selected_by_name_and_recipe(row: Experiment, recipe: str):
    assert select([row.name], recipe=recipe) == [by_recipe(row, recipe)]


def test_tasks_are_those_of_the_registry():
    kinds = {type(row.task) for row in EVERYTHING.values()}
    assert kinds <= set(TASKS.values())
