"""Selection of experiments by the names of rows and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from carrousel.checks import check_choice

if TYPE_CHECKING:
    from carrousel.contracts import Experiment

PAPER = "paper"
"""The recipe that changes nothing."""


def select(names: Sequence[str], *, rivals: bool = False, recipe: str = PAPER) -> list[Experiment]:
    """Return experiments by their names or the names of their groups, each once.

    Args:
        names: names of rows, or of groups (``1``, ``2c``, ``guess``). A group stands for its LSTM
            rows, or for all its rows if it has no LSTM rows.
        rivals: whether to add the rival rows of the named groups; without names, of all groups.
        recipe: the recipe that is applied to the rows.

    Raises:
        UnknownNameError: there is no such row or group, or the recipe does not include a row.
    """
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.recipes.catalogue import by_recipe

    found = dict.fromkeys(row for name in names for row in _rows(name))
    if rivals:
        groups = {_group(name) for name in names}
        found |= dict.fromkeys(
            name for name in EXPERIMENTS if "/" in name and (_group(name) in groups or not names)
        )
    return [by_recipe(EXPERIMENTS[name], recipe) for name in found]


def _rows(name: str) -> list[str]:
    from carrousel.experiments import EXPERIMENTS

    if name not in EXPERIMENTS:
        group = [each for each in EXPERIMENTS if _group(each) == name]
        if group:
            return [each for each in group if "/" not in each] or group
    return [check_choice("experiment", name, EXPERIMENTS)]


def _group(name: str) -> str:
    """The experiment of the paper that a row belongs to: ``2c`` of ``2c-1``, ``1`` of ``1/elman``.

    >>> _group("2c-1"), _group("2a/rtrl-p4-a1"), _group("guess")
    ('2c', '2a', 'guess')
    """
    return name.partition("/")[0].partition("-")[0]
