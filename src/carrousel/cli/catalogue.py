"""`carrousel list` and `carrousel show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from carrousel.checks import check_choice
from carrousel.cli.options import Json, Recipe
from carrousel.cli.order import PAPER, chosen
from carrousel.cli.screen import put, put_json

if TYPE_CHECKING:
    pass


Rivals = Annotated[
    bool,
    typer.Option("--rivals", help="The rival rows too, of the groups named; without names, all."),
]


def list_(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Experiments or groups; none for all.", metavar="NAME"),
    ] = None,
    rivals: Rivals = False,
    learner: Annotated[
        str | None, typer.Option(help="Those with this learner only.", metavar="NAME")
    ] = None,
    as_json: Json = False,
) -> None:
    """List experiments with the published figures."""
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.report.show import list_as_json, table_of

    rows = chosen(names or (), rivals=rivals) if names or rivals else list(EXPERIMENTS.values())
    if learner is not None:
        known = dict.fromkeys(row.learner for row in EXPERIMENTS.values())
        check_choice("learner", learner, known)
        rows = [row for row in rows if row.learner == learner]
    if as_json:
        put_json([list_as_json(each) for each in rows])
    else:
        put(table_of(rows))


def show(
    name: Annotated[
        str, typer.Argument(help="Name of an experiment, e.g. 4-1, or of a group.", metavar="NAME")
    ],
    rivals: Rivals = False,
    recipe: Recipe = PAPER,
    as_json: Json = False,
) -> None:
    """Show one experiment in full, or all of a group (as JSON: a list)."""
    from carrousel.experiments import EXPERIMENTS
    from carrousel.experiments.report import show as report_show

    rows = chosen([name], rivals=rivals, recipe=recipe)
    if as_json:
        shown = [report_show.show_as_json(row) for row in rows]
        put_json(shown[0] if name in EXPERIMENTS and not rivals else shown)
        return
    for place, row in enumerate(rows):
        if place:
            put("")
        put(report_show.show(row))
