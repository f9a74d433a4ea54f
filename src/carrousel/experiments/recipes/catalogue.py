"""Recipes: named sets of changes to the rows, each with its reason.

``paper`` is the row itself. ``robust`` keeps the network and the truncated gradient, and changes a
few settings so that nearly every trial succeeds. ``modern`` uses later methods: the full gradient
by back-propagation, Adam, and forget gates where they help. The recipe is appended to the name of
the row: ``"4-1 robust"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from carrousel.checks import check_choice
from carrousel.contracts import Experiment
from carrousel.errors import UnknownNameError
from carrousel.experiments.catalogue import EXPERIMENTS
from carrousel.experiments.recipes.modern import MODERN
from carrousel.experiments.recipes.robust import ROBUST
from carrousel.experiments.recipes.vary import renamed

PAPER = "paper"


@dataclass(frozen=True)
class _Recipe:
    """Changes by row, each a setting by its path, and their reason."""

    rows: Mapping[str, Mapping[str, Any]]
    why: str


_RECIPES: Mapping[str, _Recipe] = MappingProxyType(
    {
        "robust": _Recipe(ROBUST, "recipe 'robust': nearly every trial succeeds with this setting"),
        "modern": _Recipe(MODERN, "recipe 'modern': a method that is newer than the paper"),
    }
)
RECIPES: Sequence[str] = (PAPER, *_RECIPES)
"""Names of the recipes."""


def by_recipe(row: Experiment, recipe: str) -> Experiment:
    """Return a row with the changes of a recipe.

    Args:
        row: a row of the paper's tables.
        recipe: one of :data:`RECIPES`.

    Raises:
        UnknownNameError: there is no such recipe, or it has no changes for this row.

    >>> by_recipe(EXPERIMENTS["4-1"], "robust").name
    '4-1 robust'
    """
    check_choice("recipe", recipe, RECIPES)
    if recipe == PAPER:
        return row
    known = _RECIPES[recipe]
    if row.name not in known.rows:
        raise UnknownNameError(
            f"recipe {recipe!r} does not include {row.name}",
            argument="recipe",
            got=recipe,
            fix=f"choose one of {', '.join(known.rows)}",
        )
    return renamed(row, known.rows[row.name], f"{row.name} {recipe}", known.why)


def rows_of(recipe: str) -> list[Experiment]:
    """Return all rows of a recipe.

    >>> [row.name for row in rows_of("robust")][-1]
    '6b robust'
    """
    check_choice("recipe", recipe, RECIPES)
    names = EXPERIMENTS if recipe == PAPER else _RECIPES[recipe].rows
    return [by_recipe(EXPERIMENTS[name], recipe) for name in names]


EVERYTHING: Mapping[str, Experiment] = {
    row.name: row for recipe in RECIPES for row in rows_of(recipe)
}
"""All experiments by all recipes, by name: what a report looks for in a store."""
