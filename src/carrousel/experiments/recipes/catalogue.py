"""Recipes: the same rows under other settings, explained.

``paper`` is the row itself. ``robust`` keeps its network and its algorithm, the truncated gradient
with plain descent, and moves a few settings off the paper so that every trial succeeds. ``modern``
takes what came later: the full gradient by back-propagation, Adam, and forget gates where they
help. Names are those of the rows with the recipe's behind: ``"4-1 robust"``.
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
    """What is changed in which rows, each change a setting by its path, and why."""

    rows: Mapping[str, Mapping[str, Any]]
    why: str


_RECIPES: Mapping[str, _Recipe] = MappingProxyType(
    {
        "robust": _Recipe(ROBUST, "off the paper, so that every trial succeeds"),
        "modern": _Recipe(MODERN, "what came after the paper"),
    }
)
RECIPES: Sequence[str] = (PAPER, *_RECIPES)
"""Names of the recipes."""


def by_recipe(row: Experiment, recipe: str) -> Experiment:
    """Return a row as a recipe has it.

    Args:
        row: one of the rows of the paper's tables.
        recipe: one of :data:`RECIPES`.

    Raises:
        UnknownNameError: there is no such recipe, or it says nothing about this row.

    >>> by_recipe(EXPERIMENTS["4-1"], "robust").name
    '4-1 robust'
    """
    check_choice("recipe", recipe, RECIPES)
    if recipe == PAPER:
        return row
    known = _RECIPES[recipe]
    if row.name not in known.rows:
        raise UnknownNameError(
            f"recipe {recipe!r} says nothing about {row.name}; it has {', '.join(known.rows)}"
        )
    return renamed(row, known.rows[row.name], f"{row.name} {recipe}", known.why)


def rows_of(recipe: str) -> list[Experiment]:
    """Every row that a recipe has.

    >>> [row.name for row in rows_of("robust")][-1]
    '6b robust'
    """
    check_choice("recipe", recipe, RECIPES)
    names = EXPERIMENTS if recipe == PAPER else _RECIPES[recipe].rows
    return [by_recipe(EXPERIMENTS[name], recipe) for name in names]


EVERYTHING: Mapping[str, Experiment] = {
    row.name: row for recipe in RECIPES for row in rows_of(recipe)
}
"""Every experiment by every recipe, by name: what a report may find in a store."""
