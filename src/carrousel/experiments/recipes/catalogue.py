"""Recipes: named sets of changes to the rows, each with its reason.

``paper`` is the row itself. ``robust`` keeps the network and the truncated gradient, and changes a
few settings of the rows in which more than one trial in fifty failed. ``modern`` uses later
methods: the full gradient by back-propagation, Adam, and forget gates where they help.
``principle`` makes the same two changes to the print of every row. ``printed`` and the other
recipes are candidate readings of single experiments. The recipe is appended to the name of the row:
``"5-1 robust"``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carrousel.checks import check_choice
from carrousel.contracts import Experiment
from carrousel.errors import UnknownNameError
from carrousel.experiments.catalogue import EXPERIMENTS
from carrousel.experiments.recipes.candidates import CANDIDATES
from carrousel.experiments.recipes.modern import MODERN
from carrousel.experiments.recipes.principle import PRINCIPLE
from carrousel.experiments.recipes.robust import ROBUST
from carrousel.experiments.recipes.vary import renamed

PAPER = "paper"


@dataclass(frozen=True)
class _Recipe:
    """Changes to one row by path, their reason, and those that contradict the print."""

    changes: Mapping[str, Any]
    why: str
    departs: tuple[str, ...] = ()


_WHOLE = {
    "robust": (ROBUST, "nearly every trial succeeds with these settings"),
    "modern": (MODERN, "a method that is newer than the paper"),
    "principle": (PRINCIPLE, "no constant into cell inputs, a derivative that cannot vanish"),
}
"""Recipes for rows of all experiments, and their reasons."""


def _recipes() -> Iterator[tuple[str, str, _Recipe]]:
    """All recipes: name, row, and changes."""
    for name, (rows, why) in _WHOLE.items():
        for row, changes in rows.items():
            yield name, row, _Recipe(changes, f"recipe {name!r}: {why}")
    for candidates in CANDIDATES.values():
        for name, one in candidates.items():
            why = f"candidate reading {name!r}: {one.idea}"
            for row in one.rows:
                yield name, row, _Recipe(one.of(row), why, one.departs)


_RECIPES: dict[str, dict[str, _Recipe]] = {}
for _name, _row, _one in _recipes():
    _RECIPES.setdefault(_name, {})[_row] = _one
RECIPES: Sequence[str] = (PAPER, *_RECIPES)
"""Names of the recipes."""


def by_recipe(row: Experiment, recipe: str) -> Experiment:
    """Return a row with the changes of a recipe.

    Args:
        row: a row of the paper's tables.
        recipe: one of :data:`RECIPES`.

    Raises:
        UnknownNameError: there is no such recipe, or it has no changes for this row.

    >>> by_recipe(EXPERIMENTS["5-1"], "robust").name
    '5-1 robust'
    """
    check_choice("recipe", recipe, RECIPES)
    if recipe == PAPER:
        return row
    known = _RECIPES[recipe]
    if row.name not in known:
        raise UnknownNameError(
            f"recipe {recipe!r} does not include {row.name}",
            argument="recipe",
            got=recipe,
            fix=f"choose one of {', '.join(known)}",
        )
    one = known[row.name]
    return renamed(row, one.changes, f"{row.name} {recipe}", one.why, one.departs)


def described() -> Iterator[tuple[str, str, str]]:
    """Name every recipe, the experiments it includes, and its idea.

    >>> next(each for each in described() if each[0] == "gates-only")[1]
    '2c'
    """
    yield PAPER, "all", "the rows as they stand"
    for name, (rows, why) in _WHOLE.items():
        yield name, "all" if set(MODERN) <= set(rows) else ", ".join(rows), why
    for experiment, candidates in CANDIDATES.items():
        for name, one in candidates.items():
            yield name, experiment, one.idea


def rows_of(recipe: str) -> list[Experiment]:
    """Return all rows of a recipe.

    >>> [row.name for row in rows_of("robust")][-1]
    '6b robust'
    """
    check_choice("recipe", recipe, RECIPES)
    names = EXPERIMENTS if recipe == PAPER else _RECIPES[recipe]
    return [by_recipe(EXPERIMENTS[name], recipe) for name in names]


EVERYTHING: Mapping[str, Experiment] = {
    row.name: row for recipe in RECIPES for row in rows_of(recipe)
}
"""All experiments by all recipes, by name: what a report looks for in a store."""
