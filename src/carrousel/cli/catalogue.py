"""`carrousel list` and `carrousel show`."""

from __future__ import annotations

from typing import Annotated

import typer

from carrousel.checks import check_choice
from carrousel.cli.options import Json, Recipe, Rivals
from carrousel.cli.screen import put, put_json
from carrousel.cli.selection import PAPER, select
from carrousel.errors import SettingError


def list_(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments or groups; default: all.", metavar="NAME"),
    ] = None,
    rivals: Rivals = False,
    learner: Annotated[
        str | None, typer.Option(help="List only experiments with this learner.", metavar="NAME")
    ] = None,
    recipes: Annotated[
        bool, typer.Option("--recipes", help="List the recipes instead: settings by name.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List experiments with the figures of the paper."""
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.report.show import list_as_json, table_of

    if recipes:
        if names or rivals or learner:
            raise SettingError("--recipes lists all recipes", fix="leave out the other arguments")
        _list_recipes(as_json)
        return
    rows = select(names or (), rivals=rivals) if names or rivals else list(EXPERIMENTS.values())
    if learner is not None:
        check_choice("learner", learner, dict.fromkeys(row.learner for row in EXPERIMENTS.values()))
        rows = [row for row in rows if row.learner == learner]
    if as_json:
        put_json([list_as_json(each) for each in rows])
    else:
        put(table_of(rows))


def _list_recipes(as_json: bool) -> None:
    from carrousel.experiments.recipes.catalogue import described
    from carrousel.experiments.report.show import table_of_recipes

    if as_json:
        heads = ("recipe", "experiments", "idea")
        put_json([dict(zip(heads, each, strict=True)) for each in described()])
    else:
        put(table_of_recipes(described()))


def show(
    name: Annotated[
        str, typer.Argument(help="Name of an experiment, e.g. 4-1, or of a group.", metavar="NAME")
    ],
    rivals: Rivals = False,
    recipe: Recipe = PAPER,
    as_json: Json = False,
) -> None:
    """Show all settings of an experiment or of the rows of a group.

    As JSON, a group is a list.
    """
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.report import show as report_show

    rows = select([name], rivals=rivals, recipe=recipe)
    if as_json:
        shown = [report_show.show_as_json(row) for row in rows]
        put_json(shown[0] if name in EXPERIMENTS and not rivals else shown)
        return
    for place, row in enumerate(rows):
        if place:
            put("")
        put(report_show.show(row))
